//! Profiles: credentials in them, and the roles that they name.

use super::service_double::{ServiceDouble, ok};
use super::{ASSUMED, DOCUMENT, NO_INSTANCE, TemporaryFile, context, failure, found};
use crate::security::sasl::msk_iam::profile;

const FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";

const PROFILES: &str = "
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = hunter2

[session]
aws_access_key_id = AKSESSION
aws_secret_access_key = hunter2
aws_session_token = hunter3

[role]
role_arn = arn:aws:iam::1:role/a
source_profile = session
external_id = x y
duration_seconds = 1800
region = eu-west-3

[own]
role_arn = arn:aws:iam::1:role/own
source_profile = own
aws_access_key_id = AKOWN
aws_secret_access_key = hunter2

[second]
role_arn = arn:aws:iam::1:role/b
role_session_name = b
source_profile = role

[environment]
role_arn = arn:aws:iam::1:role/c
credential_source = Environment

[container]
role_arn = arn:aws:iam::1:role/d
credential_source = EcsContainer

[circle]
role_arn = arn:aws:iam::1:role/e
source_profile = around

[around]
role_arn = arn:aws:iam::1:role/f
source_profile = circle

[process]
credential_process = hunter2 --secret

[sso]
sso_session = hunter2

[mfa]
role_arn = arn:aws:iam::1:role/g
source_profile = session
mfa_serial = hunter2

[both]
role_arn = arn:aws:iam::1:role/h
source_profile = session
credential_source = Environment

[neither]
role_arn = arn:aws:iam::1:role/i

[unknown_source]
role_arn = arn:aws:iam::1:role/j
credential_source = hunter2

[missing_source]
role_arn = arn:aws:iam::1:role/k
source_profile = nobody

[half]
aws_access_key_id = AKHALF

[invalid]
aws_access_key_id = AKINVALID
aws_secret_access_key = hunter2 hunter2
";

#[test]
fn the_default_profile_is_used_or_the_one_that_is_named() {
    let file = TemporaryFile::new("default", PROFILES);
    let variables = [(FILE, file.path()), NO_INSTANCE];
    let (credentials, source) = found(&[], &variables).unwrap();
    assert_eq!(
        (&*credentials.access_key_id, source),
        ("AKDEFAULT", "profile")
    );
    let named = [(FILE, file.path()), ("AWS_PROFILE", "session")];
    let (credentials, source) = found(&[], &named).unwrap();
    assert_eq!(
        (&*credentials.access_key_id, source),
        ("AKSESSION", "profile")
    );
    assert_eq!(credentials.session_token.unwrap().expose(), "hunter3");
    let (credentials, source) = found(&[("awsProfileName", "session")], &variables).unwrap();
    assert_eq!(
        (&*credentials.access_key_id, source),
        ("AKSESSION", "awsProfileName")
    );
}

#[test]
fn a_profile_in_the_home_directory_is_found_and_a_missing_one_is_not() {
    let folder = std::env::temp_dir().join(format!("kafka-producer-home-{}", std::process::id()));
    std::fs::create_dir_all(folder.join(".aws")).unwrap();
    std::fs::write(folder.join(".aws/credentials"), PROFILES).unwrap();
    let config = "[profile web]\nregion = eu-west-1\n";
    std::fs::write(folder.join(".aws/config"), config).unwrap();
    let home = folder.to_str().unwrap();
    let result = std::panic::catch_unwind(|| {
        let (credentials, _) = found(&[], &[("HOME", home)]).unwrap();
        assert_eq!(credentials.access_key_id, "AKDEFAULT");
        let web = profile::region(&context(&[("HOME", home)]), Some("web"));
        assert_eq!(web, Ok(Some("eu-west-1".to_owned())));
        // The default sources follow, unless they are excluded; a wrong variable is an error.
        let missing = [("awsProfileName", "nobody")];
        assert_eq!(found(&missing, &[("HOME", home)]).unwrap().1, "profile");
        // A profile that is named and exists is a source, even without keys.
        let why = found(&[("awsProfileName", "web")], &[("HOME", home)]).unwrap_err();
        assert_eq!(why, "awsProfileName: profile web: it has no credentials");
        let why = found(&[], &[("HOME", home), ("AWS_PROFILE", "web")]).unwrap_err();
        assert!(why.ends_with("profile web: it has no credentials"), "{why}");
        let alone = [missing[0], ("awsAddDefaultProviders", "false")];
        let why = found(&alone, &[("HOME", home)]).unwrap_err();
        assert_eq!(why, "awsProfileName: there is no profile nobody");
        let why = found(&[], &[("HOME", home), ("AWS_PROFILE", "nobody")]).unwrap_err();
        assert!(
            why.ends_with("profile: AWS_PROFILE: there is no profile nobody"),
            "{why}"
        );
    });
    std::fs::remove_dir_all(&folder).unwrap();
    result.unwrap();
}

#[test]
fn a_role_of_a_profile_is_assumed_with_the_credentials_of_its_source() {
    let file = TemporaryFile::new("roles", PROFILES);
    let service = ServiceDouble::start(|request| match &*request.method {
        "GET" => ok(DOCUMENT),
        _ => ok(ASSUMED),
    });
    let container = format!("{}/c", service.url());
    let sts = service.url();
    let variables = [
        (FILE, file.path()),
        ("AWS_ENDPOINT_URL_STS", &*sts),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*container),
    ];
    let environment = [
        variables[0],
        variables[1],
        ("AWS_ACCESS_KEY_ID", "AKENV"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
    ];
    for (name, variables, signed_with) in [
        ("role", &variables[..], &["AKSESSION/"][..]),
        ("own", &variables, &["AKOWN/"]),
        ("second", &variables, &["AKSESSION/", "ASIAROLE/"]),
        ("environment", &environment, &["AKENV/"]),
        ("container", &variables, &["ASIAFOUND/"]),
    ] {
        let before = service.requests().len();
        let (credentials, source) = found(&[("awsProfileName", name)], variables).unwrap();
        assert_eq!(
            (&*credentials.access_key_id, source),
            ("ASIAROLE", "awsProfileName")
        );
        let requests = service.requests().split_off(before);
        let mut posts = requests.iter().filter(|request| request.method == "POST");
        for key in signed_with {
            let signed = &posts.next().unwrap().headers["authorization"];
            assert!(signed.contains(key), "{name}: {signed}");
        }
        assert!(posts.next().is_none());
    }
    let first = &service.requests()[0];
    assert_eq!(
        first.body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa\
         &RoleSessionName=kafka-producer&ExternalId=x%20y&DurationSeconds=1800"
    );
    assert!(first.headers["authorization"].contains("/eu-west-3/sts/"));
}

#[test]
fn a_profile_that_cannot_be_used_is_named_with_the_reason() {
    let file = TemporaryFile::new("unusable", PROFILES);
    let context = context(&[(FILE, file.path())]);
    for (name, expected) in [
        ("circle", "leads back"),
        ("process", "starts no programs"),
        ("sso", "aws configure export-credentials"),
        ("mfa", "mfa_serial"),
        ("both", "either source_profile or credential_source"),
        ("neither", "either source_profile or credential_source"),
        ("unknown_source", "credential_source is none of"),
        ("missing_source", "there is no profile nobody"),
        ("half", "aws_secret_access_key"),
        ("invalid", "secret access key has blanks"),
    ] {
        let why = failure(profile::credentials(&context, Some(name), "eu-west-1"));
        assert!(
            why.contains(expected) && why.contains("profile"),
            "{name}: {why}"
        );
        assert!(!why.contains("hunter"), "{why}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_without_its_content() {
    let malformed = TemporaryFile::new("malformed", "[default]\nhunter2\n");
    let binary = TemporaryFile::new("binary", b"[default]\nhunter2=\xff\n");
    let huge = TemporaryFile::new("huge", vec![b'#'; 1024 * 1024 + 1]);
    let folder = std::env::temp_dir();
    for (path, expected) in [
        (malformed.path(), "line 2"),
        (binary.path(), "UTF-8"),
        (huge.path(), "more than 1048576 bytes"),
        (folder.to_str().unwrap(), "not a regular file"),
    ] {
        let why = found(&[], &[(FILE, path), NO_INSTANCE]).unwrap_err();
        assert!(why.contains(expected) && why.contains("profile: "), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
}
