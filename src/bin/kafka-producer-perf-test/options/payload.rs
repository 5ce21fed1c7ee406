//! The options about the values of records.

use std::path::PathBuf;

use super::{DELIMITER, FILE, MONOTONIC, SIZE};
use crate::arguments::{Result, wrong};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PayloadSource {
    Random {
        bytes: usize,
    },
    File {
        path: PathBuf,
        delimiter: String,
    },
    /// The number of the record.
    Monotonic,
}

/// Exactly one source must be given. A delimiter is one of a file.
pub(super) fn source(
    size: Option<i32>,
    file: Option<PathBuf>,
    monotonic: bool,
    given_delimiter: Option<String>,
) -> Result<PayloadSource> {
    if given_delimiter.is_some() && file.is_none() {
        return wrong(format!(
            "argument --{DELIMITER}: not allowed without argument --{FILE}"
        ));
    }
    match (size, file, monotonic) {
        (Some(size), None, false) => match usize::try_from(size) {
            Ok(bytes) => Ok(PayloadSource::Random { bytes }),
            Err(_) => wrong(format!("argument --{SIZE}: {size} is below 0")),
        },
        (None, Some(path), false) => Ok(PayloadSource::File {
            path,
            delimiter: delimiter(given_delimiter),
        }),
        (None, None, true) => Ok(PayloadSource::Monotonic),
        (None, None, false) => wrong(format!(
            "one of the arguments --{SIZE} --{FILE} --{MONOTONIC} is required"
        )),
        (size, file, _) => {
            let second = if file.is_some() && size.is_some() {
                FILE
            } else {
                MONOTONIC
            };
            let first = if size.is_some() { SIZE } else { FILE };
            wrong(format!(
                "argument --{second}: not allowed with argument --{first}"
            ))
        }
    }
}

/// A backslash followed by `n` means a newline: the program gets these two characters for `'\n'` in a shell.
fn delimiter(given: Option<String>) -> String {
    match given {
        Some(given) if given != r"\n" => given,
        _ => "\n".to_owned(),
    }
}
