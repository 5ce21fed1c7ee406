//! Credentials of a profile: those in it, or those of a role that it names, with other credentials or a web identity.

use super::aws_context::{AwsContext, read_text, reason};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::profile_file::{ProfileFileKind, ProfileProperties, Profiles, parse_into};
use super::sts::{RoleRequest, SESSION_NAME, assume_role};
use super::{container, environment, instance, web_identity};
use crate::config::Password;

const PROFILE: &str = "AWS_PROFILE";
const DEFAULT: &str = "default";
/// The files, in the order in which they are read: variable, usual path, kind.
const FILES: [(&str, &str, ProfileFileKind); 2] = [
    ("AWS_CONFIG_FILE", "~/.aws/config", ProfileFileKind::Config),
    (
        "AWS_SHARED_CREDENTIALS_FILE",
        "~/.aws/credentials",
        ProfileFileKind::Credentials,
    ),
];
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest chain of profiles that name each other as the source of credentials.
const MAX_CHAIN: usize = 5;

/// Properties of sources that are not supported, with the reason.
const REFUSED: [(&str, &str); 4] = [
    (
        "credential_process",
        "credential_process is not run: this library starts no programs",
    ),
    ("sso_session", SSO),
    ("sso_start_url", SSO),
    ("login_session", SSO),
];
const SSO: &str =
    "SSO is not supported: export the credentials with `aws configure export-credentials`";

/// The credentials of a profile: the named one, or that of the environment.
pub(super) fn credentials(
    context: &AwsContext,
    name: Option<&str>,
    region: &str,
) -> Result<AwsCredentials, NoCredentials> {
    let profiles = read(context)?;
    let of_environment = context.variable(PROFILE);
    let wanted = name.or(of_environment.as_deref()).unwrap_or(DEFAULT);
    if !profiles.contains_key(wanted) {
        let why = reason(&format!("there is no profile {wanted}"));
        // A variable that names a missing profile is a mistake, and not a reason to use another identity.
        return Err(if name.is_none() && of_environment.is_some() {
            NoCredentials::Failed(format!("{PROFILE}: {why}"))
        } else {
            NoCredentials::NotConfigured(why)
        });
    }
    let chain = ProfileChain {
        context,
        profiles: &profiles,
        region,
    };
    let found = chain.credentials(wanted, &mut Vec::new());
    match found {
        // A profile that is named and exists is configured: the next source could be of another identity.
        Err(NoCredentials::NotConfigured(why)) if name.is_some() || of_environment.is_some() => {
            Err(NoCredentials::Failed(why))
        }
        found => found,
    }
}

/// The region of a profile, if it has one.
pub(super) fn region(context: &AwsContext, name: Option<&str>) -> Result<Option<String>, String> {
    let profiles = read(context)?;
    let of_environment = context.variable(PROFILE);
    let wanted = name.or(of_environment.as_deref()).unwrap_or(DEFAULT);
    let properties = profiles.get(wanted);
    let region = properties.and_then(|properties| value(properties, "region"));
    Ok(region.map(|region| region.expose().to_owned()))
}

/// Reads both files. A missing file has no profiles.
fn read(context: &AwsContext) -> Result<Profiles, String> {
    let mut profiles = Profiles::new();
    for (variable, usual, kind) in FILES {
        let path = context.variable(variable);
        let path = context.expanded(path.as_deref().unwrap_or(usual));
        let Some(path) = path else { continue };
        if let Some(text) = read_text(&path, MAX_FILE_BYTES)? {
            let parsed = parse_into(&mut profiles, text.expose(), kind);
            parsed.map_err(|why| reason(&format!("{path}: {why}")))?;
        }
    }
    Ok(profiles)
}

/// A property that is not empty.
fn value<'p>(properties: &'p ProfileProperties, name: &str) -> Option<&'p Password> {
    let value = properties.get(name);
    value.filter(|value| !value.expose().is_empty())
}

/// Profiles that name each other as the source of credentials.
struct ProfileChain<'a> {
    context: &'a AwsContext,
    profiles: &'a Profiles,
    region: &'a str,
}

impl ProfileChain<'_> {
    /// The credentials of a profile. `roles` are the profiles whose roles need them.
    fn credentials(
        &self,
        name: &str,
        roles: &mut Vec<String>,
    ) -> Result<AwsCredentials, NoCredentials> {
        let Some(properties) = self.profiles.get(name) else {
            let why = reason(&format!("there is no profile {name}"));
            return Err(NoCredentials::Failed(why));
        };
        let of = |property: &str| value(properties, property);
        // A profile may be the source of its own role: then the credentials in it are meant.
        let is_own_source = roles.last().is_some_and(|last| last == name);
        match of("role_arn") {
            Some(arn) if !is_own_source => return self.role(name, properties, arn, roles),
            _ => {}
        }
        let session = of("aws_session_token").map(Password::expose);
        let refused = REFUSED.iter().find(|(property, _)| of(property).is_some());
        match (
            of("aws_access_key_id"),
            of("aws_secret_access_key"),
            refused,
        ) {
            (Some(key_id), Some(secret), _) => {
                let (key_id, secret) = (key_id.expose(), secret.expose());
                let credentials = AwsCredentials::new(key_id, secret, session, None);
                Ok(credentials.map_err(|why| in_profile(name, &why))?)
            }
            (None, None, Some((_, why))) => Err(NoCredentials::Failed(in_profile(name, why))),
            (None, None, None) if roles.is_empty() => {
                let why = in_profile(name, "it has no credentials");
                Err(NoCredentials::NotConfigured(why))
            }
            _ => Err(NoCredentials::Failed(in_profile(
                name,
                "it lacks aws_access_key_id or aws_secret_access_key",
            ))),
        }
    }

    /// The credentials of a profile's role.
    fn role(
        &self,
        name: &str,
        properties: &ProfileProperties,
        arn: &Password,
        roles: &mut Vec<String>,
    ) -> Result<AwsCredentials, NoCredentials> {
        let failed = |why: &str| NoCredentials::Failed(in_profile(name, why));
        let of = |property: &str| value(properties, property).map(Password::expose);
        if of("mfa_serial").is_some() {
            return Err(failed(
                "mfa_serial needs a code, for which nobody can be asked",
            ));
        }
        if roles.len() == MAX_CHAIN || roles.iter().any(|role| role == name) {
            return Err(failed("its source_profile leads back to it, or too far"));
        }
        let region = of("region").unwrap_or(self.region);
        let region = super::region_name::checked(region);
        let region = region.map_err(|why| failed(&format!("region {why}")))?;
        let arn = arn.expose().to_owned();
        let session_name = of("role_session_name").map(str::to_owned);
        if let Some(file) = of("web_identity_token_file") {
            let found = web_identity::of_file(self.context, &region, file, arn, session_name);
            return found.map_err(|why| failed(&why));
        }
        let source = match (of("source_profile"), of("credential_source")) {
            (Some(source), None) => {
                roles.push(name.to_owned());
                self.credentials(source, roles)?
            }
            (None, Some(source)) => self.credential_source(source).map_err(|why| failed(&why))?,
            _ => {
                return Err(failed(
                    "role_arn needs either source_profile or credential_source",
                ));
            }
        };
        let role = RoleRequest {
            arn,
            session_name: session_name.unwrap_or_else(|| SESSION_NAME.to_owned()),
            external_id: of("external_id").map(Password::new),
            duration_seconds: of("duration_seconds").map(str::to_owned),
        };
        assume_role(self.context, &region, &source, &role).map_err(|why| failed(&why))
    }

    fn credential_source(&self, source: &str) -> Result<AwsCredentials, String> {
        let found = match source {
            "Environment" => environment::credentials(self.context),
            "EcsContainer" => container::credentials(self.context),
            "Ec2InstanceMetadata" => instance::credentials(self.context),
            _ => {
                return Err(
                    "credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata"
                        .to_owned(),
                );
            }
        };
        found.map_err(|why| match why {
            NoCredentials::NotConfigured(why) | NoCredentials::Failed(why) => why,
        })
    }
}

fn in_profile(name: &str, why: &str) -> String {
    reason(&format!("profile {name}: {why}"))
}
