//! The order of the steps.

use kafka_producer::probe::ProbeReport;

use crate::advice::AddressSource;
use crate::broker::{BrokerCheck, CheckedBroker};
use crate::brokers::{self, MAX_BROKERS};
use crate::concurrent::run_all;
use crate::finding::{CheckProblem, CheckStep, KeySide};
use crate::options::CheckOptions;
use crate::output::CheckOutput;
use crate::record::{self, RecordCheck};
use crate::resolution::address;
use crate::settings::{self, CheckedSettings};
use crate::topics;

pub(crate) fn run(options: &CheckOptions, output: &mut CheckOutput) {
    let (step, settings) = settings::check(options);
    output.step(step);
    let Some(settings) = settings else { return };
    let bootstrap = check_bootstrap(options, &settings, output);
    let Some(report) = bootstrap.iter().find_map(|it| it.checked.report.as_ref()) else {
        skip_the_rest(options, output);
        return;
    };
    output.step(cluster_step(report, &bootstrap));
    output.cluster(report);
    let unreachable = brokers::check(options, &settings, report, output);
    for topic in &report.topics {
        output.step(topics::check(topic, &unreachable));
    }
    if options.record.is_some() {
        send_records(options, &settings, report, output);
    }
}

/// A bootstrap server, and the result of its check.
struct CheckedServer {
    host: String,
    port: u16,
    checked: CheckedBroker,
}

fn check_bootstrap(
    options: &CheckOptions,
    settings: &CheckedSettings,
    output: &mut CheckOutput,
) -> Vec<CheckedServer> {
    let servers = settings.servers.iter();
    let checks: Vec<_> = servers
        .map(|(host, port)| BrokerCheck {
            probe: &settings.probe,
            config: &settings.config,
            timeout: options.timeout,
            section: "bootstrap",
            target: address(host, *port),
            host,
            port: *port,
            source: AddressSource::Bootstrap,
        })
        .collect();
    let checked = run_all(&checks, &options.topics, &mut |_, step| output.step(step));
    let servers = settings.servers.iter().zip(checked);
    servers
        .map(|((host, port), checked)| CheckedServer {
            host: host.clone(),
            port: *port,
            checked,
        })
        .collect()
}

fn cluster_step(report: &ProbeReport, bootstrap: &[CheckedServer]) -> CheckStep {
    let step = CheckStep::new("cluster", "", "cluster");
    let count = report.brokers.len();
    let noun = if count == 1 { "broker" } else { "brokers" };
    let id = report.cluster_id.as_deref().unwrap_or("without id");
    let controller = match report.controller {
        Some(controller) => format!(", controller {controller}"),
        None => String::new(),
    };
    let step = step.detail(format!("{id}, {count} {noun}{controller}"));
    let other = bootstrap.iter().find(|server| {
        let other = server.checked.report.as_ref();
        other.is_some_and(|other| other.cluster_id != report.cluster_id)
    });
    let foreign = other.map(|server| {
        let at = address(&server.host, server.port);
        CheckProblem::failure(format!("{at} belongs to another cluster"))
            .likely("the list mixes clusters: which one a producer uses is left to chance")
            .change(
                "bootstrap.servers",
                KeySide::Client,
                "brokers of one cluster",
            )
    });
    let none = (count == 0).then(|| {
        CheckProblem::failure("the cluster lists no broker")
            .likely("the broker is starting, or is not registered with its controller yet")
    });
    let many = (count > MAX_BROKERS).then(|| {
        CheckProblem::warning(format!("only the first {MAX_BROKERS} brokers are checked"))
    });
    step.problems(foreign.into_iter().chain(none).chain(many))
}

fn send_records(
    options: &CheckOptions,
    settings: &CheckedSettings,
    report: &ProbeReport,
    output: &mut CheckOutput,
) {
    let Some(record) = &options.record else {
        return;
    };
    let check = match RecordCheck::new(&settings.config, record, options.timeout) {
        Ok(check) => check,
        Err(error) => return output.step(record::not_built(&error)),
    };
    for topic in &report.topics {
        // A producer would create a topic that does not exist, if the broker allows it.
        if topic.partitions.is_empty() {
            let step = CheckStep::new("records", "", &*topic.name);
            output.step(step.skipped("no record is sent: see the topic"));
            continue;
        }
        let (step, metadata) = check.run(&topic.name);
        if let (Some(metadata), Some(took)) = (metadata, step.took) {
            output.record(&metadata, took);
        }
        output.step(step);
    }
    check.close();
}

fn skip_the_rest(options: &CheckOptions, output: &mut CheckOutput) {
    const WHY: &str = "no bootstrap server can be used";
    let mut skip = |section, name: &str| {
        output.step(CheckStep::new(section, "", name).skipped(WHY));
    };
    skip("brokers", "brokers");
    if !options.topics.is_empty() {
        skip("topics", "topics");
    }
    if options.record.is_some() {
        skip("records", "records");
    }
}
