//! Fault injection: applies a scenario's faults to the world, and ends them.

use std::time::Duration;

use kafka_producer::ErrorCode;
#[cfg(feature = "tls")]
use kafka_producer::internals::simulation::TlsTrouble;
use kafka_producer::internals::simulation::{RuleNumber, World};
use kafka_producer::testing::{AndThen, Api as BrokerApi, Rule};

use crate::scenario::{Api, Fault, Moment};
#[cfg(feature = "tls")]
use crate::scenario::{InsteadOfTls, WrongCertificate};

/// A fault in progress, with the rule that scripts its responses, if it has one.
#[derive(Debug)]
pub(crate) struct Ongoing {
    fault: Fault,
    rule: Option<RuleNumber>,
}

/// Starts a fault. A fault that names a node, topic or partition that does not exist does nothing.
pub(crate) fn begin(fault: &Fault, world: &World) -> Ongoing {
    let mut rule = None;
    match fault {
        Fault::Cut { node } => world.cut(*node),
        Fault::Silence { node, up, down } => world.silence(*node, *up, *down),
        Fault::Refuse { node } => world.refuse(*node),
        Fault::BlackHole { node } => world.black_hole(*node),
        Fault::WrongCertificate { .. } | Fault::NoTls { .. } | Fault::CutHandshake { .. } => {
            change_tls(fault, world, true);
        }
        Fault::Down { node } => world.take_down(*node),
        Fault::Hang { node } => world.hang(*node),
        Fault::MoveLeader {
            topic,
            partition,
            to,
        } => world.move_leader(topic, *partition, *to),
        Fault::StaleMetadata { node } => rule = world.tell_stale_metadata(*node),
        Fault::EpochsGoBack => world.epochs_go_back(true),
        Fault::Rebuild => world.rebuild(),
        Fault::MoveBrokers => world.move_brokers(),
        Fault::DeleteTopic { topic } => world.delete_topic(topic),
        Fault::RecreateTopic { topic, partitions } => world.recreate_topic(topic, *partitions),
        Fault::GrowTopic { topic, to } => world.grow_topic(topic, *to),
        Fault::Truncate {
            topic,
            partition,
            records,
        } => world.truncate(topic, *partition, *records),
        Fault::ForgetProducers { topic, partition } => world.forget_producers(topic, *partition),
        Fault::LowerLimit { topic, bytes } => world.lower_limit(topic, *bytes),
        Fault::MoveCoordinator { of_group, key, to } => {
            if *of_group {
                world.move_group_coordinator(key, *to);
            } else {
                world.move_transaction_coordinator(key, *to);
            }
        }
        // Applied by `settle`, since of several at the same time only the worst has an effect.
        Fault::Slow { .. }
        | Fault::LoadCoordinators { .. }
        | Fault::DelayMarkers { .. }
        | Fault::WrongAddresses { .. } => {}
        Fault::Error { .. }
        | Fault::Lose { .. }
        | Fault::Late { .. }
        | Fault::Throttle { .. }
        | Fault::Versions { .. } => rule = rule_of(fault).and_then(|rule| world.script(rule)),
        Fault::NamesFail => world.names_fail(true),
        Fault::WallClock { by_ms } => world.jump_wall_clock(*by_ms),
    }
    Ongoing {
        fault: fault.clone(),
        rule,
    }
}

/// Applies the combined effect of all faults in progress that affect the same thing as `fault`: the effect of the worst
/// of them. To be called after each start and end of a fault.
pub(crate) fn settle<'a>(fault: &Fault, ongoing: impl Iterator<Item = &'a Ongoing>, world: &World) {
    let same = ongoing
        .map(|it| &it.fault)
        .filter(|other| have_same_effect(other, fault));
    let worst = same.map(|other| match other {
        Fault::Slow { ms, .. } | Fault::LoadCoordinators { ms } | Fault::DelayMarkers { ms } => *ms,
        Fault::WrongAddresses { instead } => u64::from(*instead),
        _ => 0,
    });
    let worst = worst.max();
    match fault {
        Fault::Slow { node, .. } => world.slow_down(*node, worst.unwrap_or(0)),
        Fault::LoadCoordinators { .. } => world.load_coordinators_for(worst.unwrap_or(0)),
        Fault::DelayMarkers { .. } => world.delay_markers(worst.unwrap_or(0)),
        Fault::WrongAddresses { .. } => match worst {
            Some(instead) => world.resolve_names_wrongly(instead > 0),
            None => world.resolve_names_correctly(),
        },
        _ => {}
    }
}

/// Ends a fault before the healing. Instantaneous faults need no end, and lost data stays lost. If one of `others`, the
/// faults still in progress, has the same effect, the effect stays.
pub(crate) fn end<'a>(
    ongoing: &Ongoing,
    mut others: impl Iterator<Item = &'a Ongoing>,
    world: &World,
) {
    if let Some(rule) = ongoing.rule {
        world.unscript(rule);
    }
    if others.any(|other| have_same_effect(&other.fault, &ongoing.fault)) {
        return;
    }
    match &ongoing.fault {
        Fault::Silence { node, .. } => world.speak(*node),
        Fault::Refuse { node } => world.accept(*node),
        Fault::BlackHole { node } => world.end_black_hole(*node),
        Fault::WrongCertificate { .. } | Fault::NoTls { .. } | Fault::CutHandshake { .. } => {
            change_tls(&ongoing.fault, world, false);
        }
        Fault::Down { node } => world.bring_up(*node),
        Fault::Hang { node } => world.resume(*node),
        Fault::EpochsGoBack => world.epochs_go_back(false),
        Fault::MoveBrokers => world.come_back(),
        Fault::DeleteTopic { topic } => world.restore_topic(topic),
        Fault::LowerLimit { topic, bytes } => world.lift_limit(topic, *bytes),
        Fault::NamesFail => world.names_fail(false),
        Fault::WallClock { by_ms } => world.jump_wall_clock(by_ms.saturating_neg()),
        // Ended by `settle`, or instantaneous, or without an end.
        Fault::Slow { .. }
        | Fault::LoadCoordinators { .. }
        | Fault::DelayMarkers { .. }
        | Fault::WrongAddresses { .. }
        | Fault::Cut { .. }
        | Fault::MoveCoordinator { .. }
        | Fault::MoveLeader { .. }
        | Fault::StaleMetadata { .. }
        | Fault::Rebuild
        | Fault::RecreateTopic { .. }
        | Fault::GrowTopic { .. }
        | Fault::Truncate { .. }
        | Fault::ForgetProducers { .. }
        | Fault::Error { .. }
        | Fault::Lose { .. }
        | Fault::Late { .. }
        | Fault::Throttle { .. }
        | Fault::Versions { .. } => {}
    }
}

/// Whether two faults have the same effect on the same thing, so that the first one to end must not undo it.
fn have_same_effect(one: &Fault, other: &Fault) -> bool {
    match (one, other) {
        (Fault::Slow { node, .. }, Fault::Slow { node: same, .. })
        | (Fault::Silence { node, .. }, Fault::Silence { node: same, .. })
        | (Fault::Refuse { node }, Fault::Refuse { node: same })
        | (Fault::BlackHole { node }, Fault::BlackHole { node: same })
        | (Fault::Down { node }, Fault::Down { node: same })
        | (Fault::Hang { node }, Fault::Hang { node: same }) => node == same,
        (Fault::DeleteTopic { topic }, Fault::DeleteTopic { topic: same }) => topic == same,
        (
            Fault::WrongCertificate { .. } | Fault::NoTls { .. } | Fault::CutHandshake { .. },
            other,
        ) => one == other,
        (Fault::LoadCoordinators { .. }, Fault::LoadCoordinators { .. })
        | (Fault::DelayMarkers { .. }, Fault::DelayMarkers { .. })
        | (Fault::EpochsGoBack, Fault::EpochsGoBack)
        | (Fault::MoveBrokers, Fault::MoveBrokers)
        | (Fault::NamesFail, Fault::NamesFail)
        | (Fault::WrongAddresses { .. }, Fault::WrongAddresses { .. }) => true,
        _ => false,
    }
}

/// Starts or ends a TLS fault.
#[cfg(feature = "tls")]
fn change_tls(fault: &Fault, world: &World, begins: bool) {
    let (node, trouble) = match *fault {
        Fault::WrongCertificate { node, wrong } => {
            let trouble = match wrong {
                WrongCertificate::Expired => TlsTrouble::Expired,
                WrongCertificate::OtherName => TlsTrouble::OtherName,
                WrongCertificate::OtherAuthority => TlsTrouble::OtherAuthority,
            };
            (node, trouble)
        }
        Fault::NoTls { node, instead } => {
            let trouble = match instead {
                InsteadOfTls::Plain => TlsTrouble::IsPlain,
                InsteadOfTls::Web => TlsTrouble::IsWeb,
                InsteadOfTls::Noise => TlsTrouble::IsNoise,
            };
            (node, trouble)
        }
        Fault::CutHandshake {
            node,
            turn,
            permille,
            resets,
        } => {
            let trouble = TlsTrouble::Cuts {
                turn,
                permille,
                resets,
            };
            (node, trouble)
        }
        _ => return,
    };
    if begins {
        world.trouble_tls(node, trouble);
    } else {
        world.mend_tls(node, trouble);
    }
}

/// Builds without TLS have no TLS faults.
#[cfg(not(feature = "tls"))]
fn change_tls(_: &Fault, _: &World, _: bool) {}

/// The rule that scripts a fault's responses; `None` for faults that do not change responses.
fn rule_of(fault: &Fault) -> Option<Rule> {
    let (rule, times) = match fault {
        Fault::Error {
            request,
            topic,
            partition,
            code,
            times,
            after_applying,
        } => {
            let mut rule = Rule::on(api(*request)).fail(ErrorCode::from_code(*code));
            // Errors of all other requests apply to the whole request.
            let topic = topic
                .as_ref()
                .filter(|_| matches!(request, Api::Produce | Api::Metadata));
            if let Some(topic) = topic {
                rule = match partition {
                    Some(partition) => rule.partition(topic.as_str(), *partition),
                    None => rule.topic(topic.as_str()),
                };
            }
            if *after_applying {
                rule = rule.after_applying();
            }
            (rule, *times)
        }
        Fault::Lose {
            request,
            moment,
            times,
            closes,
        } => (lose(*request, *moment, *closes), *times),
        Fault::Late { request, ms } => (on(*request).delay(Duration::from_millis(*ms)), None),
        Fault::Throttle { request, ms } => {
            (on(*request).throttle(Duration::from_millis(*ms)), None)
        }
        Fault::Versions {
            node,
            request,
            up_to,
        } => {
            let rule = Rule::on(api(*request)).node(*node);
            let rule = match up_to {
                Some(newest) => rule.versions(..=*newest),
                None => rule.unsupported(),
            };
            (rule, None)
        }
        _ => return None,
    };
    Some(match times {
        Some(times) => rule.times(times),
        None => rule,
    })
}

fn lose(request: Api, moment: Moment, closes: bool) -> Rule {
    let rule = Rule::on(api(request));
    let without_answer = |rule: Rule| {
        if closes {
            rule.close()
        } else {
            rule.never_answer()
        }
    };
    match moment {
        Moment::BeforeRequest => without_answer(rule),
        Moment::AfterApplied => without_answer(rule).after_applying(),
        Moment::WithinAnswer { bytes } => {
            let then = if closes {
                AndThen::Close
            } else {
                AndThen::Silence
            };
            rule.cut_answer(bytes as usize, then)
        }
    }
}

fn on(request: Option<Api>) -> Rule {
    request.map_or_else(Rule::on_any, |request| Rule::on(api(request)))
}

fn api(request: Api) -> BrokerApi {
    match request {
        Api::Produce => BrokerApi::Produce,
        Api::Metadata => BrokerApi::Metadata,
        Api::ApiVersions => BrokerApi::ApiVersions,
        Api::InitProducerId => BrokerApi::InitProducerId,
        Api::FindCoordinator => BrokerApi::FindCoordinator,
        Api::AddPartitionsToTxn => BrokerApi::AddPartitionsToTxn,
        Api::AddOffsetsToTxn => BrokerApi::AddOffsetsToTxn,
        Api::TxnOffsetCommit => BrokerApi::TxnOffsetCommit,
        Api::EndTxn => BrokerApi::EndTxn,
    }
}
