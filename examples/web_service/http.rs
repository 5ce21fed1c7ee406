//! A minimal HTTP implementation: one request per connection, bodies with a Content-Length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

const LARGEST_BODY: u64 = 64 * 1024;

/// The path, without its slash, and the body of a POST request; `None` without a request or for another method.
pub(crate) fn read_post(connection: &TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut reader = BufReader::new(connection.take(LARGEST_BODY));
    let mut lines = reader
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let Some(path) = first.strip_prefix("POST /") else {
        return Ok(None);
    };
    let path = path.split(' ').next().unwrap_or_default().to_owned();
    let length = lines
        .filter_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .last();
    let mut body = Vec::new();
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(Some((path, body)))
}

/// Posts a body to a path; returns the whole response.
pub(crate) fn post(to: SocketAddr, path: &str, body: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(to)?;
    write!(
        connection,
        "POST /{path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    connection.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
