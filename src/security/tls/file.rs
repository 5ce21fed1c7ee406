//! Reading the files that keys name: whole, but not without bound, and with the key in every error.

use std::fs::File;
use std::io::Read;

use zeroize::Zeroizing;

use crate::error::ConfigError;

/// A store is a few hundred certificates at most; one of all public authorities takes a quarter of this.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What a file holds.
pub(super) fn read(key: &'static str, path: &str) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let refuse =
        |problem: String, remedy: &str| Err(ConfigError::invalid(key, Some(path), problem, remedy));
    let opened = std::fs::metadata(path).and_then(|facts| {
        // What is no file, such as a pipe, may keep a reader waiting for ever.
        Ok(if facts.is_file() {
            Some(File::open(path)?)
        } else {
            None
        })
    });
    let file = match opened {
        Ok(Some(file)) => file,
        Ok(None) => return refuse("this is no file".to_owned(), "Name a file"),
        Err(error) => {
            return refuse(
                format!("the file cannot be read: {error}"),
                "Check its name, and that this process may read it",
            );
        }
    };
    let mut bytes = Zeroizing::new(Vec::new());
    match file.take(LARGEST + 1).read_to_end(&mut bytes) {
        Err(error) => refuse(
            format!("the file cannot be read: {error}"),
            "Check that this process may read it",
        ),
        Ok(_) if bytes.len() as u64 > LARGEST => refuse(
            format!("the file has more than {LARGEST} bytes"),
            "Leave those certificates in it that are needed",
        ),
        Ok(_) => Ok(bytes),
    }
}
