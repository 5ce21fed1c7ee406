//! Plots, as SVG: a panel for each scenario, a row for each client. The axis is logarithmic, because the slowest client
//! takes a hundred times as long as the fastest.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::driver::{OURS, is_floor};
use crate::raw::{Measured, Run};
use crate::scenario::Mode;
use crate::stats::Figure;
use crate::summary::Summary;

/// One row of a panel: points, and the interval of the first point as a line.
struct Row {
    label: String,
    color: RGBColor,
    figures: Vec<Figure>,
}

struct Panel {
    title: String,
    rows: Vec<Row>,
}

/// Draws all plots for which there are figures; returns their names.
pub fn draw(run: &Run, folder: &Path) -> Result<Vec<String>> {
    let main = |measured: &&Measured| MAIN.contains(&measured.scenario.name.as_str());
    let paced = |measured: &&Measured| measured.scenario.mode.has_latencies();
    let timeless = |measured: &&Measured| measured.scenario.mode == Mode::Blast && main(measured);
    let plots = [
        (
            "cpu.svg",
            "CPU per record, µs",
            panels(run, main, |summary| summary.cpu_us.into_iter().collect()),
        ),
        (
            "throughput.svg",
            "records per second",
            panels(run, timeless, |summary| {
                summary.records_per_second.into_iter().collect()
            }),
        ),
        (
            "latency.svg",
            "latency: p50, p99 and p99.9, µs",
            panels(run, paced, latencies),
        ),
    ];
    let mut names = Vec::new();
    for (name, caption, panels) in plots {
        if !panels.is_empty() {
            plot(&folder.join(name), caption, &panels)
                .map_err(|error| anyhow!("cannot draw {name}: {error}"))?;
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The scenarios that are drawn, if they were run.
const MAIN: [&str; 10] = [
    "base",
    "size-1000",
    "batch-1m",
    "size-1000-batch-1m",
    "idempotent",
    "threads-4-keyed",
    "one-by-one",
    "rate-10000",
    "kafka-3.0.0",
    "kafka-3.0.0-defaults",
];

fn latencies(summary: &Summary) -> Vec<Figure> {
    let all = summary
        .latencies
        .map(|all| [all.p50, all.p99, all.p999].map(Figure::exactly));
    all.into_iter().flatten().collect()
}

fn panels(
    run: &Run,
    takes: impl Fn(&&Measured) -> bool,
    figures: fn(&Summary) -> Vec<Figure>,
) -> Vec<Panel> {
    let panel = |measured: &Measured| {
        let rows: Vec<Row> = run
            .clients
            .iter()
            .filter_map(|client| {
                let figures = figures(&Summary::of(measured, measured.figures(&client.name)?));
                let color = match client.name.as_str() {
                    OURS => OURS_COLOR,
                    name if is_floor(name) => FLOOR_COLOR,
                    _ => PEER_COLOR,
                };
                // A logarithmic axis cannot show zero.
                let drawable = !figures.is_empty() && figures.iter().all(|figure| figure.low > 0.0);
                drawable.then(|| Row {
                    label: client.display.clone(),
                    color,
                    figures,
                })
            })
            .collect();
        let title = measured
            .scenario
            .title
            .chars()
            .take(TITLE_LETTERS)
            .collect();
        (!rows.is_empty()).then_some(Panel { title, rows })
    };
    run.scenarios
        .iter()
        .filter(takes)
        .filter_map(panel)
        .collect()
}

const OURS_COLOR: RGBColor = RGBColor(0xc0, 0x39, 0x2b);
const FLOOR_COLOR: RGBColor = RGBColor(0x7f, 0x8c, 0x8d);
const PEER_COLOR: RGBColor = RGBColor(0x2c, 0x5d, 0x9b);
const GRID_COLOR: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

const TITLE_LETTERS: usize = 100;
const WIDTH: i32 = 860;
const LABELS_WIDTH: i32 = 230;
const ROW_HEIGHT: i32 = 20;
const PANEL_HEAD: i32 = 28;
const PANEL_FOOT: i32 = 30;
const CAPTION_HEIGHT: i32 = 34;
const MARGIN: i32 = 16;
const VALUE_WIDTH: i32 = 90;
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn plot(file: &Path, caption: &str, panels: &[Panel]) -> Drawn {
    let height = CAPTION_HEIGHT + panels.iter().map(panel_height).sum::<i32>();
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(
        caption.to_owned(),
        (MARGIN, 10),
        (FONT, 18).into_font(),
    ))?;
    let mut top = CAPTION_HEIGHT;
    for panel in panels {
        draw_panel(&area, panel, top)?;
        top += panel_height(panel);
    }
    area.present()?;
    Ok(())
}

fn panel_height(panel: &Panel) -> i32 {
    PANEL_HEAD + PANEL_FOOT + ROW_HEIGHT * panel.rows.len() as i32
}

fn draw_panel(area: &Area<'_>, panel: &Panel, top: i32) -> Drawn {
    let axis = Axis::of(panel);
    area.draw(&Text::new(
        panel.title.clone(),
        (MARGIN, top + 6),
        (FONT, 13).into_font(),
    ))?;
    let (first, last) = (
        top + PANEL_HEAD,
        top + PANEL_HEAD + ROW_HEIGHT * panel.rows.len() as i32,
    );
    let centered =
        |size| TextStyle::from((FONT, size).into_font()).pos(Pos::new(HPos::Center, VPos::Top));
    for tick in axis.ticks() {
        let x = axis.place(tick);
        area.draw(&PathElement::new(vec![(x, first), (x, last)], GRID_COLOR))?;
        area.draw(&Text::new(
            super::format::rate(tick),
            (x, last + 4),
            centered(11),
        ))?;
    }
    for (at, row) in panel.rows.iter().enumerate() {
        let y = first + ROW_HEIGHT * at as i32 + ROW_HEIGHT / 2;
        draw_row(area, row, &axis, y)?;
    }
    Ok(())
}

fn draw_row(area: &Area<'_>, row: &Row, axis: &Axis, y: i32) -> Drawn {
    let label = TextStyle::from((FONT, 12).into_font())
        .pos(Pos::new(HPos::Right, VPos::Center))
        .color(&row.color);
    area.draw(&Text::new(row.label.clone(), (LABELS_WIDTH - 10, y), label))?;
    let mut right = 0;
    for figure in &row.figures {
        let (low, high) = (axis.place(figure.low), axis.place(figure.high));
        area.draw(&PathElement::new(
            vec![(low, y), (high, y)],
            row.color.stroke_width(2),
        ))?;
        area.draw(&Circle::new(
            (axis.place(figure.median), y),
            4,
            row.color.filled(),
        ))?;
        right = right.max(high);
    }
    if let (Some(first), Some(last)) = (row.figures.first(), row.figures.last()) {
        let ends = vec![(axis.place(first.median), y), (axis.place(last.median), y)];
        area.draw(&PathElement::new(ends, row.color.stroke_width(1)))?;
        let value = TextStyle::from((FONT, 11).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
        let values: Vec<String> = row
            .figures
            .iter()
            .map(|figure| super::format::rate(figure.median))
            .collect();
        area.draw(&Text::new(values.join(" / "), (right + 10, y), value))?;
    }
    Ok(())
}

/// A logarithmic axis between two powers of ten.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn of(panel: &Panel) -> Self {
        let figures = || panel.rows.iter().flat_map(|row| &row.figures);
        let least = figures()
            .map(|figure| figure.low)
            .fold(f64::INFINITY, f64::min);
        let most = figures().map(|figure| figure.high).fold(0.0, f64::max);
        let low = least.log10().floor() as i32;
        Self {
            low,
            high: (most.log10().ceil() as i32).max(low + 1),
        }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }

    fn place(&self, value: f64) -> i32 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        let width = f64::from(WIDTH - LABELS_WIDTH - MARGIN - VALUE_WIDTH);
        LABELS_WIDTH + (share.clamp(0.0, 1.0) * width) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Client, Outcome};
    use crate::summary::tests::{figures, measured, round};

    #[test]
    fn there_is_a_plot_for_each_scenario_of_the_run_only() {
        let run = Run {
            machine: crate::machine::describe(),
            commit: String::new(),
            started: String::new(),
            seed: 1,
            command: Vec::new(),
            clients: ["ours", "x <&>", "none"]
                .map(|name| Client {
                    name: name.into(),
                    display: name.into(),
                    build_error: None,
                })
                .into(),
            scenarios: vec![measured(
                "one-by-one",
                vec![
                    ("ours", figures(vec![round(10.0, 200)])),
                    ("x <&>", figures(vec![round(900.0, 20_000)])),
                    ("none", Outcome::None(String::new())),
                ],
            )],
        };
        let folder = std::env::temp_dir().join(format!("peers-plots-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let names = draw(&run, &folder).unwrap();
        assert_eq!(names, ["cpu.svg", "latency.svg"]);
        let text = std::fs::read_to_string(folder.join("cpu.svg")).unwrap();
        assert!(
            text.contains("one by one") && text.contains("x &lt;&amp;&gt;"),
            "{text}"
        );
        assert_eq!(text.matches("<circle").count(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_axis_spans_its_figures_in_powers_of_ten() {
        let row = |value| Row {
            label: String::new(),
            color: BLACK,
            figures: vec![Figure::exactly(value)],
        };
        let panel = Panel {
            title: String::new(),
            rows: vec![row(0.25), row(31.0)],
        };
        let axis = Axis::of(&panel);
        assert_eq!((axis.low, axis.high), (-1, 2));
        assert_eq!(axis.place(0.1), LABELS_WIDTH);
        assert!(axis.place(0.25) < axis.place(31.0));
        let one = Axis::of(&Panel {
            title: String::new(),
            rows: vec![row(10.0)],
        });
        assert_eq!((one.low, one.high), (1, 2));
    }
}
