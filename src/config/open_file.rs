//! Permission check of files with secrets: are they world-readable?

use std::collections::BTreeMap;
use std::path::Path;

use super::definition::{self, ConfigKey};
use super::providers::has_variable;

/// True if every user of this machine may read the file.
#[cfg(unix)]
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_all(_path: &Path) -> bool {
    false
}

/// The warning about a properties file that is world-readable and has passwords or keys in it; `None` for other files.
pub(super) fn exposed(path: &Path, given: &BTreeMap<String, String>) -> Option<String> {
    let is_password = |key: &str| definition::key(key).is_some_and(ConfigKey::is_password);
    // A value with a variable of a config provider refers to a secret that is elsewhere.
    let is_secret = |(key, value): &(&String, &String)| is_password(key) && !has_variable(value);
    let (secret, _) = given.iter().find(is_secret)?;
    is_open_to_all(path).then(|| {
        format!(
            "{} has a secret in it ({secret}), and everybody on this machine may read it (chmod 600)",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(unix)]
    fn a_file_is_open_to_all_if_others_may_read_it() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt;

        let name = format!("kafka-producer-open-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "").unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(super::is_open_to_all(&path), is_open, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!super::is_open_to_all(&path));
    }
}
