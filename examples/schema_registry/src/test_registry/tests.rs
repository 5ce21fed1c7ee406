use std::io::{Read, Write};
use std::net::TcpStream;

use super::TestRegistry;

/// A test may send thousands of requests: no descriptor of an earlier connection is kept.
#[test]
fn a_connection_is_released_before_it_is_closed() {
    let registry = TestRegistry::start().expect("a free port");
    for request in ["GET /schemas/ids/1 HTTP/1.1\r\n\r\n", "nonsense\r\n"] {
        let mut connection = TcpStream::connect(registry.address).expect("the registry listens");
        connection.write_all(request.as_bytes()).expect("connected");
        // Ends when the registry closes the connection.
        let mut response = String::new();
        connection.read_to_string(&mut response).expect("closed");
        let content = registry.shared.content();
        assert!(content.connections.is_empty(), "{content:?}");
    }
}
