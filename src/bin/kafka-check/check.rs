//! The order of the steps.

use std::fmt::Display;
use std::sync::mpsc::channel;
use std::thread;

use kafka_producer::probe::ProbeReport;

use crate::advice::AddressSource;
use crate::broker::{BrokerCheck, CheckedBroker};
use crate::brokers::{self, MAX_BROKERS};
use crate::finding::{CheckProblem, CheckStep, KeySide};
use crate::options::CheckOptions;
use crate::output::CheckOutput;
use crate::record::{self, RecordCheck};
use crate::settings::{self, CheckedSettings};
use crate::topics;

/// Maximum number of brokers that are checked at the same time.
pub(crate) const CONCURRENT: usize = 16;

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

/// Runs checks, a limited number at the same time. Passes the steps of the first check to `finished` as they end, then
/// those of the second, and so on.
pub(crate) fn run_all(
    checks: &[BrokerCheck<'_>],
    topics: &[String],
    finished: &mut dyn FnMut(usize, CheckStep),
) -> Vec<CheckedBroker> {
    let mut all = Vec::with_capacity(checks.len());
    for some in checks.chunks(CONCURRENT) {
        let first = all.len();
        thread::scope(|scope| {
            let start = |check| {
                let (sender, steps) = channel();
                let body = move || {
                    // The receiver lives until the thread has ended.
                    BrokerCheck::run(check, topics, &mut |step| drop(sender.send(step)))
                };
                (scope.spawn(body), steps)
            };
            let running: Vec<_> = some.iter().map(start).collect();
            for (at, (thread, steps)) in (first..).zip(running) {
                for step in steps {
                    finished(at, step);
                }
                match thread.join() {
                    Ok(checked) => all.push(checked),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    all
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

pub(crate) fn address(host: &str, port: impl Display) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
