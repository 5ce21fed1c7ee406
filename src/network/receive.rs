//! Cutting frames out of the bytes that a connection receives.
//!
//! A frame is a length of four bytes, big-endian and signed, and that many bytes. The length is never
//! believed: memory grows with the bytes that have come, not with those that were announced.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

/// The length before each frame.
const HEADER: usize = 4;

/// The least capacity of a buffer: most responses to a producer fit several times.
const INITIAL_CAPACITY: usize = 4 * 1024;

/// A frame above this does not leave its buffer to the frames that follow.
const RETAINED_CAPACITY: usize = 64 * 1024;

/// Bytes received and not yet handed out.
///
/// Frames are handed out as shares of the buffer, without a copy; once they are dropped, the buffer
/// uses their room again.
///
/// # Kafka
/// `org.apache.kafka.common.network.NetworkReceive`.
#[derive(Debug)]
pub(crate) struct ReceiveBuffer {
    bytes: BytesMut,
    max_frame: usize,
}

impl ReceiveBuffer {
    /// An empty buffer; frames above `max_frame` bytes (without their length) are errors.
    pub(crate) fn new(max_frame: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            max_frame,
        }
    }

    /// From now on frames above `max_frame` bytes are errors.
    pub(crate) fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// Takes bytes from the connection.
    pub(crate) fn extend(&mut self, received: &[u8]) {
        if self.bytes.is_empty() && self.bytes.capacity() < received.len() {
            self.bytes.reserve(received.len().max(INITIAL_CAPACITY));
        }
        // Grows by doubling.
        self.bytes.extend_from_slice(received);
    }

    /// The next frame, if all of it is here.
    ///
    /// # Errors
    /// What was wrong with the length; there is no way to find the next frame then.
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
            // What is left is at most what one read brings, and would hold on to all of the buffer.
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
        Ok(Some(frame))
    }

    /// Whether `next_frame` has an answer without more bytes.
    pub(crate) fn has_frame(&self) -> bool {
        match self.announced() {
            Ok(Some(len)) => self.bytes.len() - HEADER >= len,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The length of the next frame; `None` while it has not come in full.
    fn announced(&self) -> Result<Option<usize>, Arc<str>> {
        let Some(header) = self.bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = i32::from_be_bytes(*header);
        match usize::try_from(len) {
            Ok(len) if len <= self.max_frame => Ok(Some(len)),
            Ok(_) if *header == *b"HTTP" => Err("an answer in HTTP: this is a web server or a proxy, no \
                                                 broker (check bootstrap.servers)"
                .into()),
            // A record of TLS begins with its kind and the number 3.
            Ok(_) if matches!(header, [20..=23, 3, ..]) => Err("an answer in TLS: this listener takes no plain \
                                                               connections (set security.protocol to SSL or \
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
    fn what_another_protocol_answers_is_named() {
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

    /// SL-19
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
    fn a_length_that_is_negative_or_above_the_cap_is_an_error() {
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
    fn memory_follows_the_bytes_and_not_the_announced_length() {
        let mut buffer = ReceiveBuffer::new(100_000_000);
        buffer.extend(&90_000_000_i32.to_be_bytes());
        assert_eq!(buffer.next_frame().unwrap(), None);
        buffer.extend(&[7; 10_000]);
        assert_eq!(buffer.next_frame().unwrap(), None);
        assert!(buffer.capacity() < 40_000, "{}", buffer.capacity());
    }

    #[test]
    fn a_big_frame_takes_its_memory_with_it() {
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
        // Each frame is dropped before the next comes, so its room is found free again.
        assert!(
            places.len() <= INITIAL_CAPACITY / stream.len() + 1,
            "{}",
            places.len()
        );
    }
}
