//! A minimal HTTP implementation: one request per connection, bodies with a Content-Length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

const LARGEST_BODY: u64 = 64 * 1024;

/// The body of a POST request; `None` without a request or for another method.
pub(crate) fn read_post(connection: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut reader = BufReader::new(connection.take(LARGEST_BODY));
    let mut lines = reader
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("POST ")) {
        return Ok(None);
    }
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
    Ok(Some(body))
}

/// Posts a body; returns the whole response.
pub(crate) fn post(to: SocketAddr, body: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(to)?;
    write!(
        connection,
        "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    connection.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
