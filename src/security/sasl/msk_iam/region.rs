//! The region of the cluster. It is part of the signature, and is never guessed from the names of brokers.

use super::aws_context::{AwsContext, reason};
use super::instance;
use super::profile;
use super::region_name::checked;

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
