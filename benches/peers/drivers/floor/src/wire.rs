//! One connection, with the socket settings of a producer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use kafka_protocol::messages::{ProduceResponse, ResponseHeader};
use kafka_protocol::protocol::Decodable;
use socket2::{Domain, Socket, Type};

use crate::requests::{Request, VERSION};

/// The default of `send.buffer.bytes`.
pub const SEND_BUFFER_BYTES: usize = 131_072;

/// The response header version of flexible versions.
const RESPONSE_HEADER_VERSION: i16 = 1;

/// More than the size of a response with a thousand partitions.
const READ_BYTES: usize = 1 << 20;

pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
    answered: i32,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    pub fn connect(bootstrap: &str) -> Result<Self, String> {
        let address: SocketAddr = bootstrap
            .parse()
            .map_err(|error| format!("{bootstrap} is no address: {error}"))?;
        let connect = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
            socket.set_tcp_nodelay(true)?;
            socket.connect(&address.into())?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = connect().map_err(|error| format!("cannot connect to {address}: {error}"))?;
        Ok(Self {
            stream: socket.into(),
            correlation_id: 0,
            answered: 0,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
        })
    }

    pub fn write(&mut self, request: &mut Request) -> Result<(), String> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        self.stream
            .write_all(request.numbered(self.correlation_id))
            .map_err(|error| format!("cannot write: {error}"))
    }

    /// Reads the next response, and checks its error codes.
    pub fn read(&mut self) -> Result<(), String> {
        let frame = self.frame()?;
        self.answered = self.answered.wrapping_add(1);
        check(frame, self.answered)
    }

    fn frame(&mut self) -> Result<Bytes, String> {
        loop {
            let have = &self.buffer[self.start..self.end];
            if let Some((length, rest)) = have.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if let Some((frame, _)) = rest.split_at_checked(length) {
                    let frame = Bytes::copy_from_slice(frame);
                    self.start += 4 + length;
                    return Ok(frame);
                }
                if 4 + length > self.buffer.len() {
                    return Err(format!("an answer of {length} bytes"));
                }
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err("the broker closed the connection".into()),
                Ok(count) => self.end += count,
                Err(error) => return Err(format!("cannot read: {error}")),
            }
        }
    }
}

fn check(mut frame: Bytes, correlation_id: i32) -> Result<(), String> {
    let header = ResponseHeader::decode(&mut frame, RESPONSE_HEADER_VERSION)
        .map_err(|error| format!("not an answer: {error}"))?;
    if header.correlation_id != correlation_id {
        let found = header.correlation_id;
        return Err(format!("answer {found} instead of {correlation_id}"));
    }
    let response = ProduceResponse::decode(&mut frame, VERSION)
        .map_err(|error| format!("not an answer to Produce: {error}"))?;
    let refused = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .find(|partition| partition.error_code != 0);
    match refused {
        None => Ok(()),
        Some(partition) => Err(format!(
            "partition {} was refused with error code {}",
            partition.index, partition.error_code
        )),
    }
}
