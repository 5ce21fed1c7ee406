//! Tokens and signatures of Amazon's own signers, see `vectors/make.py`.

use crate::clock::Timestamp;
use crate::config::Password;
use crate::security::sasl::msk_iam::aws_credentials::AwsCredentials;
use crate::security::sasl::msk_iam::signature::RequestSigner;
use crate::security::sasl::msk_iam::sts::authorization;
use crate::security::sasl::msk_iam::token::sign_token;

const TOKENS: &str = include_str!("vectors/tokens.tsv");
const REQUESTS: &str = include_str!("vectors/requests.tsv");

/// The fields of each line: the time, the region, the credentials, and the rest.
fn lines(text: &str) -> impl Iterator<Item = (Timestamp, &str, AwsCredentials, Vec<&str>)> {
    text.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [seconds, region, key_id, secret, session, rest @ ..] = &*fields else {
            panic!("{line}");
        };
        let session = Some(*session).filter(|session| *session != "-");
        let credentials = AwsCredentials {
            access_key_id: (*key_id).to_owned(),
            secret_access_key: Password::new(*secret),
            session_token: session.map(Password::new),
            expires: None,
        };
        let millis = seconds.parse::<i64>().unwrap() * 1000;
        (
            Timestamp::from_millis(millis),
            *region,
            credentials,
            rest.to_vec(),
        )
    })
}

#[test]
fn tokens_are_those_of_amazons_signer() {
    let mut count = 0;
    for (now, region, credentials, rest) in lines(TOKENS) {
        let [user_agent, expected] = *rest else {
            panic!("{rest:?}");
        };
        let token = sign_token(&credentials, region, user_agent, now);
        assert_eq!(token.value().expose(), expected, "{now} {region}");
        assert_eq!(token.valid_for().as_secs(), 900);
        assert_eq!(token.check(), Ok(()));
        count += 1;
    }
    assert_eq!(count, 81);
}

#[test]
fn requests_to_sts_are_signed_as_by_amazons_signer() {
    let mut count = 0;
    for (now, region, credentials, rest) in lines(REQUESTS) {
        let [endpoint, body, expected] = *rest else {
            panic!("{rest:?}");
        };
        let host = endpoint.split('/').nth(2).unwrap();
        let signer = RequestSigner::new(&credentials, region, "sts", now);
        let session = credentials.session_token.as_ref();
        let signed = authorization(&signer, host, session, &Password::new(body));
        assert_eq!(signed, expected, "{now} {region} {endpoint}");
        count += 1;
    }
    assert_eq!(count, 108);
}

#[test]
fn a_token_ends_with_its_credentials_and_with_the_second_of_its_signature() {
    let mut credentials = AwsCredentials::new("A", "s", Some("t"), None).unwrap();
    let valid_for = |credentials: &AwsCredentials, millis| {
        let now = Timestamp::from_millis(millis);
        let token = sign_token(credentials, "eu-central-1", "x", now);
        token.valid_for().as_millis()
    };
    assert_eq!(valid_for(&credentials, 5_000), 900_000);
    assert_eq!(valid_for(&credentials, 5_999), 899_001);
    credentials.expires = Some(Timestamp::from_millis(105_000));
    assert_eq!(valid_for(&credentials, 5_999), 99_001);
    assert_eq!(valid_for(&credentials, 105_001), 0);
}
