//! The reader of HTTP responses (RFC 9112), whose head and body are bounded.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use super::connection::failure;
use super::{HttpError, HttpResponse};

/// Longest head of a response in bytes, that of interim responses before it included.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Longest line before a chunk of a body, in bytes.
const MAX_CHUNK_LINE_BYTES: usize = 256;

/// The end of a body.
enum Framing {
    Length(u64),
    Chunked,
    /// The end of the connection.
    Close,
}

/// Reads one response.
pub(super) fn read(input: &mut impl Read, limit: usize) -> Result<HttpResponse, HttpError> {
    let mut input = BufReader::with_capacity(4 * 1024, input);
    let mut left = MAX_HEAD_BYTES;
    let (status, framing) = loop {
        let (status, framing) = head(&mut input, &mut left)?;
        // Interim responses (RFC 9110, section 15.2) come before the response.
        if status >= 200 {
            break (status, framing);
        }
    };
    let framing = match status {
        204 | 304 => Framing::Length(0),
        _ => framing,
    };
    let body = match framing {
        Framing::Length(length) => {
            let size = usize::try_from(length).unwrap_or(usize::MAX);
            if size > limit {
                return Err(too_long(limit));
            }
            // Allocated at its final size: a reallocation would free a copy of the secrets without wiping it.
            let mut body = Vec::with_capacity(size);
            exactly(&mut input, size, &mut body)?;
            body
        }
        Framing::Chunked => chunks(&mut input, limit)?,
        Framing::Close => {
            let mut body = Vec::new();
            input
                .take(limit as u64 + 1)
                .read_to_end(&mut body)
                .map_err(|error| incomplete(&error))?;
            if body.len() > limit {
                return Err(too_long(limit));
            }
            body
        }
    };
    Ok(HttpResponse { status, body })
}

/// Reads a head: the status, and the framing of the body. `left` is the number of bytes that heads may still have.
fn head(input: &mut impl BufRead, left: &mut usize) -> Result<(u16, Framing), HttpError> {
    let status = status(&line(input, left)?)
        .ok_or_else(|| HttpError::permanent("it does not respond with HTTP"))?;
    let mut framing = Framing::Close;
    loop {
        let line = line(input, left)?;
        if line.is_empty() {
            return Ok((status, framing));
        }
        let malformed = || HttpError::permanent("its response has a malformed header");
        let text = std::str::from_utf8(&line).unwrap_or_default();
        // Headers that are not text are not needed.
        let Some((name, value)) = text.split_once(':') else {
            if text.is_empty() {
                continue;
            }
            return Err(malformed());
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(malformed());
            }
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("content-length") {
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let length = value
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(malformed)?;
            match framing {
                Framing::Length(other) if other != length => return Err(malformed()),
                // A chunked body has no other length (RFC 9112, section 6.3).
                Framing::Chunked => {}
                _ => framing = Framing::Length(length),
            }
        }
    }
}

/// The status of a status line such as `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [b'0'..=b'9', b' ', digits @ ..] = rest else {
        return None;
    };
    let (digits, after) = digits.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(after, [] | [b' ', ..]) {
        return None;
    }
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (100..=599).contains(&status).then_some(status)
}

/// Reads a line without its end. `left` is the number of bytes that lines may still have.
fn line(input: &mut impl BufRead, left: &mut usize) -> Result<Vec<u8>, HttpError> {
    let mut line = Vec::new();
    let read = input
        .by_ref()
        .take(*left as u64)
        .read_until(b'\n', &mut line)
        .map_err(|error| incomplete(&error))?;
    *left -= read;
    if line.pop() != Some(b'\n') {
        return Err(match *left {
            0 => HttpError::permanent("a line or the head of its response is too long"),
            _ => cut_off(),
        });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// Reads a body in chunks.
fn chunks(input: &mut impl BufRead, limit: usize) -> Result<Vec<u8>, HttpError> {
    let malformed = || HttpError::permanent("its response has a malformed chunk");
    let mut body = Vec::new();
    loop {
        let mut left = MAX_CHUNK_LINE_BYTES;
        let line = line(input, &mut left)?;
        let size = line.split(|b| *b == b';').next().unwrap_or_default();
        let size = size.trim_ascii();
        let is_hex = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(size).ok().filter(|_| is_hex);
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(malformed)?;
        if size == 0 {
            // What comes after the last chunk is not needed, because the connection is closed.
            return Ok(body);
        }
        if size > limit - body.len() {
            return Err(too_long(limit));
        }
        exactly(input, size, &mut body)?;
        let mut end = [0; 2];
        input
            .read_exact(&mut end)
            .map_err(|error| incomplete(&error))?;
        if end != *b"\r\n" {
            return Err(malformed());
        }
    }
}

/// Appends exactly `size` bytes, which the caller has compared with the limit.
fn exactly(input: &mut impl Read, size: usize, body: &mut Vec<u8>) -> Result<(), HttpError> {
    let start = body.len();
    body.resize(start + size, 0);
    input
        .read_exact(&mut body[start..])
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => cut_off(),
            _ => incomplete(&error),
        })
}

fn incomplete(error: &std::io::Error) -> HttpError {
    failure("there is no complete response", error)
}

fn cut_off() -> HttpError {
    HttpError::transient("it closed the connection before its response was complete")
}

fn too_long(limit: usize) -> HttpError {
    HttpError::permanent(format!("its response has more than {limit} bytes"))
}
