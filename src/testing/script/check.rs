//! Validation of rules. A rule that can never fire is rejected, because a test with such a rule would pass without
//! testing anything.

use std::fmt;

use super::{Api, RequestFate, Rule, Versions};
use crate::error::ErrorCode;

impl Rule {
    /// Validates the rule.
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let api = self.scope.api;
        if let (Some(api), Some(_)) = (api, &self.scope.topic) {
            if !api.names_topics() {
                return Err(RuleError::NoTopics(api));
            }
        }
        if self.times == Some(0) {
            return Err(RuleError::Never);
        }
        if self.after_applying && self.fate.is_none() {
            return Err(RuleError::NothingAfterwards);
        }
        if let Some(RequestFate::Refuse(refusal)) = &self.fate {
            if refusal.code == ErrorCode::NoError {
                return Err(RuleError::NoErrorIsNone);
            }
        }
        if self.metadata.is_some() && api != Some(Api::Metadata) {
            return Err(RuleError::NotMetadata);
        }
        match &self.versions {
            Some(versions) => self.check_versions(versions),
            None => Ok(()),
        }
    }

    fn check_versions(&self, versions: &Versions) -> Result<(), RuleError> {
        let bare = Self {
            versions: None,
            ..self.clone()
        };
        if self.scope.api.is_none() || self.scope.topic.is_some() || !bare.is_watcher() {
            return Err(RuleError::MoreThanVersions);
        }
        let range = versions.limit(&(0..=i16::MAX));
        match range.filter(|range| range.is_empty() || *range.start() < 0) {
            Some(_) => Err(RuleError::NoVersions),
            None => Ok(()),
        }
    }
}

/// Why a rule is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleError {
    NoTopics(Api),
    Never,
    NothingAfterwards,
    NoErrorIsNone,
    NotMetadata,
    MoreThanVersions,
    NoVersions,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTopics(api) => {
                return write!(
                    f,
                    "{api} requests name no topics: leave topic or partition out of the rule"
                );
            }
            Self::Never => "times(0) never fires: leave it out, or the rule",
            Self::NothingAfterwards => {
                "after_applying() needs fail, close or never_answer, which is what happens then"
            }
            Self::NoErrorIsNone => "fail(NoError) is no failure",
            Self::NotMetadata => "answer_as_of is about Metadata: begin with Rule::on(Api::Metadata)",
            Self::MoreThanVersions => {
                "versions and unsupported are about one API, on a node or on all, and go with nothing \
                 else"
            }
            Self::NoVersions => {
                "the range of versions is empty: unsupported() is the way to say none"
            }
        })
    }
}

impl std::error::Error for RuleError {}
