//! The parameter `allowed.paths`: the files and directories that a provider may read (KIP-993).

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::source::{ProviderFailure, shown_part};
use crate::error::ConfigError;

/// The name of the parameter.
pub(super) const PARAMETER: &str = "allowed.paths";

/// The paths that a provider may read.
#[derive(Debug, Default)]
pub(super) struct AllowedPaths {
    /// The key of the parameter, and the normalized paths; `None` if all paths are allowed.
    limit: Option<(String, Vec<PathBuf>)>,
}

impl AllowedPaths {
    /// Parses the value of the parameter with this key: absolute paths that exist, separated by commas. An empty value
    /// allows all paths, as in Java.
    ///
    /// # Kafka
    /// `AllowedPaths`. Differs: blanks around a path are left out, and a comma without a path behind it is an error.
    pub(super) fn parse(key: &str, value: &str) -> Result<Self, ConfigError> {
        if value.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut paths = Vec::new();
        for item in value.split(',').map(str::trim) {
            let path = normalized(Path::new(item));
            let problem = if !path.is_absolute() {
                "is not absolute"
            } else if !path.exists() {
                "does not exist"
            } else {
                paths.push(path);
                continue;
            };
            return Err(ConfigError::invalid(
                key,
                Some(value),
                format!("the path {item:?} {problem}"),
                "Name absolute paths of files or directories, separated by commas",
            ));
        }
        Ok(Self {
            limit: Some((key.to_owned(), paths)),
        })
    }

    /// The path to read for the path of a variable. It is normalized, as text, if the paths are limited: so `..` does
    /// not lead out of an allowed directory. Symbolic links inside one are followed, as in Java, wherever they lead.
    pub(super) fn checked(&self, path: &str) -> Result<PathBuf, ProviderFailure> {
        let Some((key, allowed)) = &self.limit else {
            return Ok(PathBuf::from(path));
        };
        let normal = normalized(Path::new(path));
        if allowed.iter().any(|allowed| normal.starts_with(allowed)) {
            return Ok(normal);
        }
        Err(ProviderFailure::new(
            format!("may not read {}", shown_part(path)),
            format!("Name a path inside those of {key}, or add the path to them"),
        ))
    }
}

/// The path without `.`, and with each `..` resolved together with the component before it. The file system is not
/// read.
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match normal.components().next_back() {
                Some(Component::Normal(_)) => {
                    normal.pop();
                }
                // The parent of the root is the root.
                Some(Component::RootDir) => {}
                _ => normal.push(".."),
            },
            other => normal.push(other),
        }
    }
    normal
}

/// Whether a key is the name of a file in a directory, and no path out of it or below it.
pub(super) fn is_file_name(key: &str) -> bool {
    let mut components = Path::new(key).components();
    matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(name)), None) if name == OsStr::new(key) && !key.contains('\0')
    )
}
