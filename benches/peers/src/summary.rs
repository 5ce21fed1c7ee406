//! Summary of the rounds of a client.

use crate::driver::OURS;
use crate::raw::{Figures, Measured, Percentiles, Round, Totals};
use crate::stats::{Figure, paired, ratio};

/// The figures of a client in a scenario, in the units of the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub records_per_second: Option<Figure>,
    pub megabytes_per_second: Option<Figure>,
    /// User and system time of the process, per acknowledged record.
    pub cpu_us: Option<Figure>,
    /// The share of system time in the CPU time.
    pub system_share: Option<f64>,
    /// The ratio to our CPU time of the same round.
    pub cpu_ratio: Option<Figure>,
    /// The ratio of the cheapest round to our cheapest round.
    pub least_cpu_ratio: Option<f64>,
    pub rate_ratio: Option<Figure>,
    /// Context switches per 1,000 records, voluntary and involuntary.
    pub switches: Option<Figure>,
    pub broker_cpu_us: Option<Figure>,
    /// CPU milliseconds per second, for rounds without records.
    pub cpu_ms_per_second: Option<Figure>,
    pub switches_per_second: Option<Figure>,
    /// Peak memory since the start of the process. `peak_mib_rounds` is that of the counted rounds.
    pub peak_mib: f64,
    pub peak_mib_rounds: Option<f64>,
    pub threads: u64,
    pub latencies: Option<Percentiles>,
    /// The share of acknowledged records in the sent records.
    pub acked_share: Option<f64>,
    pub settled: bool,
}

impl Summary {
    /// The summary of a client of the scenario, or of our client in the paired scenario.
    pub fn of(measured: &Measured, figures: &Figures) -> Self {
        let (rounds, totals) = (&figures.rounds, figures.totals());
        let each = |of: fn(&Round) -> f64| Figure::of(rounds.iter().map(of));
        let bytes = (measured.scenario.payload_bytes + measured.scenario.key_bytes) as f64;
        let rate = each(Round::records_per_second).filter(|rate| rate.median > 0.0);
        let (sent, acked) = rounds.iter().fold((0, 0), |(sent, acked), round| {
            (sent + round.sent, acked + round.acked)
        });
        Self {
            records_per_second: rate,
            megabytes_per_second: rate.map(|rate| rate.map(|records| records * bytes / 1e6)),
            cpu_us: each(|round| round.cpu_ns_per_record() / 1e3),
            system_share: system_share(&totals),
            cpu_ratio: against_ours(measured, figures, Round::cpu_ns_per_record),
            least_cpu_ratio: least_cpu(figures)
                .zip(measured.figures(OURS).and_then(least_cpu))
                .map(|(theirs, ours)| ratio(theirs, ours)),
            rate_ratio: against_ours(measured, figures, Round::records_per_second),
            switches: each(|round| round.per_record(switches(round) * 1e3)),
            broker_cpu_us: each(|round| round.per_record(round.broker_cpu_ns as f64 / 1e3)),
            cpu_ms_per_second: each(|round| round.client.cpu_ns as f64 / 1e6 / round.seconds),
            switches_per_second: each(|round| switches(round) / round.seconds),
            peak_mib: mib(figures
                .peak_kib_before
                .max(figures.peak_kib_rounds.unwrap_or(0))),
            peak_mib_rounds: figures.peak_kib_rounds.map(mib),
            threads: figures.threads,
            latencies: totals.latencies,
            acked_share: (sent > 0).then(|| acked as f64 / sent as f64),
            settled: figures.settled,
        }
    }
}

/// The ratio of a measure of the client to ours, round by round.
fn against_ours(
    measured: &Measured,
    figures: &Figures,
    measure: fn(&Round) -> f64,
) -> Option<Figure> {
    let ours = measured.figures(OURS)?;
    by_round(figures, ours, measure, ratio)
}

/// Compares a measure of two clients, round by round.
pub fn by_round(
    one: &Figures,
    other: &Figures,
    measure: fn(&Round) -> f64,
    compare: fn(f64, f64) -> f64,
) -> Option<Figure> {
    let of = |figures: &Figures| figures.rounds.iter().map(measure).collect::<Vec<_>>();
    paired(&of(one), &of(other), compare)
}

fn least_cpu(figures: &Figures) -> Option<f64> {
    let costs = figures.rounds.iter().map(Round::cpu_ns_per_record);
    Some(Figure::of(costs)?.least)
}

fn switches(round: &Round) -> f64 {
    (round.client.voluntary_switches + round.client.involuntary_switches) as f64
}

fn system_share(totals: &Totals) -> Option<f64> {
    let sum = totals.user_ns + totals.system_ns;
    (sum > 0).then(|| totals.system_ns as f64 / sum as f64)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::measure::Usage;
    use crate::raw::Outcome;
    use crate::scenario::{self, Scenario};

    /// A round of 1,000 records: its duration in milliseconds, and the CPU time per record in nanoseconds.
    pub fn round(millis: f64, cpu_ns_each: u64) -> Round {
        Round {
            sent: 1_000,
            acked: 1_000,
            seconds: millis / 1e3,
            client: Usage {
                cpu_ns: cpu_ns_each * 1_000,
                user_ns: 30_000_000,
                system_ns: 10_000_000,
                voluntary_switches: 6,
                involuntary_switches: 2,
            },
            broker_cpu_ns: 50_000,
            latency_ns: vec![(1_000, 990), (50_000, 10)],
            ..Round::default()
        }
    }

    pub fn figures(rounds: Vec<Round>) -> Outcome {
        Outcome::Figures(Figures {
            rounds,
            settled: true,
            threads: 3,
            peak_kib_before: 2_048,
            peak_kib_rounds: Some(1_024),
            ..Figures::default()
        })
    }

    pub fn scenario(name: &str) -> Scenario {
        let all = scenario::all().unwrap();
        all.into_iter()
            .find(|scenario| scenario.name == name)
            .unwrap()
    }

    /// A scenario with these clients.
    pub fn measured(name: &str, clients: Vec<(&str, Outcome)>) -> Measured {
        Measured {
            scenario: scenario(name),
            clients: clients
                .into_iter()
                .map(|(name, outcome)| (name.to_owned(), outcome))
                .collect(),
            beside: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn figures_are_per_record() {
        let slow_moment = [round(10.0, 200), round(100.0, 2_000), round(10.0, 200)];
        let theirs = [round(20.0, 800), round(200.0, 8_000), round(20.0, 800)];
        let measured = measured(
            "base",
            vec![
                ("ours", figures(slow_moment.into())),
                ("x", figures(theirs.into())),
            ],
        );
        let summary = Summary::of(&measured, measured.figures("x").unwrap());
        assert_eq!(summary.records_per_second.unwrap().median, 50_000.0);
        assert_eq!(summary.megabytes_per_second.unwrap().median, 5.0);
        assert_eq!(summary.cpu_us.unwrap().median, 0.8);
        assert_eq!(summary.cpu_us.unwrap().high, 8.0);
        let ratio = summary.cpu_ratio.unwrap();
        assert_eq!((ratio.low, ratio.high), (4.0, 4.0), "round by round");
        assert_eq!(summary.least_cpu_ratio, Some(4.0));
        assert_eq!(summary.rate_ratio.unwrap().median, 0.5);
        assert_eq!(summary.switches.unwrap().median, 8.0);
        assert_eq!(summary.broker_cpu_us.unwrap().median, 0.05);
        assert_eq!(summary.system_share, Some(0.25));
        assert_eq!(
            (summary.peak_mib, summary.peak_mib_rounds),
            (2.0, Some(1.0))
        );
        let latencies = summary.latencies.unwrap();
        assert_eq!(
            (latencies.p50, latencies.p99, latencies.p999),
            (1.0, 1.0, 50.0)
        );
    }

    #[test]
    fn a_client_without_figures_has_no_summary_and_without_ours_there_is_no_ratio() {
        let measured = measured(
            "base",
            vec![
                ("x", figures(vec![round(10.0, 1)])),
                ("y", Outcome::None("no".into())),
            ],
        );
        assert!(measured.figures("y").is_none());
        let summary = Summary::of(&measured, measured.figures("x").unwrap());
        assert_eq!(summary.cpu_ratio, None);
        assert_eq!(summary.least_cpu_ratio, None);
    }

    #[test]
    fn rounds_without_records_have_the_figures_of_idling_only() {
        let idle = Round {
            sent: 0,
            acked: 0,
            latency_ns: Vec::new(),
            ..round(2_000.0, 1_000)
        };
        let measured = measured("idle", vec![("ours", figures(vec![idle]))]);
        let summary = Summary::of(&measured, measured.figures("ours").unwrap());
        assert_eq!(summary.cpu_us, None);
        assert_eq!(summary.records_per_second, None);
        assert_eq!(summary.cpu_ms_per_second.unwrap().median, 0.5);
        assert_eq!(summary.switches_per_second.unwrap().median, 4.0);
        assert_eq!(summary.acked_share, None);
    }
}
