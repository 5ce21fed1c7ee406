use super::*;
use crate::testing::script::RuleError;

fn snapshot() -> MetadataSnapshot {
    MetadataSnapshot(Arc::new(MetadataResponse {
        throttle_time_ms: 0,
        brokers: Vec::new(),
        cluster_id: None,
        controller_id: -1,
        topics: Vec::new(),
    }))
}

#[test]
fn a_contradictory_rule_is_rejected_with_the_remedy() {
    let on = Rule::on;
    let produce = || on(Api::Produce);
    let error = ErrorCode::UnknownServerError;
    let some_versions = || produce().versions(..=3);
    for (rule, expected) in [
        (
            on(Api::InitProducerId).topic("t"),
            RuleError::NoTopics(Api::InitProducerId),
        ),
        (
            on(Api::ApiVersions).partition("t", 0),
            RuleError::NoTopics(Api::ApiVersions),
        ),
        (produce().close().times(0), RuleError::Never),
        (produce().after_applying(), RuleError::NothingAfterwards),
        (produce().fail(ErrorCode::NoError), RuleError::NoErrorIsNone),
        (produce().answer_as_of(&snapshot()), RuleError::NotMetadata),
        (
            Rule::on_any().answer_as_of(&snapshot()),
            RuleError::NotMetadata,
        ),
        (Rule::on_any().unsupported(), RuleError::MoreThanVersions),
        (some_versions().topic("t"), RuleError::MoreThanVersions),
        (some_versions().fail(error), RuleError::MoreThanVersions),
        (
            some_versions().delay(Duration::ZERO),
            RuleError::MoreThanVersions,
        ),
        (produce().versions(4..4), RuleError::NoVersions),
        (produce().versions(..0), RuleError::NoVersions),
        (produce().versions(-3..2), RuleError::NoVersions),
    ] {
        assert_eq!(rule.check(), Err(expected), "{rule:?}");
        assert!(expected.to_string().len() > 20);
    }
}

#[test]
fn a_valid_rule_is_accepted() {
    for rule in [
        Rule::on_any(),
        Rule::on_any().topic("t").fail(ErrorCode::RequestTimedOut),
        Rule::on(Api::Metadata).partition("t", 1).close(),
        Rule::on(Api::Metadata).answer_as_of(&snapshot()).times(1),
        Rule::on(Api::InitProducerId).unsupported().node(1),
        Rule::on(Api::Produce).cut_answer(5, AndThen::Silence),
        Rule::on(Api::Produce).times(0).always(),
    ] {
        assert_eq!(rule.check(), Ok(()), "{rule:?}");
    }
}

#[test]
fn open_version_ranges_are_bounded_by_the_supported_versions() {
    let bounded = |rule: Rule| rule.versions.unwrap().limit(&(3..=9));
    let on = || Rule::on(Api::Produce);
    assert_eq!(bounded(on().versions(..=3)), Some(3..=3));
    assert_eq!(bounded(on().versions(..6)), Some(3..=5));
    assert_eq!(bounded(on().versions(7..)), Some(7..=9));
    assert_eq!(bounded(on().versions(..=2)), Some(0..=2));
    assert_eq!(bounded(on().versions(10..=12)), Some(10..=12));
    assert_eq!(bounded(on().unsupported()), None);
}

#[test]
fn a_scope_is_displayed_in_words() {
    let displayed = |rule: Rule| rule.scope.to_string();
    assert_eq!(displayed(Rule::on_any()), "requests of any kind");
    assert_eq!(
        displayed(Rule::on(Api::Produce).partition("orders", 1).node(2)),
        "Produce requests for orders-1 to node 2"
    );
    assert_eq!(
        displayed(Rule::on(Api::Metadata).partition("a", 1).topic("b")),
        "Metadata requests for b"
    );
}
