//! The provider of values in the files of a directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::allowed_paths::{AllowedPaths, is_file_name};
use super::regular_file;
use super::source::{ProviderFailure, shown_part};

/// `${directory:PATH:KEY}`: the content of the file with the name of the key, as a mounted Kubernetes secret has it.
/// Nothing is trimmed, a line end at the end of the file included.
///
/// # Kafka
/// `DirectoryConfigProvider`. Differs: files with more than 16 MiB, and files that are not valid UTF-8, are errors; so
/// is a path that is empty, not allowed, or not that of a directory.
pub(super) struct DirectoryConfigProvider {
    allowed: AllowedPaths,
}

impl DirectoryConfigProvider {
    pub(super) fn new(allowed: AllowedPaths) -> Self {
        Self { allowed }
    }

    pub(super) fn get(
        &self,
        path: &str,
        keys: &[&str],
    ) -> Result<BTreeMap<String, String>, ProviderFailure> {
        if path.is_empty() {
            return Err(ProviderFailure::new(
                "needs the path of a directory",
                "Write the variable as ${provider:path:key}",
            ));
        }
        let directory = self.allowed.checked(path)?;
        let unreadable = |error: &str| {
            ProviderFailure::new(
                format!("cannot read {}: {error}", shown_part(path)),
                "Check the path of the variable, and that this process may read the directory and its files",
            )
        };
        let facts = fs::metadata(&directory).map_err(|error| unreadable(&error.to_string()))?;
        if !facts.is_dir() {
            return Err(unreadable("it is not a directory"));
        }
        let mut values = BTreeMap::new();
        for key in keys.iter().filter(|key| is_file_name(key)) {
            let read = value(&directory.join(key))
                .map_err(|why| unreadable(&format!("the file {}: {why}", shown_part(key))))?;
            values.extend(read.map(|value| ((*key).to_owned(), value)));
        }
        Ok(values)
    }
}

/// The content of a file; `None` if there is no regular file of that name.
fn value(path: &Path) -> Result<Option<String>, String> {
    let is_regular = match fs::metadata(path) {
        Ok(facts) => facts.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error.to_string()),
    };
    if !is_regular {
        return Ok(None);
    }
    let bytes = regular_file::read(path).map_err(|error| error.to_string())?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        // The error would own the bytes.
        Err(_) => Err("it is not valid UTF-8".to_owned()),
    }
}
