//! The options of the login module, by the names of Amazon's library for Java (`aws-msk-iam-auth`, version 2).

use std::collections::BTreeMap;

use super::aws_credentials::AwsCredentials;
use super::region_name;
use super::sts::{RoleRequest, SESSION_NAME};
use crate::config::Password;

const REGION: &str = "awsRegion";
const PROFILE: &str = "awsProfileName";
const ROLE: &str = "awsRoleArn";
const SESSION: &str = "awsRoleSessionName";
const EXTERNAL_ID: &str = "awsRoleExternalId";
const KEY_ID: &str = "awsRoleAccessKeyId";
const SECRET: &str = "awsRoleSecretAccessKey";
const SESSION_TOKEN: &str = "awsRoleSessionToken";
const STS_REGION: &str = "awsStsRegion";
const ADD_DEFAULT: &str = "awsAddDefaultProviders";
const MAX_RETRIES: &str = "awsMaxRetries";
const MAX_BACK_OFF: &str = "awsMaxBackOffTimeMs";
const DEBUG: &str = "awsDebugCreds";
const FIPS: &str = "awsShouldUseFips";
const REGION_PROVIDER: &str = "awsMskRegionProvider";

/// All names, for the error about another one.
const NAMES: [&str; 15] = [
    REGION,
    PROFILE,
    ROLE,
    SESSION,
    EXTERNAL_ID,
    KEY_ID,
    SECRET,
    SESSION_TOKEN,
    STS_REGION,
    ADD_DEFAULT,
    MAX_RETRIES,
    MAX_BACK_OFF,
    DEBUG,
    FIPS,
    REGION_PROVIDER,
];

/// The parsed options.
#[derive(Debug)]
pub(super) struct MskIamLogin {
    /// The region of the cluster; `None` if the environment, the profile or the instance names it.
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) role: Option<LoginRole>,
    /// The region of STS; `None` for that of the cluster.
    pub(super) sts_region: Option<String>,
    /// Whether the default sources follow if the profile that is named here does not exist.
    pub(super) adds_default_sources: bool,
}

/// A role to assume.
#[derive(Debug)]
pub(super) struct LoginRole {
    pub(super) request: RoleRequest,
    /// The credentials that may assume the role; `None` for those of the default sources.
    pub(super) credentials: Option<AwsCredentials>,
}

impl MskIamLogin {
    /// Parses the options.
    ///
    /// # Errors
    /// A description of the invalid option, which does not quote values.
    ///
    /// # Kafka
    /// `MSKCredentialProvider.ProviderBuilder` of Amazon's library. Differs: `awsRegion` is an option, since there are
    /// no system properties; `awsRoleExternalId` is also used with keys; options that are not known are rejected.
    pub(super) fn of(options: &BTreeMap<String, Password>) -> Result<Self, String> {
        // The name of an option that is not known is not quoted: if quotation marks are missing, it may be part of a
        // secret.
        if options.keys().any(|name| !NAMES.contains(&name.as_str())) {
            return Err(format!(
                "one of its options is not known: there are {}",
                NAMES.join(", ")
            ));
        }
        let given = GivenOptions(options);
        given.check_those_without_effect()?;
        let region_of = |name: &str| {
            let region = given.text(name);
            let region = region.map(|text| region_name::checked(text.expose()));
            region
                .transpose()
                .map_err(|why| format!("the option {name} {why}"))
        };
        Ok(Self {
            region: region_of(REGION)?,
            profile: given.text(PROFILE).map(|text| text.expose().to_owned()),
            role: given.role()?,
            sts_region: region_of(STS_REGION)?,
            adds_default_sources: given.flag(ADD_DEFAULT)?.unwrap_or(true),
        })
    }
}

/// The options as they are given.
struct GivenOptions<'a>(&'a BTreeMap<String, Password>);

impl GivenOptions<'_> {
    /// An option that is not empty.
    fn text(&self, name: &str) -> Option<&Password> {
        let value = self.0.get(name);
        value.filter(|value| !value.expose().is_empty())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.text(name).map(Password::expose) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(format!("the option {name} is neither true nor false")),
        }
    }

    /// Rejects options that cannot be followed, and checks those that have no effect: a token that cannot be fetched is
    /// fetched again by the producer, and the debug log always names the source of the credentials.
    fn check_those_without_effect(&self) -> Result<(), String> {
        for name in [MAX_RETRIES, MAX_BACK_OFF] {
            let number = self.text(name).map(|text| text.expose().parse::<u32>());
            if number.is_some_and(|number| number.is_err()) {
                return Err(format!("the option {name} is not a number"));
            }
        }
        self.flag(DEBUG)?;
        if self.flag(FIPS)? == Some(true) {
            return Err(format!(
                "the option {FIPS} is not supported: set the environment variable AWS_ENDPOINT_URL_STS to the FIPS \
                 endpoint of STS"
            ));
        }
        if self.text(REGION_PROVIDER).is_some() {
            return Err(format!(
                "the option {REGION_PROVIDER} is not supported, since classes are not loaded: set {REGION}, or the \
                 environment variable AWS_REGION"
            ));
        }
        Ok(())
    }

    fn role(&self) -> Result<Option<LoginRole>, String> {
        let Some(arn) = self.text(ROLE) else {
            let others = [SESSION, EXTERNAL_ID, KEY_ID, SECRET, SESSION_TOKEN];
            return match others.iter().find(|name| self.text(name).is_some()) {
                Some(other) => Err(format!("the option {other} needs {ROLE}")),
                None => Ok(None),
            };
        };
        let is_arn = |arn: &str| {
            arn.starts_with("arn:")
                && arn.len() <= 2048
                && arn.bytes().all(|b| b.is_ascii_graphic())
        };
        if !is_arn(arn.expose()) {
            return Err(format!(
                "the option {ROLE} is not the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"
            ));
        }
        let session_name = self.text(SESSION).map_or(SESSION_NAME, Password::expose);
        let is_in_name = |b: u8| b.is_ascii_alphanumeric() || b"_=,.@-".contains(&b);
        if !(2..=64).contains(&session_name.len()) || !session_name.bytes().all(is_in_name) {
            return Err(format!(
                "the option {SESSION} is not a name of 2 to 64 letters, digits and characters of _=,.@-"
            ));
        }
        Ok(Some(LoginRole {
            request: RoleRequest {
                arn: arn.expose().to_owned(),
                session_name: session_name.to_owned(),
                external_id: self.text(EXTERNAL_ID).cloned(),
                duration_seconds: None,
            },
            credentials: self.keys()?,
        }))
    }

    /// The keys that may assume the role.
    fn keys(&self) -> Result<Option<AwsCredentials>, String> {
        let session = self.text(SESSION_TOKEN).map(Password::expose);
        match (self.text(KEY_ID), self.text(SECRET)) {
            (Some(key_id), Some(secret)) => {
                let (key_id, secret) = (key_id.expose(), secret.expose());
                AwsCredentials::new(key_id, secret, session, None)
                    .map(Some)
                    .map_err(|why| format!("{why} ({KEY_ID}, {SECRET}, {SESSION_TOKEN})"))
            }
            (None, None) if session.is_none() => Ok(None),
            _ => Err(format!(
                "the options {KEY_ID} and {SECRET} need each other, and {SESSION_TOKEN} needs both"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/msk";

    fn login(options: &[(&str, &str)]) -> Result<MskIamLogin, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), Password::new(*value));
        MskIamLogin::of(&options.iter().map(owned).collect())
    }

    #[test]
    fn the_options_of_the_java_library_are_parsed() {
        let none = login(&[]).unwrap();
        assert!(none.profile.is_none() && none.role.is_none() && none.region.is_none());
        assert!(none.adds_default_sources);
        let all = login(&[
            ("awsRegion", "eu-central-1"),
            ("awsProfileName", "producer"),
            ("awsRoleArn", ARN),
            ("awsRoleSessionName", "orders"),
            ("awsRoleExternalId", "hunter2"),
            ("awsRoleAccessKeyId", "AKID"),
            ("awsRoleSecretAccessKey", "hunter2"),
            ("awsRoleSessionToken", "hunter2"),
            ("awsStsRegion", "eu-west-1"),
            ("awsAddDefaultProviders", "false"),
            ("awsMaxRetries", "7"),
            ("awsMaxBackOffTimeMs", "500"),
            ("awsDebugCreds", "true"),
            ("awsShouldUseFips", "false"),
        ])
        .unwrap();
        assert!(!format!("{all:?}").contains("hunter2"));
        assert!(!all.adds_default_sources);
        assert_eq!(all.region.as_deref(), Some("eu-central-1"));
        assert_eq!(all.sts_region.as_deref(), Some("eu-west-1"));
        let role = all.role.unwrap();
        assert_eq!(role.request.session_name, "orders");
        assert_eq!(role.credentials.unwrap().access_key_id, "AKID");
        let role = login(&[("awsRoleArn", ARN)]).unwrap().role.unwrap();
        assert_eq!(role.request.session_name, SESSION_NAME);
        assert!(role.credentials.is_none());
    }

    #[test]
    fn invalid_options_are_named_and_their_values_not_quoted() {
        for (options, named) in [
            (&[("hunter2", "x")][..], "awsRoleArn"),
            (&[("unsecuredLoginStringClaim_sub", "hunter2")], "not known"),
            (&[("awsRegion", "hunter2.example.com")], "awsRegion"),
            (&[("awsStsRegion", "HUNTER2")], "awsStsRegion"),
            (&[("awsRoleArn", "hunter2")], "awsRoleArn"),
            (
                &[("awsRoleArn", ARN), ("awsRoleSessionName", "hunter2/")],
                "awsRoleSessionName",
            ),
            (&[("awsRoleSessionName", "hunter2")], "needs awsRoleArn"),
            (
                &[("awsRoleArn", ARN), ("awsRoleAccessKeyId", "hunter2")],
                "awsRoleSecretAccessKey",
            ),
            (
                &[("awsRoleArn", ARN), ("awsRoleSessionToken", "hunter2")],
                "awsRoleSessionToken",
            ),
            (
                &[
                    ("awsRoleArn", ARN),
                    ("awsRoleAccessKeyId", "A"),
                    ("awsRoleSecretAccessKey", "hunter2 "),
                ],
                "secret access key",
            ),
            (
                &[("awsAddDefaultProviders", "hunter2")],
                "awsAddDefaultProviders",
            ),
            (&[("awsDebugCreds", "hunter2")], "awsDebugCreds"),
            (&[("awsMaxRetries", "hunter2")], "awsMaxRetries"),
            (&[("awsMaxBackOffTimeMs", "-1")], "awsMaxBackOffTimeMs"),
            (&[("awsShouldUseFips", "true")], "AWS_ENDPOINT_URL_STS"),
            (
                &[("awsMskRegionProvider", "com.example.Hunter2")],
                "AWS_REGION",
            ),
        ] {
            let why = login(options).unwrap_err();
            assert!(why.contains(named), "{why}");
            assert!(!why.to_lowercase().contains("hunter2"), "{why}");
        }
    }
}
