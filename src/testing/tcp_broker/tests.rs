use super::*;
use crate::testing::sim::SimOptions;
use crate::testing::sim::log::{Depth, TopicSettings};

/// A reader that returns its bytes in chunks of these sizes.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(self.bytes.len()).min(into.len());
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

fn framed(payloads: &[&[u8]]) -> Vec<u8> {
    let framed = |payload: &&[u8]| [&(payload.len() as i32).to_be_bytes(), *payload].concat();
    payloads.iter().flat_map(framed).collect()
}

#[test]
fn frames_are_split_regardless_of_chunks() {
    let large = vec![7; 3 * READ_BYTES_MAX];
    let payloads: [&[u8]; 5] = [b"one", b"", &large, b"four", b"5"];
    let bytes = framed(&payloads);
    for size in [1, 5, 1000, READ_BYTES, usize::MAX] {
        let mut source = Pieces {
            bytes: &bytes,
            size,
        };
        let mut frames = FrameReader::default();
        for payload in payloads {
            assert_eq!(
                frames.next(&mut source).unwrap().unwrap(),
                payload,
                "{size}"
            );
        }
        assert_eq!(frames.next(&mut source).unwrap(), None, "{size}");
    }
}

#[test]
fn retained_frames_are_not_overwritten_by_later_ones() {
    let payloads: Vec<_> = (0..=255).map(|i: u8| vec![i; 5000]).collect();
    let bytes = framed(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut source = Pieces {
        bytes: &bytes,
        size: 1 << 16,
    };
    let mut frames = FrameReader::default();
    let kept: Vec<_> = payloads
        .iter()
        .map(|_| frames.next(&mut source).unwrap().unwrap())
        .collect();
    assert_eq!(kept, payloads);
}

#[test]
fn a_length_that_is_negative_or_too_large_ends_the_connection() {
    for length in [-1, i32::MIN, i32::MAX, REQUEST_BYTES_MAX as i32 + 1] {
        let bytes = length.to_be_bytes();
        let error = FrameReader::default().next(&mut &bytes[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_length_field_alone_allocates_no_buffer_of_that_size() {
    let mut frames = FrameReader::default();
    let bytes = (REQUEST_BYTES_MAX as i32).to_be_bytes();
    assert_eq!(frames.next(&mut &bytes[..]).unwrap(), None);
    assert!(
        frames.buffer.capacity() <= 2 * READ_BYTES_MAX,
        "{}",
        frames.buffer.capacity()
    );
}

fn acceptor() -> Acceptor {
    let options = SimOptions {
        cluster_id: "c".into(),
        release: crate::testing::KafkaRelease::default(),
        auto_create_topics: false,
        default_partitions: 1,
        replication_factor: 1,
        settings: TopicSettings::DEFAULT,
        depth: Depth {
            retain: true,
            validate_records: true,
        },
    };
    Acceptor {
        node: 0,
        listener: Port::take(0).unwrap().listen().unwrap(),
        signals: unbounded().1,
        shared: Arc::new(BrokerShared::new(
            SimCluster::new(options, BTreeMap::new()),
            Wires::default(),
        )),
        connections: Arc::new(Mutex::new(Rank::LEAF, Connections::default())),
    }
}

#[test]
fn the_acceptor_backs_off_after_a_failed_accept() {
    let acceptor = acceptor();
    let connections = Arc::clone(&acceptor.connections);
    let mut pauses = 0;
    let mut tries = 0;
    let failing = std::iter::repeat_with(|| {
        tries += 1;
        Err(io::Error::other("Too many open files"))
    });
    acceptor.serve_all(failing.take(1000), |time| {
        assert_eq!(time, PAUSE_AFTER_FAILURE);
        pauses += 1;
        connections.lock().stopped = pauses == 100;
    });
    assert_eq!(
        (pauses, tries),
        (100, 101),
        "it sees after a pause that it is over"
    );
}
