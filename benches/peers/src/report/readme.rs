//! The table of the README: a row for each client, a column for each quick scenario.

use std::fmt::Write as _;

use super::format::{median, micros, rate, with_least};
use crate::driver::OURS;
use crate::raw::{Measured, Outcome, Run};
use crate::scenario::{Mode, Scenario};
use crate::summary::Summary;

/// Renders the table; `details` is the link to the full table.
pub fn render(run: &Run, details: &str) -> String {
    let columns: Vec<&Measured> = run
        .scenarios
        .iter()
        .filter(|measured| measured.scenario.quick)
        .collect();
    let mut out = String::from("| |");
    for measured in &columns {
        let _ = write!(out, " {} |", title(&measured.scenario));
    }
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(columns.len()));
    for client in &run.clients {
        // A client without a value in any column has no row.
        if !columns
            .iter()
            .any(|measured| measured.clients.contains_key(&client.name))
        {
            continue;
        }
        let name = match client.name.as_str() {
            OURS => format!("**{}**", client.display),
            _ => client.display.clone(),
        };
        let _ = write!(out, "| {name} |");
        for measured in &columns {
            let _ = write!(out, " {} |", cell(measured, &client.name));
        }
        out.push('\n');
    }
    let machine = &run.machine;
    let _ = writeln!(
        out,
        "\nCPU of the whole client process per record; medians of the rounds, and for CPU the least in brackets, on \
         {} × {}, Linux {}, commit {}. \
         Settings are equal except in the last column; the brokers of the others are embedded ones that check \
         and acknowledge. All scenarios, intervals and whatever could not be made equal: [{details}]({details}).",
        machine.processors, machine.processor, machine.kernel, run.commit
    );
    out
}

fn title(scenario: &Scenario) -> String {
    let what = match scenario.mode {
        Mode::Blast | Mode::Groups => "CPU, records/s",
        Mode::OneByOne => "CPU, p50, p99",
        Mode::Rate => "CPU, p99, p99.9",
        Mode::Idle => "CPU per second",
    };
    let name = match scenario.name.as_str() {
        // The title of the base scenario is too long for a heading.
        crate::scenario::BASE => "100 B, acks=1, linger 5 ms",
        _ => scenario.title.split(':').next().unwrap_or(&scenario.title),
    };
    format!("{name}: {what}")
}

fn cell(measured: &Measured, client: &str) -> String {
    let figures = match measured.clients.get(client) {
        Some(Outcome::Figures(figures)) => figures,
        Some(Outcome::None(_)) => return "no ".to_owned() + FOOT,
        None => return "–".to_owned(),
    };
    let summary = Summary::of(measured, figures);
    let cpu = with_least(summary.cpu_us, " µs");
    match (measured.scenario.mode, summary.latencies) {
        (Mode::Idle, _) => with_least(summary.cpu_ms_per_second, " ms"),
        (Mode::OneByOne, Some(all)) => format!("{cpu}, {}, {}", micros(all.p50), micros(all.p99)),
        (Mode::Rate, Some(all)) => format!("{cpu}, {}, {}", micros(all.p99), micros(all.p999)),
        _ => format!("{cpu}, {}", median(summary.records_per_second, rate)),
    }
}

/// A reference to the reason in the full table.
const FOOT: &str = "(see table)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Client;
    use crate::summary::tests::{figures, measured, round};

    #[test]
    fn every_client_has_a_row_whether_it_is_slower_or_faster_or_has_no_figures() {
        let clients = || {
            vec![
                (
                    "ours",
                    figures(vec![
                        round(10.0, 2_000),
                        round(10.0, 1_500),
                        round(10.0, 3_000),
                    ]),
                ),
                ("faster", figures(vec![round(5.0, 200)])),
                ("cannot", Outcome::None("no acks".into())),
            ]
        };
        let run = Run {
            machine: crate::machine::describe(),
            commit: "abc".into(),
            started: String::new(),
            seed: 1,
            command: Vec::new(),
            clients: ["ours", "faster", "cannot", "elsewhere"]
                .map(|name| Client {
                    name: name.into(),
                    display: name.into(),
                    build_error: None,
                })
                .into(),
            scenarios: vec![
                measured("base", clients()),
                measured("acks-0", clients()),
                measured("one-by-one", clients()),
            ],
        };
        let text = render(&run, "benchmarks/table.md");
        assert!(
            text.contains(
                "| **ours** | 2.00 (1.50) µs, 100 k | 2.00 (1.50) µs, 1.00 µs, 1.00 µs |"
            ),
            "{text}"
        );
        assert!(text.contains("| faster | 0.200 µs, 200 k |"), "{text}");
        assert!(
            text.contains("| cannot | no (see table) | no (see table) |"),
            "{text}"
        );
        assert!(!text.contains("elsewhere"), "{text}");
        assert!(
            text.lines().next().unwrap().matches('|').count() == 4,
            "acks-0 is not quick"
        );
    }
}
