//! The tables of the curves, in Markdown.

use std::fmt::Write as _;

use anyhow::Result;

use super::points::{Curve, Measurement, Pace, Round, Run};
use crate::report::format::{interval, median, number, rate};

/// A point is marked if its record costs more than this times the cheapest point before it on its curve, and the
/// intervals of the two do not overlap.
const BEND: f64 = 1.1;

/// The whole table, with the intervals.
pub fn render(run: &Run) -> Result<String> {
    let mut out = String::from("# Growth curves\n\n");
    writeln!(out, "{}\n", about(run))?;
    for curve in Curve::ALL {
        for pace in Pace::ALL {
            let line = run.line(curve, pace);
            if line.is_empty() {
                continue;
            }
            writeln!(out, "## {}: {}\n", curve.title(), pace.name())?;
            writeln!(
                out,
                "| {} | CPU µs per record | records/s | records per batch | batches per request | CPU µs per batch \
                 | loops per 1,000 records | sender's CPU µs per loop | sender's CPU µs per batch \
                 | broker's CPU µs per record | peak MiB \
                 | beyond `buffer.memory` |",
                curve.name()
            )?;
            writeln!(out, "|{}", "---|".repeat(12))?;
            for (place, point) in line.iter().enumerate() {
                let of = |measure: fn(&Round) -> f64| interval(point.figure(measure), number);
                let broker =
                    |round: &Round| round.broker_cpu_ns as f64 / 1e3 / round.records as f64;
                writeln!(
                    out,
                    "| {}{} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    number_of(point),
                    mark(&line[..place], point),
                    of(Round::cpu_us_per_record),
                    interval(point.figure(Round::records_per_second), rate),
                    of(Round::records_per_batch),
                    of(Round::batches_per_request),
                    of(Round::cpu_us_per_batch),
                    of(Round::loops_per_1000),
                    of(Round::cpu_us_per_loop),
                    of(Round::sender_cpu_us_per_batch),
                    of(broker),
                    number(point.peak_mib()),
                    number(point.beyond_mib()),
                )?;
            }
            out.push('\n');
        }
    }
    Ok(out)
}

/// The tables of docs/BENCHMARKS.md: medians, a column for each point of a curve.
pub fn in_short(run: &Run) -> Result<String> {
    let mut out = String::new();
    for curve in Curve::ALL {
        let full = run.line(curve, Pace::Full);
        if full.is_empty() {
            continue;
        }
        write!(out, "| {} |", curve.name())?;
        for point in &full {
            write!(out, " {} |", number_of(point))?;
        }
        writeln!(out, "\n|{}", "---|".repeat(1 + full.len()))?;
        for pace in Pace::ALL {
            let line = run.line(curve, pace);
            if line.is_empty() {
                continue;
            }
            for (name, measure) in MEASURES {
                write!(out, "| {}: {name} |", pace.name())?;
                for (place, point) in line.iter().enumerate() {
                    let value = median(point.figure(measure), number);
                    let is_cost = name == MEASURES[0].0;
                    let mark = if is_cost {
                        mark(&line[..place], point)
                    } else {
                        ""
                    };
                    write!(out, " {value}{mark} |")?;
                }
                out.push('\n');
            }
            write!(out, "| {}: peak memory, MiB |", pace.name())?;
            for point in line {
                write!(out, " {} |", number(point.peak_mib()))?;
            }
            out.push('\n');
        }
        out.push('\n');
    }
    writeln!(out, "{}", about(run))?;
    Ok(out)
}

/// A measure of a round, and its name.
type Named = (&'static str, fn(&Round) -> f64);

const MEASURES: [Named; 5] = [
    ("**CPU µs per record**", Round::cpu_us_per_record),
    ("records per batch", Round::records_per_batch),
    ("CPU µs per batch", Round::cpu_us_per_batch),
    ("loops per 1,000 records", Round::loops_per_1000),
    ("sender's CPU µs per loop", Round::cpu_us_per_loop),
];

fn about(run: &Run) -> String {
    let machine = &run.machine;
    let rounds = run.points.first().map_or(0, |point| point.rounds.len());
    format!(
        "`{}`, commit {}, {} × {}, Linux {}, load {} at the start; medians of {rounds} rounds, in which all points ran \
         one after the other in shuffled order. ↑: more than {BEND} times the cheapest point before it, and the \
         intervals do not overlap. A batch takes CPU time of the whole process, a loop that of the sender's thread.",
        run.command.join(" "),
        run.commit,
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.load_average.split(' ').next().unwrap_or_default(),
    )
}

fn number_of(point: &Measurement) -> String {
    crate::report::format::count(point.name.at)
}

/// The mark of a point at which the curve bends upwards.
fn mark(before: &[&Measurement], point: &Measurement) -> &'static str {
    let cost = |point: &Measurement| point.figure(Round::cpu_us_per_record);
    let least = before
        .iter()
        .filter_map(|point| cost(point))
        .min_by(|one, other| one.median.total_cmp(&other.median));
    match (least, cost(point)) {
        (Some(least), Some(cost)) if cost.median > least.median * BEND && cost.low > least.high => {
            " ↑"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::points::tests::run;

    #[test]
    fn a_point_where_the_curve_bends_is_marked() {
        let table = render(&run()).unwrap();
        assert!(table.contains("| 1 | 1.00 |"), "{table}");
        assert!(table.contains("| 10 ↑ | 3.00 |"), "{table}");
        let short = in_short(&run()).unwrap();
        let costs = "| full speed: **CPU µs per record** | 1.00 | 3.00 ↑ |";
        assert!(short.contains(costs), "{short}");
        assert!(
            short.contains("| full speed: peak memory, MiB | 45.0 | 45.0 |"),
            "{short}"
        );
    }
}
