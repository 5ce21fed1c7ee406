use super::*;
use crate::error::ErrorCode;
use crate::testing::script::Api;

const ERROR: ErrorCode = ErrorCode::NotLeaderOrFollower;
const OTHER: ErrorCode = ErrorCode::RequestTimedOut;

fn seen(api: Api, node: NodeId, targets: &[(&str, Option<i32>)]) -> Seen {
    let target = |(topic, partition): &(&str, Option<i32>)| Target {
        topic: Arc::from(*topic),
        partition: *partition,
    };
    let targets = match api {
        Api::Produce | Api::Metadata => Some(targets.iter().map(target).collect()),
        _ => None,
    };
    Seen {
        node,
        api: api.key(),
        targets,
    }
}

fn produce(targets: &[(&str, i32)]) -> Seen {
    let targets: Vec<_> = targets
        .iter()
        .map(|(topic, p)| (*topic, Some(*p)))
        .collect();
    seen(Api::Produce, 0, &targets)
}

fn code(decision: &Decision, topic: &str, partition: i32) -> Option<ErrorCode> {
    let refused = decision.refused(Some(topic), Some(partition));
    refused.map(|refused| refused.refusal.code)
}

fn script<const N: usize>(rules: [Rule; N]) -> (Script, [Arc<AtomicU64>; N]) {
    let mut script = Script::default();
    let fired = rules.map(|rule| script.add(rule).1);
    (script, fired)
}

fn counts<const N: usize>(fired: &[Arc<AtomicU64>; N]) -> [u64; N] {
    std::array::from_fn(|at| fired[at].load(Ordering::Acquire))
}

#[test]
fn rules_for_the_same_requests_form_a_queue() {
    let on = || Rule::on(Api::Produce).partition("t", 0);
    let (mut script, fired) = script([
        on().times(2).fail(ERROR),
        on().times(1).close(),
        on().fail(OTHER),
    ]);
    let request = produce(&[("t", 0)]);
    for _ in 0..2 {
        let decision = script.decide(&request);
        assert_eq!(code(&decision, "t", 0), Some(ERROR));
        assert!(decision.instead_of_applying().is_none());
    }
    let decision = script.decide(&request);
    assert!(matches!(
        decision.instead_of_applying(),
        Some(Answer::Close)
    ));
    assert_eq!(counts(&fired), [2, 1, 0]);
    assert_eq!(code(&script.decide(&request), "t", 0), Some(OTHER));
    assert_eq!(counts(&fired), [2, 1, 1]);
}

#[test]
fn rules_with_different_effects_combine() {
    let second = Duration::from_secs(1);
    let (mut script, fired) = script([
        Rule::on_any().delay(second),
        Rule::on(Api::Produce).partition("t", 0).fail(ERROR),
        Rule::on(Api::Produce)
            .topic("t")
            .fail(OTHER)
            .delay(second * 2),
        Rule::on(Api::Produce).throttle(second),
        Rule::on(Api::Produce),
    ]);
    let decision = script.decide(&produce(&[("t", 0), ("t", 1), ("u", 0)]));
    assert_eq!(code(&decision, "t", 0), Some(ERROR));
    assert_eq!(code(&decision, "t", 1), Some(OTHER));
    assert_eq!(code(&decision, "u", 0), None);
    assert_eq!(decision.delay, Some(second));
    assert_eq!(decision.throttle, Some(second));
    assert_eq!(counts(&fired), [1, 1, 1, 1, 1]);
    // The rule for the whole topic has no target left in this request.
    script.decide(&produce(&[("t", 0)]));
    assert_eq!(counts(&fired), [2, 2, 1, 2, 2]);
}

#[test]
fn a_rule_skips_the_requests_for_which_it_would_have_fired() {
    let (mut script, fired) = script([Rule::on(Api::Produce)
        .topic("t")
        .skip(2)
        .times(1)
        .fail(ERROR)]);
    script.decide(&produce(&[("u", 0)]));
    let codes: Vec<_> = (0..4)
        .map(|_| code(&script.decide(&produce(&[("t", 7)])), "t", 7))
        .collect();
    assert_eq!(codes, [None, None, Some(ERROR), None]);
    assert_eq!(counts(&fired), [1]);
}

#[test]
fn a_rule_keeps_to_its_scope() {
    let rules = || {
        [
            Rule::on_any(),
            Rule::on_any().node(1),
            Rule::on(Api::Produce),
            Rule::on_any().topic("t"),
            Rule::on_any().partition("t", 1),
        ]
    };
    for (request, expected) in [
        (seen(Api::Produce, 0, &[("t", Some(1))]), [1, 0, 1, 1, 1]),
        (seen(Api::Produce, 0, &[("t", Some(0))]), [1, 0, 1, 1, 0]),
        (seen(Api::Produce, 1, &[("u", Some(1))]), [1, 1, 1, 0, 0]),
        // A request for a topic's metadata concerns each of its partitions.
        (seen(Api::Metadata, 1, &[("t", None)]), [1, 1, 0, 1, 1]),
        (seen(Api::Metadata, 0, &[]), [1, 0, 0, 0, 0]),
        (seen(Api::InitProducerId, 0, &[]), [1, 0, 0, 0, 0]),
    ] {
        let (mut script, fired) = script(rules());
        script.decide(&request);
        assert_eq!(counts(&fired), expected, "{request:?}");
    }
}

#[test]
fn a_request_without_topics_is_refused_only_as_a_whole() {
    let (mut script, fired) = script([Rule::on_any().fail(ERROR)]);
    let init = script.decide(&seen(Api::InitProducerId, 0, &[]));
    assert_eq!(
        init.refused(None, None).map(|refused| refused.refusal.code),
        Some(ERROR)
    );
    script.decide(&seen(Api::Metadata, 0, &[]));
    assert_eq!(counts(&fired), [1]);
}

#[test]
fn in_metadata_an_error_is_for_a_topic_or_for_one_of_its_partitions() {
    let (mut script, fired) = script([
        Rule::on(Api::Metadata).partition("t", 1).fail(ERROR),
        Rule::on(Api::Metadata).partition("t", 2).fail(OTHER),
        Rule::on(Api::Metadata).topic("u").fail(OTHER),
        Rule::on(Api::Metadata).partition("u", 0).fail(ERROR),
    ]);
    let decision = script.decide(&seen(Api::Metadata, 0, &[("t", None), ("u", None)]));
    assert!(decision.refused(Some("t"), None).is_none());
    assert_eq!(code(&decision, "t", 0), None);
    assert_eq!(code(&decision, "t", 1), Some(ERROR));
    assert_eq!(code(&decision, "t", 2), Some(OTHER));
    assert!(decision.refused(Some("u"), None).is_some());
    assert_eq!(counts(&fired), [1, 1, 1, 0]);
}

#[test]
fn a_throttle_time_is_observed_by_new_clients_and_enforced_by_the_broker_for_old_ones() {
    let second = Duration::from_secs(1);
    let (mut script, _) = script([Rule::on(Api::Produce).throttle(second).delay(second)]);
    let decision = script.decide(&produce(&[]));
    assert_eq!(decision.hold_back(ApiKey::Produce, 6), second);
    assert_eq!(decision.hold_back(ApiKey::Produce, 5), second * 2);
}

#[test]
fn a_removed_rule_has_no_effect_and_its_number_is_never_reused() {
    let mut script = Script::default();
    let (first, fired) = script.add(Rule::on_any());
    let (second, _) = script.add(Rule::on_any());
    assert!(script.contains(first) && script.remove(first) && !script.remove(first));
    script.decide(&produce(&[]));
    assert_eq!(fired.load(Ordering::Acquire), 0);
    assert!(!script.contains(first) && script.contains(second));
    script.clear();
    assert!(script.is_empty());
    assert!(script.add(Rule::on_any()).0 > second);
}

#[test]
fn a_version_rule_fires_when_versions_are_reported_and_when_one_is_refused() {
    let (mut script, fired) = script([
        Rule::on(Api::Produce).node(1).versions(..=3),
        Rule::on(Api::Metadata).unsupported().times(2),
    ]);
    let all = 3..=9;
    let mut versions = |node, api: Api, asked| script.versions(node, api.key(), &all, asked);
    assert_eq!(versions(0, Api::Produce, None), Some(3..=9));
    assert_eq!(versions(1, Api::Produce, None), Some(3..=3));
    assert_eq!(versions(1, Api::Produce, Some(3)), Some(3..=3));
    assert_eq!(versions(1, Api::Produce, Some(4)), Some(3..=3));
    assert_eq!(versions(0, Api::Metadata, None), None);
    assert_eq!(versions(0, Api::Metadata, Some(5)), None);
    assert_eq!(versions(0, Api::Metadata, Some(5)), Some(3..=9));
    assert_eq!(counts(&fired), [2, 2]);
}
