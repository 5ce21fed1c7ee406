//! Script of rules: which rules apply to a request, and their combined effect.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::plan::Answer;
use crate::error::ErrorCode;
use crate::protocol::{ApiKey, MetadataResponse, Request};
use crate::testing::script::{AndThen, MetadataSnapshot, Refusal, RequestFate, Rule, Scope};
use crate::types::{NodeId, PartitionId};

/// A topic or partition named in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    topic: Arc<str>,
    /// `None` for requests that name topics only.
    partition: Option<PartitionId>,
}

/// The properties of a request that rules match on.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) node: NodeId,
    pub(crate) api: ApiKey,
    /// `None` for requests that are refused only as a whole.
    pub(crate) targets: Option<Vec<Target>>,
}

impl Seen {
    /// `all_topics`: the topics meant by a request for all topics.
    pub(crate) fn new<'a>(
        node: NodeId,
        request: &Request,
        all_topics: impl Iterator<Item = &'a Arc<str>>,
    ) -> Self {
        let topic = |name: &Arc<str>| Target {
            topic: Arc::clone(name),
            partition: None,
        };
        let partition = |(name, index): (&Arc<str>, PartitionId)| Target {
            topic: Arc::clone(name),
            partition: Some(index),
        };
        let targets = match request {
            Request::Produce(request) => {
                let topics = request.topics.iter().flat_map(|topic| {
                    let partitions = topic.partitions.iter();
                    partitions.map(|partition| (&topic.name, partition.index))
                });
                Some(topics.map(partition).collect())
            }
            Request::AddPartitionsToTxn(request) => {
                let topics = request.topics.iter().flat_map(|topic| {
                    let partitions = topic.partitions.iter();
                    partitions.map(|index| (&topic.name, *index))
                });
                Some(topics.map(partition).collect())
            }
            Request::TxnOffsetCommit(request) => {
                let topics = request.topics.iter().flat_map(|topic| {
                    let partitions = topic.partitions.iter();
                    partitions.map(|partition| (&topic.name, partition.index))
                });
                Some(topics.map(partition).collect())
            }
            Request::Metadata(request) => Some(match &request.topics {
                Some(names) => names.iter().map(topic).collect(),
                None => all_topics.map(topic).collect(),
            }),
            Request::ApiVersions(_)
            | Request::InitProducerId(_)
            | Request::FindCoordinator(_)
            | Request::SaslHandshake(_)
            | Request::AddOffsetsToTxn(_)
            | Request::EndTxn(_)
            | Request::SaslAuthenticate(_) => None,
        };
        Self {
            node,
            api: request.api_key(),
            targets,
        }
    }
}

/// An error for everything in a scope.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    scope: Scope,
    pub(crate) refusal: Arc<Refusal>,
    /// Whether the request is applied before the error is returned.
    pub(crate) after_applying: bool,
}

/// Combined effect of the rules on one request.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) delay: Option<Duration>,
    pub(crate) throttle: Option<Duration>,
    pub(crate) metadata: Option<Arc<MetadataResponse>>,
    refused: Vec<Refused>,
    cut: Option<Cut>,
}

/// Number of bytes of the response that are sent.
#[derive(Debug, Clone, Copy)]
struct Cut {
    bytes: usize,
    then: AndThen,
    /// Whether the request is applied.
    after_applying: bool,
}

impl Decision {
    /// Delay of the response. Before clients observed throttle times, brokers delayed the response instead.
    pub(crate) fn hold_back(&self, api: ApiKey, version: i16) -> Duration {
        let by_broker = self.throttle.filter(|_| !api.throttles_client(version));
        self.delay.unwrap_or_default() + by_broker.unwrap_or_default()
    }

    /// How long nothing is read from the connection afterwards: brokers enforce the throttle time although clients
    /// observe it (KIP-219).
    pub(crate) fn pause(&self, api: ApiKey, version: i16) -> Duration {
        let by_client = self.throttle.filter(|_| api.throttles_client(version));
        by_client.unwrap_or_default()
    }

    /// The answer to a request that is not applied.
    pub(crate) fn instead_of_applying(&self) -> Option<Answer> {
        self.cut
            .filter(|cut| !cut.after_applying)
            .map(|cut| Answer::none(cut.then))
    }

    /// Shortens or suppresses a response.
    pub(crate) fn apply_cut(&self, answer: Answer) -> Answer {
        match (self.cut, answer) {
            (None, answer) => answer,
            (Some(Cut { bytes, then, .. }), Answer::Reply(frame)) if bytes > 0 => {
                Answer::Part { frame, bytes, then }
            }
            (Some(cut), _) => Answer::none(cut.then),
        }
    }

    /// Applies a request without topics, unless it is refused, and returns the result.
    pub(crate) fn around<T>(
        &self,
        carry_out: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        match self.refused(None, None) {
            None => carry_out(),
            Some(refused) => {
                if refused.after_applying {
                    // The scripted error is the answer, whatever applying returns.
                    let _ = carry_out();
                }
                Err(refused.refusal.code)
            }
        }
    }

    /// The error for a topic or partition; without both, for the whole request.
    pub(crate) fn refused(
        &self,
        topic: Option<&str>,
        partition: Option<PartitionId>,
    ) -> Option<&Refused> {
        self.refused
            .iter()
            .find(|refused| refused.scope.covers(topic, partition))
    }
}

impl Scope {
    /// Whether an error for this scope applies to the whole topic or partition.
    fn covers(&self, topic: Option<&str>, partition: Option<PartitionId>) -> bool {
        let of_topic = self
            .topic
            .as_deref()
            .is_none_or(|own| topic.is_some_and(|topic| topic == own));
        of_topic && self.partition.is_none_or(|own| partition == Some(own))
    }

    /// Whether a target of a request overlaps the scope.
    fn meets(&self, target: &Target) -> bool {
        let of_topic = self.topic.as_ref().is_none_or(|own| *own == target.topic);
        let of_partition = match (self.partition, target.partition) {
            (Some(own), Some(theirs)) => own == theirs,
            _ => true,
        };
        of_topic && of_partition
    }

    fn is_about(&self, node: NodeId, api: ApiKey) -> bool {
        self.node.is_none_or(|own| own == node) && self.api.is_none_or(|own| own.key() == api)
    }

    fn matches(&self, seen: &Seen) -> bool {
        let targets = seen.targets.as_deref().unwrap_or_default();
        self.is_about(seen.node, seen.api)
            && (self.topic.is_none() || targets.iter().any(|target| self.meets(target)))
    }
}

/// Number of a rule in its cluster; never reused.
pub(crate) type RuleId = u64;

#[derive(Debug)]
struct ScriptedRule {
    id: RuleId,
    rule: Rule,
    count: Count,
}

/// How often a rule has fired, and how often it may.
#[derive(Debug)]
struct Count {
    to_skip: u64,
    times: Option<u64>,
    /// Shared with tests that read it.
    fired: Arc<AtomicU64>,
}

impl Count {
    fn is_used_up(&self) -> bool {
        let fired = self.fired.load(Ordering::Acquire);
        self.times.is_some_and(|times| fired >= times)
    }

    /// Called when the rule applies. Returns whether it fires, or skips this time.
    fn fire(&mut self) -> bool {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return false;
        }
        self.fired.fetch_add(1, Ordering::AcqRel);
        true
    }
}

/// The rules of a cluster, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Script {
    entries: Vec<ScriptedRule>,
    next_id: RuleId,
}

impl Script {
    /// Adds a rule behind the others. Returns its number, and its count of firings.
    pub(crate) fn add(&mut self, rule: Rule) -> (RuleId, Arc<AtomicU64>) {
        let id = self.next_id;
        self.next_id += 1;
        let fired = Arc::new(AtomicU64::new(0));
        let count = Count {
            to_skip: rule.skip,
            times: rule.times,
            fired: Arc::clone(&fired),
        };
        self.entries.push(ScriptedRule { id, rule, count });
        (id, fired)
    }

    /// Removes a rule. Returns false if there is no such rule.
    pub(crate) fn remove(&mut self, id: RuleId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.id != id);
        self.entries.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn contains(&self, id: RuleId) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn active(&mut self) -> impl Iterator<Item = &mut ScriptedRule> {
        self.entries
            .iter_mut()
            .filter(|entry| !entry.count.is_used_up())
    }

    /// Applies the rules to a request, and counts those that fire.
    pub(crate) fn decide(&mut self, seen: &Seen) -> Decision {
        let mut decision = Decision::default();
        for entry in self.active() {
            let rule = &entry.rule;
            if rule.versions.is_some() || !rule.scope.matches(seen) {
                continue;
            }
            let effects = Effects::of(rule, seen, &decision);
            if (effects.is_none() && !rule.is_watcher()) || !entry.count.fire() {
                continue;
            }
            effects.apply_to(rule, &mut decision);
        }
        decision
    }

    /// The versions of an API that rules leave; `None` if the API is removed.
    ///
    /// A rule fires when a broker reports its versions (`asked` is `None`), and when a request with an excluded version
    /// arrives.
    pub(crate) fn versions(
        &mut self,
        node: NodeId,
        api: ApiKey,
        all: &RangeInclusive<i16>,
        asked: Option<i16>,
    ) -> Option<RangeInclusive<i16>> {
        for entry in self.active() {
            let Some(versions) = &entry.rule.versions else {
                continue;
            };
            if !entry.rule.scope.is_about(node, api) {
                continue;
            }
            let left = versions.limit(all);
            let is_left = |version: i16| left.as_ref().is_some_and(|left| left.contains(&version));
            if asked.is_some_and(is_left) || entry.count.fire() {
                return left;
            }
        }
        Some(all.clone())
    }
}

/// The effects of a rule for which no earlier rule has set another value.
#[derive(Debug, Clone, Copy)]
struct Effects<'r> {
    fate: Option<&'r RequestFate>,
    delay: Option<Duration>,
    throttle: Option<Duration>,
    metadata: Option<&'r MetadataSnapshot>,
}

impl<'r> Effects<'r> {
    fn of(rule: &'r Rule, seen: &Seen, so_far: &Decision) -> Self {
        let fate = rule.fate.as_ref().filter(|fate| match fate {
            _ if so_far.cut.is_some() => false,
            RequestFate::Cut { .. } => so_far.refused.is_empty(),
            RequestFate::Refuse(_) => has_free_target(&rule.scope, seen, so_far),
        });
        let metadata = rule.metadata.as_ref();
        Self {
            fate,
            delay: rule.delay.filter(|_| so_far.delay.is_none()),
            throttle: rule.throttle.filter(|_| so_far.throttle.is_none()),
            metadata: metadata.filter(|_| so_far.metadata.is_none()),
        }
    }

    fn is_none(&self) -> bool {
        self.fate.is_none()
            && self.delay.is_none()
            && self.throttle.is_none()
            && self.metadata.is_none()
    }

    fn apply_to(self, rule: &Rule, decision: &mut Decision) {
        decision.delay = decision.delay.or(self.delay);
        decision.throttle = decision.throttle.or(self.throttle);
        if let Some(then) = self.metadata {
            decision.metadata = Some(Arc::clone(&then.0));
        }
        let after_applying = rule.after_applying;
        match self.fate {
            Some(RequestFate::Refuse(refusal)) => decision.refused.push(Refused {
                scope: rule.scope.clone(),
                refusal: Arc::clone(refusal),
                after_applying,
            }),
            Some(&RequestFate::Cut { bytes, then }) => {
                decision.cut = Some(Cut {
                    bytes,
                    then,
                    after_applying,
                });
            }
            None => {}
        }
    }
}

/// Whether an error for this scope would be the first for some target of the request.
fn has_free_target(scope: &Scope, seen: &Seen, so_far: &Decision) -> bool {
    match &seen.targets {
        None => so_far.refused(None, None).is_none(),
        Some(targets) => targets.iter().any(|target| {
            let partition = target.partition.or(scope.partition);
            scope.meets(target) && so_far.refused(Some(&target.topic), partition).is_none()
        }),
    }
}

#[cfg(test)]
mod tests;
