//! Reads the files that configuration keys name, up to a size limit. Every error names the key.

use std::fs::File;
use std::io::Read;

use zeroize::Zeroizing;

use crate::error::ConfigError;

/// Size limit in bytes: four times the size of a bundle of all public CA certificates.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads a file as a whole.
pub(super) fn read(key: &'static str, path: &str) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let refuse =
        |problem: String, remedy: &str| Err(ConfigError::invalid(key, Some(path), problem, remedy));
    if super::pem::is_pem(path.as_bytes()) {
        return Err(ConfigError::invalid(
            key,
            None,
            "this is PEM text, and the key takes the name of a file",
            "Set ssl.truststore.certificates to it, or ssl.keystore.key and ssl.keystore.certificate.chain",
        ));
    }
    let opened = std::fs::metadata(path).and_then(|facts| {
        // A pipe or device could block the reader for ever.
        Ok(if facts.is_file() {
            Some(File::open(path)?)
        } else {
            None
        })
    });
    let file = match opened {
        Ok(Some(file)) => file,
        Ok(None) => return refuse("this is not a regular file".to_owned(), "Name a file"),
        Err(error) => {
            return refuse(
                format!("the file cannot be read: {error}"),
                "Check its name, and that this process may read it",
            );
        }
    };
    let mut bytes = Zeroizing::new(Vec::new());
    match file.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        Err(error) => refuse(
            format!("the file cannot be read: {error}"),
            "Check that this process may read it",
        ),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => refuse(
            format!("the file has more than {MAX_BYTES} bytes"),
            "Leave those certificates in it that are needed",
        ),
        Ok(_) => Ok(bytes),
    }
}
