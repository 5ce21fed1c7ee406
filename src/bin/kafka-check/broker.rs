//! The steps of one broker: name resolution, then the stages of a connection.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kafka_producer::ProducerConfig;
use kafka_producer::probe::{
    BrokerCertificate, ConnectionProbe, ProbeFailure, ProbeReport, ProbeStage, StagePassed,
};

use crate::advice::{self, AddressSource};
use crate::finding::{CheckProblem, CheckStep};
use crate::{releases, resolution};

/// Maximum number of addresses of one host that are tried.
const MAX_ADDRESSES: usize = 4;
/// Validity that is left of a certificate below which a warning is given.
const SHORT_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

/// One broker to check.
pub(crate) struct BrokerCheck<'c> {
    pub(crate) probe: &'c ConnectionProbe,
    pub(crate) config: &'c ProducerConfig,
    pub(crate) timeout: Duration,
    pub(crate) section: &'static str,
    pub(crate) target: String,
    pub(crate) host: &'c str,
    pub(crate) port: u16,
    pub(crate) source: AddressSource,
}

/// The facts of a broker that all its steps have found.
#[derive(Debug, Clone)]
pub(crate) struct CheckedBroker {
    /// `None` if a step has failed.
    pub(crate) report: Option<ProbeReport>,
    /// The release of Kafka, as far as the API versions tell.
    pub(crate) release: Option<String>,
}

impl BrokerCheck<'_> {
    /// Runs the steps, and passes each to `finished`. The steps after a failed one are not run.
    pub(crate) fn run(
        &self,
        topics: &[String],
        finished: &mut dyn FnMut(CheckStep),
    ) -> CheckedBroker {
        let began = Instant::now();
        let resolved = resolution::addresses(self.host, self.port, self.timeout);
        let step = self.step("name resolution", began.elapsed());
        let addresses = match resolved {
            Ok(addresses) => addresses,
            Err(why) => {
                finished(step.problems([advice::unresolved(why, self.source)]));
                return CheckedBroker {
                    report: None,
                    release: None,
                };
            }
        };
        finished(step.detail(listed(&addresses)));
        self.connect(&addresses, topics, finished)
    }

    /// Tries the addresses in turn, until TCP connects.
    fn connect(
        &self,
        addresses: &[SocketAddr],
        topics: &[String],
        finished: &mut dyn FnMut(CheckStep),
    ) -> CheckedBroker {
        let mut unconnected: Vec<(ProbeFailure, CheckProblem)> = Vec::new();
        let mut took = Duration::ZERO;
        for address in addresses.iter().take(MAX_ADDRESSES) {
            let mut release = None;
            let mut passed = |stage: &StagePassed| {
                if stage.stage == ProbeStage::ApiVersions {
                    release = releases::of(&stage.apis);
                }
                let mut step = self.passed(stage, *address);
                if stage.stage == ProbeStage::Connect {
                    step = with_unconnected(step, unconnected.drain(..));
                }
                finished(step);
            };
            let result = self.probe.run(self.host, *address, topics, &mut passed);
            match result {
                Ok(report) => {
                    return CheckedBroker {
                        report: Some(report),
                        release,
                    };
                }
                Err(failure) if failure.stage == ProbeStage::Connect => {
                    let at = address.to_string();
                    took += failure.took;
                    let problem = advice::unconnected(&failure, &at, self.source);
                    unconnected.push((failure, problem));
                }
                Err(failure) => {
                    finished(self.failed(&failure));
                    return CheckedBroker {
                        report: None,
                        release,
                    };
                }
            }
        }
        let step = self.step(name(ProbeStage::Connect), took);
        let problems = unconnected.into_iter().map(|(_, problem)| problem);
        finished(step.problems(merged(problems)));
        CheckedBroker {
            report: None,
            release: None,
        }
    }

    fn passed(&self, passed: &StagePassed, address: SocketAddr) -> CheckStep {
        let step = self.step(name(passed.stage), passed.took);
        match passed.stage {
            ProbeStage::Connect => step.detail(address.to_string()),
            ProbeStage::Tls => {
                let Some(facts) = &passed.tls else {
                    return step;
                };
                let step = step.detail(format!("{}, {}", facts.protocol, facts.suite));
                match &facts.certificate {
                    Some(certificate) => with_certificate(step, certificate),
                    None => step,
                }
            }
            ProbeStage::Sasl => step.detail(self.config.sasl_mechanism()),
            ProbeStage::ApiVersions => match releases::of(&passed.apis) {
                Some(release) => step.detail(format!("Kafka {release}")),
                None => step,
            },
            _ => step,
        }
    }

    fn failed(&self, failure: &ProbeFailure) -> CheckStep {
        let step = self.step(name(failure.stage), failure.took);
        let problem = advice::of_stage(failure, self.probe, self.config, self.source);
        step.problems([problem])
    }

    fn step(&self, name: &str, took: Duration) -> CheckStep {
        CheckStep::new(self.section, &*self.target, name).took(took)
    }
}

/// The name of a stage in the output.
pub(crate) fn name(stage: ProbeStage) -> &'static str {
    match stage {
        ProbeStage::Connect => "TCP connection",
        ProbeStage::Tls => "TLS handshake",
        ProbeStage::Sasl => "SASL",
        ProbeStage::ApiVersions => "API versions",
        _ => "metadata",
    }
}

/// Adds the addresses that were tried before the one that connected. A producer tries them in turn, too: one that
/// refuses is a fact, such as `::1` of `localhost` if the broker has IPv4 only; one that times out delays each
/// connection.
fn with_unconnected(
    mut step: CheckStep,
    unconnected: impl Iterator<Item = (ProbeFailure, CheckProblem)>,
) -> CheckStep {
    for (failure, problem) in unconnected {
        if failure.timed_out() {
            step = step.problems([CheckProblem {
                is_warning: true,
                ..problem
            }]);
        } else {
            step.more.push(problem.text);
        }
    }
    step
}

/// One problem for all addresses of a host: the reasons and the keys are the same.
fn merged(mut problems: impl Iterator<Item = CheckProblem>) -> Option<CheckProblem> {
    let mut first = problems.next()?;
    for problem in problems {
        first.text.push_str("; ");
        first.text.push_str(&problem.text);
        for likely in problem.likely {
            if !first.likely.contains(&likely) {
                first.likely.push(likely);
            }
        }
    }
    Some(first)
}

fn listed(addresses: &[SocketAddr]) -> String {
    let shown = addresses.iter().take(MAX_ADDRESSES);
    let shown: Vec<_> = shown.map(|address| address.ip().to_string()).collect();
    let mut listed = shown.join(", ");
    if addresses.len() > MAX_ADDRESSES {
        // Writing to a string cannot fail.
        let _ = write!(listed, " and {} more", addresses.len() - MAX_ADDRESSES);
    }
    listed
}

fn with_certificate(mut step: CheckStep, certificate: &BrokerCertificate) -> CheckStep {
    let or_none = |name: &str| {
        if name.is_empty() {
            "(no name)".to_owned()
        } else {
            name.to_owned()
        }
    };
    step.more
        .push(format!("subject {}", or_none(&certificate.subject)));
    step.more
        .push(format!("issuer  {}", or_none(&certificate.issuer)));
    let (Some(until), Some(left)) = (&certificate.valid_until, certificate.valid_for) else {
        return step;
    };
    let days = left.as_secs() / (24 * 3600);
    let date = until.split(' ').next().unwrap_or_default();
    step.more.push(format!("valid until {date} ({days} days)"));
    if left >= SHORT_VALIDITY {
        return step;
    }
    let expires = format!("the certificate of the broker expires in {days} days");
    let problem = CheckProblem::warning(expires).change(
        "ssl.keystore.location",
        crate::finding::KeySide::Broker,
        "a new certificate, before the old one expires",
    );
    step.problems([problem])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_expires_within_a_month_is_a_warning() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        for (left, warns) in [(days(29), true), (days(0), true), (days(30), false)] {
            let mut certificate = BrokerCertificate::default();
            certificate.valid_until = Some("2030-01-02 03:04:05 UTC".to_owned());
            certificate.valid_for = Some(left);
            let step = with_certificate(CheckStep::new("bootstrap", "", "TLS"), &certificate);
            assert_eq!(step.problems.len(), usize::from(warns), "{left:?}");
            assert!(!step.has_failed());
            assert!(step.more[2].starts_with("valid until 2030-01-02 ("));
        }
    }

    #[cfg(feature = "testing")]
    #[test]
    fn the_next_address_is_tried_and_the_failed_one_is_a_fact() {
        let cluster = kafka_producer::testing::TestCluster::builder()
            .start()
            .unwrap();
        let servers = cluster.bootstrap_servers();
        let config = ProducerConfig::builder()
            .set("bootstrap.servers", &servers)
            .build()
            .unwrap();
        let timeout = Duration::from_secs(30);
        let probe = ConnectionProbe::new(&config, timeout).unwrap();
        let reachable: SocketAddr = servers.parse().unwrap();
        // Nothing listens on port 1 of this address of the loopback network.
        let unreachable = SocketAddr::from(([127, 0, 0, 1], 1));
        let check = BrokerCheck {
            probe: &probe,
            config: &config,
            timeout,
            section: "bootstrap",
            target: String::new(),
            host: "localhost",
            port: reachable.port(),
            source: AddressSource::Bootstrap,
        };
        let mut steps = Vec::new();
        let checked = check.connect(&[unreachable, reachable], &[], &mut |step| steps.push(step));
        assert!(checked.report.is_some());
        assert_eq!(steps[0].detail, reachable.to_string());
        assert!(steps[0].more[0].starts_with("127.0.0.1:1: "), "{steps:?}");
        assert!(
            steps.iter().all(|step| step.problems.is_empty()),
            "{steps:?}"
        );
    }
}
