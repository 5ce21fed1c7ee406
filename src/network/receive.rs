//! Receive buffer: splits the bytes of a connection into frames.
//!
//! A frame is a length prefix (four bytes, big-endian, signed) and that many bytes. The length prefix is untrusted and
//! does not decide how much memory is allocated: the buffer grows with the bytes received.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

/// Size of the length prefix.
const HEADER: usize = 4;

/// Initial capacity of a buffer: several times the size of most responses to a producer.
const INITIAL_CAPACITY: usize = 4 * 1024;

/// Size in bytes of the largest frame whose buffer is kept for the frames that follow.
const RETAINED_CAPACITY: usize = 64 * 1024;

/// Received bytes that are not split into frames yet.
///
/// A frame is returned as a shared slice of the buffer (zero-copy); once it is dropped, the buffer reuses its memory.
///
/// # Kafka
/// `org.apache.kafka.common.network.NetworkReceive`.
#[derive(Debug)]
pub(crate) struct ReceiveBuffer {
    bytes: BytesMut,
    max_frame: usize,
}

impl ReceiveBuffer {
    /// An empty buffer; frames above `max_frame` bytes (without length prefix) are errors.
    pub(crate) fn new(max_frame: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            max_frame,
        }
    }

    /// Changes the limit on the size of frames.
    pub(crate) fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// Appends received bytes.
    pub(crate) fn extend(&mut self, received: &[u8]) {
        // `reserve` reclaims the memory of frames that were dropped, if it is enough.
        if self.bytes.is_empty() && self.bytes.capacity() < received.len() {
            self.bytes.reserve(received.len().max(INITIAL_CAPACITY));
        }
        // Grows by doubling, so the cost of a large frame is linear in its size.
        self.bytes.extend_from_slice(received);
    }

    /// Splits off the next frame, if it was received in full.
    ///
    /// # Errors
    /// The length prefix is invalid: the connection cannot be resynchronized.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, Arc<str>> {
        let Some(len) = self.announced()? else {
            return Ok(None);
        };
        if self.bytes.len() - HEADER < len {
            return Ok(None);
        }
        self.bytes.advance(HEADER);
        let frame = self.bytes.split_to(len).freeze();
        if len > RETAINED_CAPACITY {
            // The bytes after the frame are at most as many as one read returns. They are copied, so that the large
            // buffer is freed along with the frame.
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
        Ok(Some(frame))
    }

    /// Whether `next_frame` would return a frame or an error without more bytes.
    pub(crate) fn has_frame(&self) -> bool {
        match self.announced() {
            Ok(Some(len)) => self.bytes.len() - HEADER >= len,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The length prefix of the next frame; `None` while it is incomplete.
    fn announced(&self) -> Result<Option<usize>, Arc<str>> {
        let Some(header) = self.bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = i32::from_be_bytes(*header);
        match usize::try_from(len) {
            Ok(len) if len <= self.max_frame => Ok(Some(len)),
            Ok(_) if *header == *b"HTTP" => Err("an HTTP response: this is a web server or a proxy, not \
                                                 a broker (check bootstrap.servers)"
                .into()),
            // A TLS record begins with its content type (20 to 23) and major version 3.
            Ok(_) if matches!(header, [20..=23, 3, ..]) => Err("a TLS record: this listener accepts no plain \
                                                               text (set security.protocol to SSL or \
                                                               SASL_SSL)"
                .into()),
            Ok(_) => Err(format!(
                "a length of {len} bytes, where at most {} are accepted",
                self.max_frame
            )
            .into()),
            Err(_) => Err(format!("a length of {len} bytes").into()),
        }
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_in_http_or_tls_is_named_in_the_error() {
        for (bytes, words) in [
            (&b"HTTP/1.1 400"[..], "HTTP"),
            (&[21, 3, 3, 0, 2, 2, 10], "security.protocol"),
        ] {
            let mut buffer = ReceiveBuffer::new(100 * 1024 * 1024);
            buffer.extend(bytes);
            assert!(buffer.next_frame().unwrap_err().contains(words));
        }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    fn drain(buffer: &mut ReceiveBuffer) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while buffer.has_frame() {
            frames.push(buffer.next_frame().unwrap().unwrap().to_vec());
        }
        assert_eq!(buffer.next_frame().unwrap(), None);
        frames
    }

    /// SL-19: a frame is four bytes of size and that many bytes, which may arrive in several parts. A size of zero is
    /// valid.
    #[test]
    fn frames_are_found_wherever_the_bytes_are_split() {
        let bodies: [&[u8]; 3] = [b"hello", b"", b"world!"];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut buffer = ReceiveBuffer::new(100);
                let mut frames = Vec::new();
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    buffer.extend(part);
                    frames.extend(drain(&mut buffer));
                }
                assert_eq!(frames, bodies, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_length_prefix_that_is_negative_or_above_the_limit_is_an_error() {
        for (len, ok) in [
            (-1, false),
            (i32::MIN, false),
            (10, true),
            (11, false),
            (i32::MAX, false),
        ] {
            let mut buffer = ReceiveBuffer::new(10);
            buffer.extend(&i32::to_be_bytes(len));
            assert_eq!(buffer.next_frame().is_ok(), ok, "{len}");
            assert_eq!(buffer.has_frame(), !ok, "{len}");
        }
    }

    #[test]
    fn memory_grows_with_the_bytes_received_and_not_with_the_length_prefix() {
        let mut buffer = ReceiveBuffer::new(100_000_000);
        buffer.extend(&90_000_000_i32.to_be_bytes());
        assert_eq!(buffer.next_frame().unwrap(), None);
        buffer.extend(&[7; 10_000]);
        assert_eq!(buffer.next_frame().unwrap(), None);
        assert!(buffer.capacity() < 40_000, "{}", buffer.capacity());
    }

    #[test]
    fn the_buffer_of_a_large_frame_is_freed_with_it() {
        let mut buffer = ReceiveBuffer::new(100_000_000);
        let mut stream = framed(&vec![1; 5_000_000]);
        stream.extend(framed(b"small"));
        for part in stream.chunks(60_000) {
            buffer.extend(part);
        }
        assert_eq!(buffer.next_frame().unwrap().unwrap().len(), 5_000_000);
        assert!(buffer.capacity() < 100, "{}", buffer.capacity());
        assert_eq!(buffer.next_frame().unwrap().unwrap(), "small");
    }

    #[test]
    fn many_small_frames_reuse_one_buffer() {
        let mut buffer = ReceiveBuffer::new(1000);
        let stream = framed(&[3; 500]);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            buffer.extend(&stream);
            let frame = buffer.next_frame().unwrap().unwrap();
            places.insert(frame.as_ptr() as usize);
        }
        // Each frame is dropped before the next one arrives, so its memory can be reused.
        assert!(
            places.len() <= INITIAL_CAPACITY / stream.len() + 1,
            "{}",
            places.len()
        );
    }
}
