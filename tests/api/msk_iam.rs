//! Tokens for Amazon MSK with IAM, from the environment of a process, and verified by brokers as AWS does it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, MskIamOptions, ProducerConfig};
use sha2::{Digest, Sha256};

use crate::support::{LONG, record, values};

const RECORDS: usize = 100_000;
const PARTITIONS: usize = 6;

const REGION: &str = "eu-central-1";
const KEY_ID: &str = "ASIAEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str =
    "AQoDYXdzEJr//////////wEaoAK1wvxJY12r2IrDFT2IvAzTCn3zHoZ7YNtpiQLF0MqZye+qwjzP2iEXAMPLEbw==";

/// The name of the variable with the brokers of the child process.
const SERVERS: &str = "MSK_IAM_TEST_SERVERS";

/// The configuration as Amazon documents it for Java. Region and credentials are in the environment, so the producer
/// runs in a process of its own.
#[test]
fn brokers_that_verify_as_aws_does_accept_100_000_records() {
    let checked = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let log = Arc::clone(&checked);
    let cluster = TestCluster::builder()
        .nodes(3)
        .topic("t", PARTITIONS)
        .sasl_session(Duration::from_millis(200))
        .sasl_token_check(move |token| {
            let mut log = log.lock().unwrap();
            match verified(token, SystemTime::now()) {
                Ok(()) => log.0.push(token.to_owned()),
                Err(why) => log.1.push(why),
            }
            log.1.is_empty()
        })
        .start()
        .unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "msk_iam::a_process_with_aws_credentials"])
        .args(["--ignored", "--nocapture"])
        .env(SERVERS, cluster.bootstrap_servers())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", SESSION)
        .output()
        .unwrap();
    let printed = [child.stdout, child.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(child.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
    let (accepted, refused) = &*checked.lock().unwrap();
    assert_eq!(refused, &Vec::<String>::new());
    // Each connection authenticates, and again before its session ends.
    assert!(accepted.len() > 6, "{}", accepted.len());
    let written: usize = (0..PARTITIONS)
        .map(|partition| cluster.records("t", partition as i32).len())
        .sum();
    assert_eq!(written, RECORDS);
    changed_tokens_are_refused(&accepted[0]);
}

/// The check that accepted the token would refuse any other.
fn changed_tokens_are_refused(token: &str) {
    let now = SystemTime::now();
    assert_eq!(verified(token, now), Ok(()));
    let late = now + Duration::from_secs(901);
    assert_eq!(verified(token, late), Err("it has expired".to_owned()));
    let url = String::from_utf8(decoded(token).unwrap()).unwrap();
    for (from, to) in [
        ("kafka-cluster%3AConnect", "kafka-cluster%3AWrite"),
        (KEY_ID, "ASIAOTHER"),
        (REGION, "eu-central-2"),
        ("X-Amz-Expires=900", "X-Amz-Expires=901"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("AQoDYXdz", "AQoDYXdy"),
        ("SignedHeaders=host", "SignedHeaders=host&X-More=1"),
    ] {
        let changed = url.replace(from, to);
        assert_ne!(changed, url, "{from}");
        assert!(verified_url(&changed, now).is_err(), "{changed}");
    }
}

#[test]
#[ignore = "runs as a process of the test above, with the environment that it needs"]
fn a_process_with_aws_credentials() {
    let Ok(servers) = env::var(SERVERS) else {
        return;
    };
    let properties = format!(
        "bootstrap.servers={servers}
security.protocol=SASL_PLAINTEXT
sasl.mechanism=OAUTHBEARER
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
sasl.login.callback.handler.class=software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler
sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler
"
    );
    let config = ProducerConfig::from_properties_str(&properties).unwrap();
    let producer = KafkaProducer::<str, str>::new(config).unwrap();
    let mut futures = Vec::with_capacity(RECORDS);
    for number in 0..RECORDS {
        futures.push(producer.send(record(&number.to_string())).unwrap());
        if number % (RECORDS / 10) == 0 {
            // So that the sending takes longer than some sessions.
            std::thread::sleep(Duration::from_millis(60));
        }
    }
    for future in futures {
        future.get_timeout(LONG).unwrap();
    }
    producer.close().unwrap();
}

#[test]
fn the_method_of_the_configuration_searches_credentials_without_a_name_of_java() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_token("never sent")
        .start()
        .unwrap();
    let config = crate::support::config(&cluster)
        .set("security.protocol", "SASL_PLAINTEXT")
        .max_block(Duration::from_secs(2))
        .sasl_msk_iam(
            &MskIamOptions::new()
                .region("us-west-2")
                .profile("no such profile")
                .default_sources(false),
        )
        .build()
        .unwrap();
    let producer = KafkaProducer::<str, str>::new(config).unwrap();
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    let words = "there are no AWS credentials. awsProfileName: there is no profile no such profile";
    assert!(error.to_string().contains(words), "{error}");
    assert!(values(&cluster, 0).is_empty());
}

/// Verifies a token by the rules of AWS Signature Version 4 for presigned URLs, with the secret of its key.
fn verified(token: &str, now: SystemTime) -> Result<(), String> {
    let url = decoded(token).ok_or("it is not in the alphabet of Base64 for URLs")?;
    let url = String::from_utf8(url).map_err(|_| "it is not text")?;
    verified_url(&url, now)
}

fn verified_url(url: &str, now: SystemTime) -> Result<(), String> {
    let host = format!("kafka.{REGION}.amazonaws.com");
    let query = url.strip_prefix(&format!("https://{host}/?"));
    let query = query.ok_or("it is of another host")?;
    let mut fields = BTreeMap::new();
    for field in query.split('&') {
        let (name, value) = field.split_once('=').ok_or("a field has no value")?;
        if fields.insert(name, value).is_some() {
            return Err(format!("{name} occurs twice"));
        }
    }
    let agent = fields.remove("User-Agent").ok_or("it has no user agent")?;
    if !agent.starts_with("kafka-producer%2F") {
        return Err("its user agent is another".to_owned());
    }
    let signature = fields.remove("X-Amz-Signature").ok_or("it is not signed")?;
    // A map of encoded names is in the order of the canonical request.
    let canonical: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let plain: BTreeMap<&str, String> = fields
        .iter()
        .map(|(name, value)| (*name, unescaped(value)))
        .collect();
    let date = plain.get("X-Amz-Date").ok_or("it has no date")?;
    let day = date.get(..8).ok_or("its date is too short")?;
    let scope = format!("{day}/{REGION}/kafka-cluster/aws4_request");
    let expected = BTreeMap::from([
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", format!("{KEY_ID}/{scope}")),
        ("X-Amz-Date", date.clone()),
        ("X-Amz-Expires", "900".to_owned()),
        ("X-Amz-Security-Token", SESSION.to_owned()),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ]);
    if plain != expected {
        return Err(format!("its fields are {plain:?}"));
    }
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let signed = seconds(date).ok_or("its date is malformed")?;
    if signed > now + 300 {
        return Err("it is of the future".to_owned());
    }
    if now >= signed + 900 {
        return Err("it has expired".to_owned());
    }
    let request = format!(
        "GET\n/\n{}\nhost:{host}\n\nhost\n{}",
        canonical.join("&"),
        hex(&Sha256::digest(b""))
    );
    let hash = hex(&Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, REGION, "kafka-cluster", "aws4_request", &text] {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
        key = mac
            .chain_update(part.as_bytes())
            .finalize()
            .into_bytes()
            .to_vec();
    }
    if hex(&key) != signature {
        return Err("its signature is wrong".to_owned());
    }
    Ok(())
}

/// Seconds since 1970 of `20240229T235959Z`.
fn seconds(date: &str) -> Option<u64> {
    let number = |at: std::ops::Range<usize>| date.get(at)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let years = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum::<u64>();
    let months: u64 = lengths.iter().take(month as usize - 1).sum();
    let time = number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?;
    (date.len() == 16 && date.ends_with('Z')).then_some((years + months + day - 1) * 86_400 + time)
}

fn decoded(token: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in token.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

fn unescaped(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
