//! The steps of the brokers, each under its advertised address.

use std::collections::BTreeSet;

use kafka_producer::probe::{ProbeReport, ProbedBroker};

use crate::advice::AddressSource;
use crate::broker::{BrokerCheck, CheckedBroker};
use crate::concurrent::{CONCURRENT, run_all};
use crate::facts::ShownBroker;
use crate::finding::{CheckProblem, CheckStep, KeySide};
use crate::options::CheckOptions;
use crate::output::CheckOutput;
use crate::resolution::address;
use crate::settings::CheckedSettings;

/// Maximum number of brokers that are checked: a faulty response could list any number.
pub(crate) const MAX_BROKERS: usize = 1_000;

/// Checks each broker. Returns those that cannot be reached.
pub(crate) fn check(
    options: &CheckOptions,
    settings: &CheckedSettings,
    report: &ProbeReport,
    output: &mut CheckOutput,
) -> BTreeSet<i32> {
    let mut unreachable = BTreeSet::new();
    let brokers = &report.brokers[..report.brokers.len().min(MAX_BROKERS)];
    for some in brokers.chunks(CONCURRENT) {
        let valid: Vec<_> = some
            .iter()
            .filter_map(|broker| advertised(broker, options, settings))
            .collect();
        let mut steps = vec![Vec::new(); valid.len()];
        let checked = run_all(&valid, &[], &mut |at, step| steps[at].push(step));
        let mut checked = checked.into_iter().zip(steps);
        for broker in some {
            let checked = port_of(broker).and_then(|_| checked.next());
            let (checked, steps) = checked.unzip();
            let shown = shown(broker, report, checked.as_ref());
            let step = broker_step(&shown, report, checked.as_ref(), steps.unwrap_or_default());
            if step.has_failed() {
                unreachable.insert(broker.id);
            }
            output.step(step);
            output.broker(shown);
        }
    }
    unreachable
}

/// The check of a broker under its advertised address; `None` if its port is invalid.
fn advertised<'c>(
    broker: &'c ProbedBroker,
    options: &CheckOptions,
    settings: &'c CheckedSettings,
) -> Option<BrokerCheck<'c>> {
    Some(BrokerCheck {
        probe: &settings.probe,
        config: &settings.config,
        timeout: options.timeout,
        section: "brokers",
        target: String::new(),
        host: &broker.host,
        port: port_of(broker)?,
        source: AddressSource::Advertised,
    })
}

fn port_of(broker: &ProbedBroker) -> Option<u16> {
    u16::try_from(broker.port).ok().filter(|port| *port > 0)
}

fn shown(
    broker: &ProbedBroker,
    report: &ProbeReport,
    checked: Option<&CheckedBroker>,
) -> ShownBroker {
    ShownBroker {
        broker: broker.clone(),
        is_controller: report.controller == Some(broker.id),
        is_reachable: checked.is_some_and(|it| it.report.is_some()),
        release: checked.and_then(|it| it.release.clone()),
    }
}

/// One step for all steps of a broker.
fn broker_step(
    shown: &ShownBroker,
    report: &ProbeReport,
    checked: Option<&CheckedBroker>,
    steps: Vec<CheckStep>,
) -> CheckStep {
    let broker = &shown.broker;
    let mut step = CheckStep::new("brokers", "", format!("broker {}", broker.id));
    if !steps.is_empty() {
        step.took = Some(steps.iter().filter_map(|step| step.took).sum());
    }
    let mut facts = vec![address(&broker.host, broker.port)];
    if shown.is_controller {
        facts.push("controller".to_owned());
    }
    facts.extend(broker.rack.iter().map(|rack| format!("rack {rack}")));
    facts.extend(shown.release.iter().map(|it| format!("Kafka {it}")));
    step.detail = facts.join(", ");
    for mut part in steps {
        for problem in &mut part.problems {
            problem.text = format!("{}: {}", part.name, problem.text);
        }
        step = step.problems(part.problems);
    }
    let port = checked.is_none().then(|| {
        CheckProblem::failure(format!("{} is no valid port", broker.port)).change(
            "advertised.listeners",
            KeySide::Broker,
            "a port from 1 to 65535",
        )
    });
    let other = checked.and_then(|it| it.report.as_ref());
    let foreign = other.filter(|other| other.cluster_id != report.cluster_id);
    let foreign = foreign.map(|_| {
        CheckProblem::failure("the server at this address belongs to another cluster")
            .likely("the address is that of another broker from here, such as a forwarded port")
            .change(
                "advertised.listeners",
                KeySide::Broker,
                "an address that leads its clients to this broker",
            )
    });
    step.problems(port.into_iter().chain(foreign))
}
