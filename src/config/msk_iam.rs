//! Options of the login at Amazon MSK with IAM, as `sasl.jaas.config` has them.

use std::collections::BTreeMap;

use super::Password;
use super::jaas_text::jaas_text;

/// The class of `sasl.login.callback.handler.class`.
pub(super) const LOGIN_HANDLER: &str =
    "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler";
const LOGIN_MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

/// How a producer finds region and credentials for Amazon MSK with IAM, see
/// [`sasl_msk_iam`](crate::ProducerConfigBuilder::sasl_msk_iam). Without any option they come from the environment,
/// from `~/.aws`, or from the metadata of the container or the instance.
///
/// ```
/// use kafka_producer::MskIamOptions;
///
/// let options = MskIamOptions::new()
///     .region("eu-central-1")
///     .role("arn:aws:iam::123456789012:role/orders-producer")
///     .role_session_name("orders");
/// # drop(options);
/// ```
///
/// # Kafka
/// The options of Amazon's library `aws-msk-iam-auth`. Each method names its own; more of them can be set in
/// `sasl.jaas.config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MskIamOptions(BTreeMap<&'static str, Password>);

impl MskIamOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The AWS region of the cluster (`awsRegion`, which Java does not have). Otherwise `AWS_REGION` names it, the
    /// profile, or the metadata of the instance.
    #[must_use]
    pub fn region(self, region: &str) -> Self {
        self.with("awsRegion", region)
    }

    /// The profile of `~/.aws/config` and `~/.aws/credentials` whose credentials are used (`awsProfileName`). If it
    /// does not exist, the default sources follow, unless [`default_sources`](Self::default_sources) is false.
    #[must_use]
    pub fn profile(self, name: &str) -> Self {
        self.with("awsProfileName", name)
    }

    /// The ARN of a role to assume with the credentials of the default sources (`awsRoleArn`).
    #[must_use]
    pub fn role(self, arn: &str) -> Self {
        self.with("awsRoleArn", arn)
    }

    /// The session's name of the role (`awsRoleSessionName`); `kafka-producer` unless set.
    #[must_use]
    pub fn role_session_name(self, name: &str) -> Self {
        self.with("awsRoleSessionName", name)
    }

    /// The external id that the role's owner requires (`awsRoleExternalId`).
    #[must_use]
    pub fn role_external_id(self, id: &str) -> Self {
        self.with("awsRoleExternalId", id)
    }

    /// The region of AWS STS, which returns the role's credentials (`awsStsRegion`); that of the cluster unless set.
    #[must_use]
    pub fn sts_region(self, region: &str) -> Self {
        self.with("awsStsRegion", region)
    }

    /// Whether the default sources are used if the profile does not exist (`awsAddDefaultProviders`); true unless set.
    #[must_use]
    pub fn default_sources(self, are_used: bool) -> Self {
        self.with(
            "awsAddDefaultProviders",
            if are_used { "true" } else { "false" },
        )
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, Password::new(value));
        self
    }

    /// The value of `sasl.jaas.config`.
    pub(super) fn login(&self) -> String {
        let mut login = format!("{LOGIN_MODULE} required");
        for (name, value) in &self.0 {
            login.push(' ');
            login.push_str(name);
            login.push('=');
            login.push_str(&jaas_text(value.expose()));
        }
        login.push(';');
        login
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProducerConfig;

    #[test]
    fn the_options_become_a_login_module_with_a_handler() {
        let options = MskIamOptions::new()
            .region("eu-central-1")
            .profile("a \"b\"")
            .role("arn:aws:iam::1:role/x")
            .role_session_name("orders")
            .role_external_id("hunter2")
            .sts_region("eu-west-1")
            .default_sources(false);
        assert!(!format!("{options:?}").contains("hunter2"));
        let builder = ProducerConfig::builder().sasl_msk_iam(&options);
        let given = builder.given();
        assert_eq!(given["sasl.mechanism"], "OAUTHBEARER");
        assert_eq!(given["sasl.login.callback.handler.class"], LOGIN_HANDLER);
        assert_eq!(
            given["sasl.jaas.config"],
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             awsAddDefaultProviders=\"false\" awsProfileName=\"a \\\"b\\\"\" awsRegion=\"eu-central-1\" \
             awsRoleArn=\"arn:aws:iam::1:role/x\" awsRoleExternalId=\"hunter2\" awsRoleSessionName=\"orders\" \
             awsStsRegion=\"eu-west-1\";"
        );
    }
}
