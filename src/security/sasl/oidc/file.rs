//! A token in a file that the platform keeps up to date, for example one of a Kubernetes service account.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::ENDPOINT;
use super::claims::{MAX_RESPONSE_BYTES, TokenResponse};
use crate::config::Password;
use crate::util::wipe::SecretBytes;

/// The file of a `file:` URL.
///
/// # Kafka
/// `FileTokenRetriever`. Differs: the file is read for each token, not once.
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    /// The path of a `file:` URL, as it is written; `None` if the URL has another scheme.
    ///
    /// # Errors
    /// A description of the problem.
    pub(super) fn of_url(url: &str) -> Option<Result<Self, String>> {
        let scheme = "file:";
        let rest = url.get(scheme.len()..)?;
        if !url[..scheme.len()].eq_ignore_ascii_case(scheme) {
            return None;
        }
        let path = match rest.strip_prefix("//") {
            None => rest,
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        };
        Some(if path.starts_with('/') {
            let path = local_path(path, cfg!(windows));
            Ok(Self(PathBuf::from(path)))
        } else {
            Err("a file: URL has the form file:///PATH".to_owned())
        })
    }

    pub(super) fn read(&self) -> Result<TokenResponse, String> {
        let bytes = self
            .bytes()
            .map_err(|error| format!("{} cannot be read: {error}", self.name()))?;
        let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
        let token = Password::new(text.trim());
        if token.expose().is_empty() {
            return Err(format!("{} contains no token", self.name()));
        }
        Ok(TokenResponse {
            token,
            expires_in: None,
        })
    }

    fn bytes(&self) -> io::Result<SecretBytes> {
        // A pipe or device could block the reader for ever.
        let facts = std::fs::metadata(&self.0)?;
        if !facts.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        // Allocated at its final size: a reallocation would free a copy of the token without wiping it.
        let limit = MAX_RESPONSE_BYTES as u64;
        let size = usize::try_from(facts.len().min(limit)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(size + 1);
        File::open(&self.0)?
            .take(limit + 1)
            .read_to_end(&mut bytes)?;
        let bytes = SecretBytes::new(bytes);
        if bytes.expose().len() > MAX_RESPONSE_BYTES {
            let why = format!("it has more than {MAX_RESPONSE_BYTES} bytes");
            return Err(io::Error::other(why));
        }
        Ok(bytes)
    }

    pub(super) fn name(&self) -> String {
        format!("the file {} of {ENDPOINT}", self.0.display())
    }
}

/// The path of the operating system for that of a URL. On Windows a drive follows the first slash: `/C:/token`.
fn local_path(path: &str, is_windows: bool) -> &str {
    match path.strip_prefix('/') {
        Some(rest) if is_windows && is_drive(rest.as_bytes()) => rest,
        _ => path,
    }
}

fn is_drive(path: &[u8]) -> bool {
    matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_of_windows_has_no_slash_before_it() {
        assert_eq!(local_path("/C:/a/token", true), "C:/a/token");
        for path in ["/a/token", "//server/token", "/:/token", "/1:/token"] {
            assert_eq!(local_path(path, true), path);
        }
        assert_eq!(local_path("/C:/a/token", false), "/C:/a/token");
    }
}
