//! Renewals of credentials: what remains in use if a source fails, expires, or gives way to another one.

use std::collections::BTreeMap;
use std::env::VarError;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use super::service_double::{Reply, ServiceDouble, ok};
use super::{DOCUMENT, LIMITS, NO_INSTANCE, TemporaryFile, context, context_of, tokens};
use crate::clock::mock::MockClock;
use crate::clock::{Clock, SystemClock};
use crate::security::sasl::msk_iam::MskIamTokens;
use crate::sync::{Mutex, Rank};

const HOUR_MILLIS: i64 = 3_600_000;
const REGION: &str = "eu-central-1";

/// A source of tokens whose environment and clock the test changes.
struct Rig {
    tokens: MskIamTokens,
    clock: Arc<MockClock>,
    variables: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Rig {
    fn new() -> Self {
        let variables = Arc::new(Mutex::new(Rank::LEAF, BTreeMap::new()));
        let clock = Arc::new(MockClock::new());
        let read = Arc::clone(&variables);
        let read = move |name: &str| {
            let found: Option<String> = read.lock().get(name).cloned();
            found.ok_or(VarError::NotPresent)
        };
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let rig = Self {
            tokens: tokens(&[], context_of(Arc::new(read), LIMITS, shared)),
            clock,
            variables,
        };
        rig.set(NO_INSTANCE.0, NO_INSTANCE.1);
        rig
    }

    fn set(&self, name: &'static str, value: &str) {
        self.variables.lock().insert(name, value.to_owned());
    }

    fn unset(&self, name: &str) {
        self.variables.lock().remove(name);
    }

    /// The access key of the credentials that a token would be signed with.
    fn key(&self) -> Result<String, String> {
        let found = self.tokens.credentials(REGION)?;
        Ok(found.access_key_id)
    }
}

const PROFILE: &str = "[default]\naws_access_key_id = AKPROFILE\naws_secret_access_key = hunter2\n";
const FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
const CONTAINER: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

#[test]
fn another_source_is_used_only_when_the_credentials_before_have_ended() {
    let rig = Rig::new();
    let service = ServiceDouble::start(|_| ok(DOCUMENT));
    let file = TemporaryFile::new("renewal", PROFILE);
    rig.set(CONTAINER, &service.url());
    rig.set(FILE, file.path());
    assert_eq!(rig.key().as_deref(), Ok("AKPROFILE"));
    // The file is gone, and the container would be another principal.
    rig.set(FILE, "/no/such/file");
    rig.clock.jump_wall(HOUR_MILLIS - 1);
    assert_eq!(rig.key().as_deref(), Ok("AKPROFILE"));
    rig.clock.jump_wall(1);
    assert_eq!(rig.key().as_deref(), Ok("ASIAFOUND"));
    // Those of the container expire in 2099.
    rig.set(FILE, file.path());
    rig.clock.jump_wall(24 * HOUR_MILLIS);
    assert_eq!(rig.key().as_deref(), Ok("ASIAFOUND"));
}

#[test]
fn keys_without_an_expiry_are_used_for_an_hour_after_the_last_search_that_found_them() {
    let rig = Rig::new();
    rig.set("AWS_ACCESS_KEY_ID", "AKENV");
    rig.set("AWS_SECRET_ACCESS_KEY", "hunter2");
    for _ in 0..2 {
        assert_eq!(rig.key().as_deref(), Ok("AKENV"));
        rig.clock.jump_wall(HOUR_MILLIS - 1);
    }
    rig.unset("AWS_SECRET_ACCESS_KEY");
    assert_eq!(rig.key().as_deref(), Ok("AKENV"));
    rig.clock.jump_wall(1);
    let why = rig.key().unwrap_err();
    assert!(why.contains("AWS_SECRET_ACCESS_KEY is not"), "{why}");
}

#[test]
fn a_variable_that_is_not_utf_8_is_an_error() {
    let read = |name: &str| match name {
        "AWS_REGION" => Ok(REGION.to_owned()),
        "AWS_EC2_METADATA_DISABLED" => Ok("true".to_owned()),
        "AWS_PROFILE" => Err(VarError::NotUnicode(OsString::from("hunter2"))),
        _ => Err(VarError::NotPresent),
    };
    let context = context_of(Arc::new(read), LIMITS, Arc::new(SystemClock::new()));
    let why = tokens(&[], context).token().unwrap_err();
    assert_eq!(why, "the environment variable AWS_PROFILE is not UTF-8");
}

#[test]
fn the_last_credentials_are_used_until_they_expire_if_their_source_fails() {
    let answers = Mutex::new(
        Rank::LEAF,
        vec![
            ok(&DOCUMENT.replace("2099", "2001")),
            ok(&DOCUMENT.replace("2099", "2001")),
            Reply::Text(500, String::new()),
            ok(DOCUMENT),
        ],
    );
    // The answers are taken from the end.
    let service = ServiceDouble::start(move |_| answers.lock().pop().expect("a known request"));
    let url = service.url();
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
    ];
    let with_last = tokens(&[], context(&variables));
    for _ in 0..3 {
        let token = with_last.token().unwrap();
        assert!(token.valid_for() > Duration::from_secs(800));
    }
    let error = tokens(&[], context(&variables)).token().unwrap_err();
    assert!(
        error.contains("container: its credentials have expired"),
        "{error}"
    );
    assert!(!error.contains("hunter"), "{error}");
}
