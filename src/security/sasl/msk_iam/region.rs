//! The region of the cluster. It is part of the signature, and is never guessed from the names of brokers.

use super::aws_context::{AwsContext, reason};
use super::instance;
use super::profile;

/// Longest name of a region, in bytes.
const MAX_BYTES: usize = 40;

/// The name of a region, which becomes a part of a host name.
///
/// # Errors
/// If it is not the name of a region.
pub(super) fn checked(name: &str) -> Result<String, String> {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > MAX_BYTES || !name.bytes().all(is_allowed) {
        return Err("is not the name of a region such as eu-central-1".to_owned());
    }
    Ok(name.to_owned())
}

/// The region: from the environment, the profile, or the instance's metadata.
///
/// # Errors
/// The sources that were tried, and why each failed.
/// # Blocking
/// Reads files; the instance's metadata takes up to ten seconds.
pub(super) fn find(context: &AwsContext, profile: Option<&str>) -> Result<String, String> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = context.variable(name) {
            return checked(&region).map_err(|why| format!("{name} {why}"));
        }
    }
    let of_profile = match profile::region(context, profile) {
        Ok(Some(region)) => {
            return checked(&region).map_err(|why| format!("the region of the profile {why}"));
        }
        Ok(None) => "it has none".to_owned(),
        Err(why) => why,
    };
    let of_instance = match instance::region(context) {
        Ok(region) => {
            return checked(&region).map_err(|why| format!("the region of the instance {why}"));
        }
        Err(why) => why,
    };
    Err(format!(
        "the region is not known. AWS_REGION is not set; profile: {}; instance metadata: {}",
        reason(&of_profile),
        reason(&of_instance)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_regions_become_part_of_a_host() {
        for name in ["eu-central-1", "us-gov-west-1", "cn-north-1", "aws-global"] {
            assert_eq!(checked(name).as_deref(), Ok(name));
        }
        let long = "a".repeat(MAX_BYTES + 1);
        for name in [
            "",
            "EU-CENTRAL-1",
            "eu.evil.example",
            "eu/",
            "eu-1\r\n",
            "é",
            &long,
        ] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
