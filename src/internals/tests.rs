//! Tests of the fuzz entry points, and of the seeds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::compress::{CompressionType, Compressor};
use crate::protocol::tests::generate::{full_request, full_response};
use crate::protocol::{
    BatchHead, Frame, MemoryRecords, PartitionProduceData, ProduceRequest, TopicProduceData,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::fixture::{CODECS, Plain as LegacyPlain, Staged};

/// The representative versions of an API: the first, the last before flexible versions, the first flexible one, and the
/// last.
fn representative_versions(api: ApiKey) -> Vec<i16> {
    let flexible = api.first_flexible().unwrap_or_default();
    let mut versions = vec![0, (flexible - 1).max(0), flexible, api.max_version()];
    versions.dedup();
    versions
}

fn payload(frame: &Frame) -> Vec<u8> {
    frame.to_payload().to_vec()
}

fn choice_of(api: ApiKey, version: i16) -> u8 {
    (0..=u8::MAX)
        .find(|choice| readable(*choice) == (api, version))
        .unwrap()
}

fn batch() -> Bytes {
    let records = vec![
        Plain {
            timestamp_delta: 3,
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: vec![
                ("a".to_owned(), Some(b"b".to_vec())),
                ("c".to_owned(), None),
            ],
        },
        Plain::value("second"),
    ];
    BatchSpec {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchSpec::of(records)
    }
    .encode()
}

fn message_set(magic: LegacyMagic, codec: CompressionType) -> Vec<u8> {
    let records = [
        LegacyPlain::new(30, Some("key"), Some("value")),
        LegacyPlain::new(20, None, Some("second")),
        LegacyPlain::new(20, Some(""), None),
    ];
    let staged = Staged::new(&records, 3, 0);
    let compressor = Compressor::new(codec, None).unwrap();
    let (mut out, chunks) = (Vec::new(), staged.chunks());
    convert(&staged.facts, &chunks, magic, Some(&compressor), &mut out).unwrap();
    out
}

fn produce(version: i16, body: Bytes) -> Vec<u8> {
    let records = Some(MemoryRecords {
        head: BatchHead::EMPTY,
        body,
    });
    let topic = TopicProduceData {
        name: "orders".into(),
        partitions: vec![PartitionProduceData { index: 0, records }],
    };
    let request = Request::Produce(ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1000,
        topics: vec![topic],
    });
    payload(&request.encode(version, 1, Some("c")).unwrap())
}

/// For each seed: its name, its codec and format, and data compressed by Java, which stays the same when our encoders
/// change.
const COMPRESSED: [(&str, u8, &[u8]); 6] = [
    ("none", 0, b"plain bytes"),
    ("gzip", 1, include_bytes!("../compress/tests/java/short.gz")),
    (
        "snappy",
        2,
        include_bytes!("../compress/tests/java/short.snappy"),
    ),
    ("lz4", 3, include_bytes!("../compress/tests/java/short.lz4")),
    (
        "lz4_format_0",
        13,
        include_bytes!("../compress/tests/java/short-format-0.lz4"),
    ),
    (
        "zstd",
        4,
        include_bytes!("../compress/tests/java/short.zst"),
    ),
];

/// For each seed: its name, the kind of store, the file, and the number of certificates in it.
#[cfg(feature = "tls-no-provider")]
const STORES: [(&str, u8, &[u8], usize); 13] = {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../security/tls/tests/stores/", $name))
        };
    }
    [
        ("pem_trust", 0, file!("authority.pem"), 1),
        ("java_trust", 1, file!("trust.p12"), 1),
        ("pem_keys", 2, file!("keys.pem"), 2),
        ("pem_keys_sealed", 2, file!("sealed-keys.pem"), 1),
        ("p12_keys_plain", 3, file!("plain-keys.p12"), 2),
        ("p12_keys_checked", 3, file!("checked-keys.p12"), 2),
        ("p12_keys", 3, file!("keys.p12"), 2),
        ("p12_keys_legacy", 3, file!("legacy-keys.p12"), 2),
        ("key_sealed", 4, file!("sealed-key.der"), 0),
        ("jks_trust", 1, file!("trust.jks"), 1),
        ("jks_keys", 3, file!("keys.jks"), 2),
        ("jks_keys_two_passwords", 5, file!("two-passwords.jks"), 2),
        (
            "p12_keys_two_passwords",
            5,
            file!("two-passwords-unchecked.p12"),
            2,
        ),
    ]
};

/// For each seed: its name, the file, and the number of its entries.
const JKS: [(&str, &[u8], usize); 4] = [
    (
        "trust",
        include_bytes!("../security/tls/tests/stores/trust.jks"),
        1,
    ),
    (
        "keys",
        include_bytes!("../security/tls/tests/stores/keys.jks"),
        1,
    ),
    (
        "several",
        include_bytes!("../security/tls/tests/stores/several.jks"),
        4,
    ),
    (
        "version_1",
        include_bytes!("../security/tls/tests/stores/version-1.jks"),
        2,
    ),
];

/// For each seed: its name, the kind of text, and the text.
const AWS: [(&str, u8, &str); 4] = [
    (
        "config",
        0,
        "[default]\nregion = eu-central-1\ns3 =\n  x = y\n[profile a b]\nrole_arn=arn:aws:iam::1:role/x # c\n\
         source_profile = default\n[sso-session c]\nsso_region = eu-west-1\n",
    ),
    (
        "credentials",
        1,
        "# c\r\n[default]\r\naws_access_key_id = AKIDEXAMPLE\r\n\
         aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\r\n",
    ),
    (
        "sts",
        2,
        "<?xml version=\"1.0\"?><R xmlns=\"x\"><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>a&amp;b\
         &#43;c&#x2f;dEXAMPLEKEYEXAMPLEKEY</SecretAccessKey><SessionToken>AQoDYXdz==</SessionToken>\
         <Expiration>2099-11-09T13:34:41Z</Expiration></Credentials><Other/></R>\n",
    ),
    (
        "metadata",
        3,
        "{\"Code\": \"Success\", \"AccessKeyId\": \"ASIA\", \"SecretAccessKey\": \"a\\/bEXAMPLEKEYEXAMPLEKEY\", \
         \"Token\": \"AQoDYXdz\\u003d=\", \"Expiration\": \"2099-05-17T15:09:54Z\"}",
    ),
];

/// A batch in one uncompressed lz4 block, which does not depend on the encoder.
fn compressed_batch() -> Vec<u8> {
    let spec = BatchSpec::sequenced(7, 0, 0, 2);
    let batch = spec.encode();
    let payload = &batch[RECORD_BATCH_OVERHEAD..];
    let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
    frame.extend_from_slice(&(payload.len() as u32 | 0x8000_0000).to_le_bytes());
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&[0; 4]);
    spec.wrap_with(CompressionType::Lz4, &frame).to_vec()
}

/// Responses of a token endpoint: whole ones, and bodies.
fn token_responses() -> [(&'static str, Vec<u8>); 5] {
    // The claims are {"sub":"a","exp":1767229200,"iat":1767225600,"scope":["x"]}.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjoxNzY3MjI5MjAwLCJpYXQiOjE3NjcyMjU2MDAsInNjb3BlIjpbIngiXX0.c2ln";
    let body = format!("{{\"access_token\":\"{token}\",\"expires_in\":3600}}");
    let error = "{\"error\":\"invalid_client\",\"error_description\":\"x\"}";
    let head = "HTTP/1.1 200 OK\r\n";
    let length = format!("\0{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "\0HTTP/1.1 100 Continue\r\n\r\n{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    [
        ("length", length.into_bytes()),
        ("chunked", chunked.into_bytes()),
        (
            "close",
            format!("\0HTTP/1.0 400 Bad\r\n\r\n{error}").into_bytes(),
        ),
        ("body", format!("\u{1}{body}").into_bytes()),
        (
            "opaque",
            b"\x01{\"access_token\":\"opaque\",\"expires_in\":\"60\"}".to_vec(),
        ),
    ]
}

/// Folder, name and content of each seed.
fn seeds() -> BTreeMap<(&'static str, String), Vec<u8>> {
    let mut seeds = BTreeMap::new();
    for api in ApiKey::ALL {
        let name = api.name().to_lowercase();
        for version in representative_versions(api) {
            let mut response = vec![choice_of(api, version)];
            response.extend(payload(&full_response(api).encode(version, 5)));
            seeds.insert(("responses", format!("{name}_v{version}")), response);
        }
        let newest = api.max_version();
        let request = full_request(api, newest).encode(newest, 5, Some("c"));
        seeds.insert(
            ("requests", format!("{name}_v{newest}")),
            payload(&request.unwrap()),
        );
    }
    for version in [3, 9] {
        seeds.insert(
            ("requests", format!("a_batch_v{version}")),
            produce(version, batch()),
        );
    }
    seeds.insert(("batches", "one".to_owned()), batch().to_vec());
    let two = [batch(), BatchSpec::sequenced(1, 0, 0, 3).encode()].concat();
    seeds.insert(("batches", "two".to_owned()), two);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        // The output of gzip may depend on the processor; a seed must not.
        for codec in CODECS
            .into_iter()
            .filter(|codec| *codec != CompressionType::Gzip)
        {
            let name = format!("v{}_{codec}", magic.magic() as u8);
            let input = [&[1][..], &message_set(magic, codec)].concat();
            seeds.insert(("message_sets", name), input);
        }
    }
    let set = message_set(LegacyMagic::V1, CompressionType::Snappy);
    seeds.insert(
        ("requests", "a_message_set_v2".to_owned()),
        produce(2, set.into()),
    );
    seeds.insert(("batches", "compressed".to_owned()), compressed_batch());
    for (name, choice, file) in COMPRESSED {
        // A limit of 256 bytes, larger than the content.
        let input = [&[choice, 4, 0][..], file].concat();
        seeds.insert(("compression", name.to_owned()), input);
    }
    let stream = b"\0\0\0\x05hello\0\0\0\0\0\0\0\x06world!";
    for (name, cap, pieces) in [("bytes", 3, [1; PIECES]), ("mixed", 15, [3, 1, 200, 4])] {
        let input = [&[cap][..], &pieces, stream].concat();
        seeds.insert(("frames", name.to_owned()), input);
    }
    let package = "org.apache.kafka.common.security";
    for (name, text) in [
        (
            "plain",
            "plain.PlainLoginModule required username=\"a\\\"b\" password='c\\n\\101d';",
        ),
        (
            "scram",
            "scram.ScramLoginModule /* x */ optional username=a-b.c password=\"\" tokenauth=true; // y",
        ),
        (
            "token",
            "oauthbearer.OAuthBearerLoginModule Required\n\tunsecuredLoginStringClaim_sub=\"x\";",
        ),
    ] {
        seeds.insert(
            ("jaas", name.to_owned()),
            format!("{package}.{text}").into_bytes(),
        );
    }
    for (name, text) in [
        ("path", "x ${a:/etc/kafka/s.properties:key} ${b:/c:d}"),
        ("nested", "${a:b${a:c:d:e}}${a}${"),
        (
            "login",
            "username=\"${a:user}\" password=\"${a::password}\";",
        ),
        ("pattern", "(${a:[^A-Z]}|\\w+)*"),
    ] {
        let text = text.as_bytes().to_vec();
        seeds.insert(("config_variables", name.to_owned()), text);
    }
    let nonce = "A".repeat(32);
    for (name, text) in [
        (
            "exchange",
            format!("r={nonce}xyz,s=Zm9v,i=4096\0v=Zm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm8="),
        ),
        (
            "error",
            format!("r={nonce}xyz,s=Zm9v,i=4096,ext=a=b\0e=other-error,x=y"),
        ),
        ("many", format!("r={nonce}1,s=Zm9vYg==,i=2147483647\0")),
    ] {
        seeds.insert(("scram", name.to_owned()), text.into_bytes());
    }
    for (name, input) in token_responses() {
        seeds.insert(("tokens", name.to_owned()), input);
    }
    for (name, kind, text) in AWS {
        let input = [&[kind][..], text.as_bytes()].concat();
        seeds.insert(("aws", name.to_owned()), input);
    }
    #[cfg(feature = "tls-no-provider")]
    for (name, kind, file, _) in STORES {
        let input = [&[kind][..], file].concat();
        seeds.insert(("stores", name.to_owned()), input);
    }
    for (name, file, _) in JKS {
        seeds.insert(("jks", name.to_owned()), file.to_vec());
    }
    seeds
}

/// The files in `fuzz/seeds` are those that are generated here. `UPDATE_SEEDS=1` writes them.
#[test]
fn the_seeds_are_up_to_date() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !fuzz.exists() {
        // The published package does not contain them; in the repository `tests/fuzz_smoke.rs` requires them.
        return;
    }
    let root = fuzz.join("seeds");
    for ((folder, name), bytes) in seeds() {
        let file = root.join(folder).join(&name);
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(&file, &bytes).unwrap();
        }
        let written = fs::read(&file).unwrap_or_default();
        assert!(
            written == bytes,
            "{folder}/{name} is old: UPDATE_SEEDS=1 cargo test --lib the_seeds_are_up_to_date"
        );
    }
}

#[test]
fn seeds_pass_the_first_checks() {
    for ((folder, name), bytes) in seeds() {
        match folder {
            "responses" => {
                let (api, version) = readable(bytes[0]);
                let frame = Bytes::copy_from_slice(&bytes[1..]);
                assert!(read_response(api, version, &frame).is_ok(), "{name}");
            }
            "requests" => {
                assert!(read_request(&Bytes::from(bytes)).is_some(), "{name}");
            }
            "batches" => {
                let batch = RecordBatch::take(&mut Bytes::from(bytes)).unwrap();
                assert_eq!(batch.check_crc(), Ok(()));
                let payload = batch.uncompressed(UNCOMPRESSED_BYTES).unwrap();
                let mut records = batch.records_in(&payload).unwrap();
                assert!(records.all(|record| record.is_ok()));
            }
            "compression" => {
                let codec = CompressionType::from_id(bytes[0] % 5).unwrap();
                let magic = if name == "lz4_format_0" {
                    Magic::V0
                } else {
                    Magic::V2
                };
                assert!(decompress(codec, magic, &bytes[3..], 256).is_ok(), "{name}");
            }
            "message_sets" => {
                let mut count = 0;
                visit_records(&bytes[1..], 1000, |_| count += 1).unwrap();
                assert_eq!(count, 3);
            }
            "config_variables" => {
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.contains("${a:"), "{name}");
            }
            "jaas" => {
                let text = String::from_utf8(bytes).unwrap();
                assert!(jaas::parse(&text).is_ok(), "{name}");
            }
            #[cfg(feature = "msk-iam")]
            "aws" => {
                let text = std::str::from_utf8(&bytes[1..]).unwrap();
                let kept = crate::security::sasl::msk_iam::read_any(bytes[0], text);
                assert!(kept.is_ok_and(|kept| kept > 30), "{name}");
            }
            #[cfg(feature = "pkcs12")]
            "stores" => {
                let known = STORES.iter().find(|(known, ..)| *known == name);
                let count = crate::security::tls::read_any_store(&bytes);
                assert_eq!(count, Ok(known.unwrap().3), "{name}");
            }
            #[cfg(feature = "pkcs12")]
            "jks" => {
                let known = JKS.iter().find(|(known, ..)| *known == name);
                let count = crate::security::tls::check_any_jks(&bytes);
                assert_eq!(count, Some(known.unwrap().2), "{name}");
            }
            _ => {}
        }
    }
}
