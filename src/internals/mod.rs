//! Entry points of fuzz targets and benchmarks. Not part of the public API.
//!
//! A fuzz target passes untrusted bytes to a function here, which calls the parser and panics if an invariant is
//! broken. Every target checks that the parser does not panic. The memory limit of the fuzzer checks that the parser's
//! memory is bounded by the size of the input, or by the limit that is part of the input.
//!
//! Benchmarks use [`ByHand`], a producer without threads and sockets.
//!
//! Tests of the wire format use [`wire`]. Tests of any kind use [`watch_log_lines`].

mod by_hand;
mod log_watch;
pub mod simulation;
mod topic_metrics;
pub mod wire;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::compress::{CompressionType, Compressor, DecompressError, decompress};
use crate::config::{Password, check_variables};
use crate::network::receive::ReceiveBuffer;
use crate::protocol::{
    ApiKey, Reader, Request, RequestHeader, Response, decode_response_correlation,
};
use crate::record::batch::RecordBatch;
use crate::record::legacy::{LegacyMagic, convert, restage, visit_records};
use crate::security::sasl::jaas;
use crate::testing::KafkaRelease;
use crate::testing::sim::log::{Depth, TopicSettings};
use crate::testing::sim::{SimCluster, SimNode, SimOptions};
use crate::types::Magic;

#[cfg(planted_defects)]
pub use crate::planted::{
    Defect, VARIABLE as PLANTED_DEFECT, choose as choose_planted_defect, named as planted_defect,
};
pub use by_hand::{ByHand, HandNetwork, Producer};
pub use log_watch::{assert_unlocked, watch_log_lines};
pub use topic_metrics::{TopicMetrics, topic_metrics};

/// An entry point: a function that takes untrusted bytes.
pub type Entrance = fn(&[u8]);

/// All entry points, each with the name of its fuzz target and of the folder of its seeds.
pub const ENTRANCES: &[(&str, Entrance)] = &[
    ("frames", receive_frames),
    ("responses", decode_response),
    ("requests", handle_request),
    ("batches", read_batches),
    ("message_sets", read_message_set),
    ("compression", uncompress),
    ("config_variables", replace_variables),
    ("jaas", read_login),
    ("scram", talk_scram),
    ("stores", read_store),
    ("jks", read_jks),
    ("tokens", read_token),
    ("aws", read_aws_text),
];

/// Number of chunk sizes in the input of [`receive_frames`], used in turn.
const PIECES: usize = 4;

/// Limit of the ratio of uncompressed to compressed size in [`read_message_set`].
const UNCOMPRESSED_TIMES: usize = 300;
/// Limit of the uncompressed size of one batch in [`read_batches`].
const UNCOMPRESSED_BYTES: usize = 1024 * 1024;

/// Reassembles frames from a stream in chunks, as a connection does. The first byte chooses the size limit of frames,
/// the next four the chunk sizes; the rest is the stream.
///
/// # Panics
/// If the frames depend on the chunks, or are not those of the stream.
pub fn receive_frames(input: &[u8]) {
    let Some((&[cap, pieces @ ..], stream)) = input.split_first_chunk::<{ 1 + PIECES }>() else {
        return;
    };
    let cap = 1_usize << (cap & 15);
    let mut buffer = ReceiveBuffer::new(cap);
    let mut expected = ExpectedFrames { stream, cap };
    let mut rest = stream;
    let mut sizes = pieces.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |size| usize::from(*size).max(1));
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        buffer.extend(piece);
        while buffer.has_frame() {
            let found = buffer.next_frame();
            let wanted = expected.next();
            match (&found, wanted) {
                (Ok(Some(frame)), Some(Ok(wanted))) => assert_eq!(frame, wanted),
                (Err(_), Some(Err(()))) => return,
                (found, wanted) => panic!("found {found:?} instead of {wanted:?}"),
            }
        }
    }
    assert_eq!(expected.next(), None, "a whole frame was not found");
}

/// Replaces the variables of config providers in a text, and parses the text as a pattern for names.
///
/// # Panics
/// If a variable of another provider is changed, or a value of a provider is replaced again.
pub fn replace_variables(input: &[u8]) {
    check_variables(&String::from_utf8_lossy(input));
}

/// Parses `sasl.jaas.config`.
///
/// # Panics
/// If an error quotes the text, or a login module changes when it is encoded and parsed again.
pub fn read_login(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match jaas::parse(&text) {
        Err(why) => {
            // Words of the error texts themselves are not secret.
            let is_long = |word: &&str| word.len() > 24 && word.chars().all(char::is_alphanumeric);
            for word in text.split_ascii_whitespace().filter(is_long) {
                assert!(!why.contains(word), "{why} quotes {word}");
            }
        }
        Ok(login) => {
            let option = |(name, value): (&String, &Password)| {
                format!(" {}={}", quoted(name), quoted(value.expose()))
            };
            let options: String = login.options.iter().map(option).collect();
            let again = format!("{} required{options};", quoted(&login.class));
            assert_eq!(jaas::parse(&again).as_ref(), Ok(&login), "{again}");
        }
    }
}

/// Quotes and escapes a text.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r"))
}

/// Runs a SCRAM client against two broker messages, separated by a zero byte. The client's nonce is that of the seeds.
///
/// # Panics
/// If the client accepts a broker that does not know its password.
#[cfg(feature = "sasl-scram")]
pub fn talk_scram(input: &[u8]) {
    crate::security::sasl::scram::talk_with(input);
}

/// This build has no SCRAM.
#[cfg(not(feature = "sasl-scram"))]
pub fn talk_scram(_input: &[u8]) {}

/// Parses a trust store or key store. The first byte chooses the kind of store and its format; the passwords are those
/// of the seeds.
///
/// # Panics
/// If an empty store is accepted, or an error quotes what could be a key.
#[cfg(feature = "tls-no-provider")]
pub fn read_store(input: &[u8]) {
    match crate::security::tls::read_any_store(input) {
        // An encrypted key comes without certificates.
        Ok(certificates) => {
            let is_lone_key = input.first().is_some_and(|kind| kind % 6 == 4);
            assert!(certificates > 0 || is_lone_key);
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            // Errors may quote PEM labels, which are shorter than this.
            let could_be_key = |word: &[u8]| word.len() > 40;
            let is_of_base64 =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            for word in input
                .split(|byte| !is_of_base64(byte))
                .filter(|word| could_be_key(word))
            {
                let word = String::from_utf8_lossy(word);
                assert!(!told.contains(&*word), "{told} quotes {word}");
            }
        }
    }
}

/// This build has no TLS.
#[cfg(not(feature = "tls-no-provider"))]
pub fn read_store(_input: &[u8]) {}

/// Parses a JKS store, and opens it with the digest of the right password and of a wrong one: a fuzzer cannot compute
/// the digest, and without it the entries would not be used.
///
/// # Panics
/// If the store opens with a wrong password or without its digest, or if its entries are larger than the input.
#[cfg(feature = "pkcs12")]
pub fn read_jks(input: &[u8]) {
    let _ = crate::security::tls::check_any_jks(input);
}

/// This build cannot read JKS.
#[cfg(not(feature = "pkcs12"))]
pub fn read_jks(_input: &[u8]) {}

/// Reads the response of a token endpoint, and the claims of the token in it. The first byte chooses whether the rest is
/// a whole HTTP response, or its body.
///
/// # Panics
/// If a limit is exceeded, or an error quotes the token.
#[cfg(feature = "oidc")]
pub fn read_token(input: &[u8]) {
    use crate::security::http;
    use crate::security::sasl::oidc::claims::{self, ClaimNames, MAX_RESPONSE_BYTES};

    let (kind, rest) = input.split_first().unwrap_or((&0, input));
    let body = if kind % 2 == 0 {
        let Ok(response) = http::read_response(rest, MAX_RESPONSE_BYTES) else {
            return;
        };
        assert!(response.body.len() <= MAX_RESPONSE_BYTES);
        assert!((200..600).contains(&response.status), "{}", response.status);
        response.body
    } else {
        rest.to_vec()
    };
    let _ = claims::error_response(&body);
    let Ok(response) = claims::token_response(&body) else {
        return;
    };
    let names = ClaimNames {
        scope: "scope".to_owned(),
        subject: "sub".to_owned(),
    };
    let token = response.token.expose();
    // 2026-01-01.
    let now = Timestamp::from_millis(1_767_225_600_000);
    match claims::lifetime(token, response.expires_in, &names, now) {
        Ok(lifetime) => assert!(lifetime.as_secs() <= 1_000_000_000, "{lifetime:?}"),
        Err(why) => {
            // Words of the error texts themselves are not secret, and no token has blanks.
            let is_secret = token.len() > 24 && token.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(!is_secret || !why.contains(token), "{why}");
        }
    }
}

/// This build has no OIDC.
#[cfg(not(feature = "oidc"))]
pub fn read_token(_input: &[u8]) {}

/// Parses a profile file of AWS, or the answer of a credential service. The first byte chooses which.
///
/// # Panics
/// If more is kept than the text has, or an error quotes what could be a key.
#[cfg(feature = "msk-iam")]
pub fn read_aws_text(input: &[u8]) {
    let Some((&kind, text)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    match crate::security::sasl::msk_iam::read_any(kind, &text) {
        Ok(kept) => assert!(kept <= text.len()),
        // The JSON document of a service may have a code instead of credentials, which is quoted.
        Err(why) if kind % 4 == 3 && why.starts_with("the answer has the code ") => {}
        Err(why) => {
            // Words of the error texts themselves are not secret.
            let is_long = |word: &&str| word.len() > 24;
            let words = text.split(|c: char| !c.is_alphanumeric());
            for word in words.filter(is_long) {
                assert!(!why.contains(word), "{why} quotes {word}");
            }
        }
    }
}

/// This build has no IAM of MSK.
#[cfg(not(feature = "msk-iam"))]
pub fn read_aws_text(_input: &[u8]) {}

/// A reference implementation: splits a complete stream into frames; an error for an invalid length.
struct ExpectedFrames<'a> {
    stream: &'a [u8],
    cap: usize,
}

impl<'a> Iterator for ExpectedFrames<'a> {
    type Item = Result<&'a [u8], ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.stream.split_first_chunk()?;
        let length = usize::try_from(i32::from_be_bytes(*length));
        let Some(length) = length.ok().filter(|length| *length <= self.cap) else {
            return Some(Err(()));
        };
        let (frame, rest) = rest.split_at_checked(length)?;
        self.stream = rest;
        Some(Ok(frame))
    }
}

/// Decodes a response. The first byte chooses API and version; the rest is the frame.
///
/// # Panics
/// If the response changes when it is encoded and decoded again.
pub fn decode_response(input: &[u8]) {
    let Some((&kind, frame)) = input.split_first() else {
        return;
    };
    let (api, version) = readable(kind);
    match read_response(api, version, &Bytes::copy_from_slice(frame)) {
        Ok((correlation_id, response)) => {
            let written = response.encode(version, correlation_id).chunks().concat();
            let again = read_response(api, version, &Bytes::from(written).slice(4..));
            assert_eq!(again, Ok((correlation_id, response)));
        }
        Err(error) => assert!(error.contains("at byte"), "{error}"),
    }
}

/// The API and version that a byte chooses.
fn readable(choice: u8) -> (ApiKey, i16) {
    let all = ApiKey::ALL
        .into_iter()
        .flat_map(|api| api.versions().map(move |version| (api, version)));
    let count = all.clone().count();
    all.cycle()
        .nth(usize::from(choice) % count)
        .unwrap_or((ApiKey::Produce, 0))
}

fn read_response(api: ApiKey, version: i16, frame: &Bytes) -> Result<(i32, Response), String> {
    let mut reader = Reader::new(frame);
    let read = decode_response_correlation(api, version, &mut reader).and_then(|correlation_id| {
        Ok((correlation_id, Response::decode(api, version, &mut reader)?))
    });
    read.map_err(|error| error.to_string())
}

/// Passes a request frame to the embedded broker twice, so that the second pass finds the state that the first one has
/// left.
///
/// # Panics
/// If the request changes when it is encoded and decoded again.
pub fn handle_request(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    if let Some((header, request)) = read_request(&frame) {
        let client_id = header.client_id.as_deref();
        let written = request.encode(header.api_version, header.correlation_id, client_id);
        // Fields that exist only in old versions are decoded but not encoded.
        if let Ok(written) = written {
            let written = Bytes::from(written.chunks().concat()).slice(4..);
            assert_eq!(read_request(&written), Some((header, request)));
        }
    }
    let mut cluster = cluster();
    for millis in [1, 2] {
        let _ = cluster.handle(0, &frame, Timestamp::from_millis(millis));
    }
}

/// A broker with the topics of the seeds and automatic topic creation.
fn cluster() -> SimCluster {
    let options = SimOptions {
        cluster_id: "c".into(),
        release: KafkaRelease::default(),
        auto_create_topics: true,
        default_partitions: 1,
        replication_factor: 1,
        settings: TopicSettings::DEFAULT,
        depth: Depth {
            retain: true,
            validate_records: true,
        },
    };
    let mut cluster = SimCluster::new(options, [(0, SimNode::new("h", 9092))].into());
    let _ = cluster.create_topic("orders", 2, TopicSettings::DEFAULT);
    cluster
}

fn read_request(frame: &Bytes) -> Option<(RequestHeader, Request)> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).ok()?;
    let request = Request::decode_body(header.api_key, header.api_version, &mut reader).ok()?;
    Some((header, request))
}

/// Parses consecutive batches, with any checksums.
///
/// # Panics
/// If the records of a batch exceed its uncompressed size.
pub fn read_batches(input: &[u8]) {
    let mut rest = Bytes::copy_from_slice(input);
    while let Ok(batch) = RecordBatch::take(&mut rest) {
        let _ = batch.check_crc();
        let Ok(payload) = batch.uncompressed(UNCOMPRESSED_BYTES) else {
            continue;
        };
        let Ok(records) = batch.records_in(&payload) else {
            continue;
        };
        let mut read = 0;
        for record in records.map_while(Result::ok) {
            read += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            for (key, value) in record.headers.iter() {
                read += key.len() + value.map_or(0, <[u8]>::len);
            }
        }
        assert!(read <= payload.len());
    }
}

/// Decompresses. The first byte chooses the codec and the record format, the next two the size limit; the rest is the
/// compressed data.
///
/// # Panics
/// If the result exceeds the limit, or changes when it is compressed and decompressed again.
pub fn uncompress(input: &[u8]) {
    let Some((&[choice, low, high], bytes)) = input.split_first_chunk() else {
        return;
    };
    let Some(codec) = CompressionType::from_id(choice % 5) else {
        return;
    };
    let magic = match choice / 5 % 3 {
        0 => Magic::V2,
        1 => Magic::V1,
        _ => Magic::V0,
    };
    // Up to 4 MiB, in steps of 64 bytes.
    let limit_bytes = usize::from(u16::from_le_bytes([low, high])) * 64;
    let Ok(plain) = decompress(codec, magic, bytes, limit_bytes) else {
        return;
    };
    assert!(plain.len() <= limit_bytes);
    let mut again = Vec::new();
    let compressed = Compressor::new(codec, None)
        .map(|compressor| compressor.compress(magic, &[&plain], &mut again));
    assert!(matches!(compressed, Ok(Ok(()))), "{codec} cannot compress");
    let read = decompress(codec, magic, &again, plain.len());
    assert!(read.as_ref() == Ok(&plain), "{codec} changed {plain:02x?}");
    if let Some(limit_bytes) = plain.len().checked_sub(1) {
        let read = decompress(codec, magic, &again, limit_bytes);
        assert_eq!(read, Err(DecompressError::TooLarge { limit_bytes }));
    }
}

/// Parses a message set of the legacy formats, including wrapper messages. If the first byte is odd, the checksums of
/// the messages are corrected first: otherwise almost every mutation would fail at a checksum.
///
/// # Panics
/// If the message set changes when it is encoded and parsed again.
pub fn read_message_set(input: &[u8]) {
    let Some((&kind, set)) = input.split_first() else {
        return;
    };
    let mut set = set.to_vec();
    if kind & 1 == 1 {
        put_checksums(&mut set);
    }
    check_message_set(&set);
}

fn put_checksums(mut set: &mut [u8]) {
    const HEAD: usize = 16;
    while let Some(Ok(length)) = set
        .get(8..12)
        .map(|length| usize::try_from(i32::from_be_bytes(length.try_into().unwrap_or_default())))
    {
        let Some((message, rest)) = set.split_at_mut_checked(length.saturating_add(12)) else {
            return;
        };
        if message.len() > HEAD {
            let checksum = crc32fast::hash(&message[HEAD..]);
            message[12..HEAD].copy_from_slice(&checksum.to_be_bytes());
        }
        set = rest;
    }
}

fn check_message_set(input: &[u8]) {
    let limit = UNCOMPRESSED_TIMES * input.len();
    if let Err(error) = visit_records(input, limit, |_| ()) {
        let text = error.to_string();
        assert!(text.starts_with("the message at byte "), "{text}");
        return;
    }
    let Ok((facts, records)) = restage(input, limit) else {
        panic!("it could be read before");
    };
    for magic in [LegacyMagic::V1, LegacyMagic::V0] {
        let mut set = Vec::new();
        convert(&facts, &[&records], magic, None, &mut set).unwrap_or_else(|error| {
            panic!("what was read cannot be written: {error}");
        });
        let again = restage(&set, 0).map(|(_, records)| records);
        if magic == LegacyMagic::V1 {
            assert_eq!(again.as_ref(), Ok(&records));
        } else {
            assert!(again.is_ok());
        }
    }
}

#[cfg(test)]
mod tests;
