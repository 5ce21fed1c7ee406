//! The curves, as SVG: a panel for each curve, a line for each pace. Both axes are logarithmic.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::points::{Curve, Measurement, Pace, Round, Run};
use crate::report::format::{count, rate};
use crate::stats::Figure;

pub const FILES: [&str; 3] = ["growth-cpu.svg", "growth-loops.svg", "growth-memory.svg"];

/// One measure of the points.
type Measure = fn(&Measurement) -> Option<Figure>;

/// Draws all plots.
pub fn draw(run: &Run, folder: &Path) -> Result<()> {
    let plots: [(&str, Measure); 3] = [
        ("CPU of the process per record, µs", |point| {
            point.figure(Round::cpu_us_per_record)
        }),
        (
            "CPU of the sender's thread per iteration of its loop, µs",
            |point| point.figure(Round::cpu_us_per_loop),
        ),
        ("peak memory of the process, MiB", |point| {
            Figure::of([point.peak_mib()])
        }),
    ];
    for (file, (caption, measure)) in FILES.into_iter().zip(plots) {
        plot(run, &folder.join(file), caption, measure)
            .map_err(|error| anyhow!("cannot draw {file}: {error}"))?;
    }
    Ok(())
}

const COLORS: [(Pace, RGBColor); 3] = [
    (Pace::Full, RGBColor(0xc0, 0x39, 0x2b)),
    (Pace::Roomy, RGBColor(0xd6, 0x8a, 0x1c)),
    (Pace::Rate, RGBColor(0x2c, 0x5d, 0x9b)),
];
const GRID_COLOR: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

const WIDTH: i32 = 860;
const CAPTION_HEIGHT: i32 = 34;
const PANEL_HEAD: i32 = 30;
const PANEL_HEIGHT: i32 = 170;
const PANEL_FOOT: i32 = 34;
const LEFT: i32 = 70;
/// Room for the names of the lines.
const RIGHT: i32 = 230;
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// A logarithmic scale from values to pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Scale {
    fn place(&self, value: f64) -> i32 {
        let share = (value.log10() - self.low) / (self.high - self.low).max(1e-9);
        self.from + (share * f64::from(self.to - self.from)) as i32
    }
}

/// The points of a line, each with its place on the axis.
type Points = Vec<(usize, Figure)>;

fn plot(run: &Run, file: &Path, caption: &str, measure: Measure) -> Drawn {
    let panels: Vec<(Curve, Vec<(Pace, Points)>)> = Curve::ALL
        .into_iter()
        .map(|curve| (curve, lines(run, curve, measure)))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    let panel_height = PANEL_HEAD + PANEL_HEIGHT + PANEL_FOOT;
    let height = CAPTION_HEIGHT + panel_height * panels.len() as i32;
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(
        caption.to_owned(),
        (16, 10),
        (FONT, 18).into_font(),
    ))?;
    for (place, (curve, lines)) in panels.iter().enumerate() {
        let top = CAPTION_HEIGHT + panel_height * place as i32;
        draw_panel(&area, *curve, lines, top)?;
    }
    area.present()?;
    Ok(())
}

fn lines(run: &Run, curve: Curve, measure: Measure) -> Vec<(Pace, Points)> {
    let points = |pace| -> Points {
        let line = run.line(curve, pace).into_iter();
        line.filter_map(|point| Some((point.name.at, measure(point)?)))
            // A logarithmic axis cannot show zero.
            .filter(|(_, figure)| figure.low > 0.0)
            .collect()
    };
    Pace::ALL
        .into_iter()
        .map(|pace| (pace, points(pace)))
        .filter(|(_, points)| !points.is_empty())
        .collect()
}

fn draw_panel(area: &Area<'_>, curve: Curve, lines: &[(Pace, Points)], top: i32) -> Drawn {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (first, last) = (top + PANEL_HEAD, top + PANEL_HEAD + PANEL_HEIGHT);
    let most = all().map(|(at, _)| *at).max().unwrap_or(1);
    let x = Scale {
        low: 0.0,
        high: (most as f64).log10(),
        from: LEFT,
        to: WIDTH - RIGHT,
    };
    let least = all().map(|(_, figure)| figure.low);
    let highest = all().map(|(_, figure)| figure.high);
    let y = Scale {
        low: least.fold(f64::INFINITY, f64::min).log10().floor(),
        high: highest.fold(0.0, f64::max).log10().ceil(),
        from: last,
        to: first,
    };
    let title = (FONT, 13).into_font();
    area.draw(&Text::new(curve.title().to_owned(), (16, top + 6), title))?;
    draw_grid(area, lines, x, y)?;
    let mut label_at = first;
    for (pace, points) in lines {
        let color = COLORS.iter().find(|(known, _)| known == pace);
        let color = color.map_or(BLACK, |(_, color)| *color);
        draw_line(area, points, x, y, color)?;
        // The names stand at the ends of the lines, one below the other.
        let label = TextStyle::from((FONT, 12).into_font())
            .pos(Pos::new(HPos::Left, VPos::Center))
            .color(&color);
        area.draw(&Text::new(
            pace.name(),
            (WIDTH - RIGHT + 14, label_at + 8),
            label,
        ))?;
        label_at += 18;
    }
    Ok(())
}

/// Lines at the powers of ten, with a third and a half between; and the places of the points.
fn draw_grid(area: &Area<'_>, lines: &[(Pace, Points)], x: Scale, y: Scale) -> Drawn {
    let small = |horizontal, vertical| {
        TextStyle::from((FONT, 11).into_font()).pos(Pos::new(horizontal, vertical))
    };
    for power in y.low as i32..=y.high as i32 {
        for factor in [1.0, 2.0, 5.0] {
            let value = factor * 10_f64.powi(power);
            let at = y.place(value);
            if at < y.to {
                continue;
            }
            area.draw(&PathElement::new(
                vec![(x.from, at), (x.to, at)],
                GRID_COLOR,
            ))?;
            let style = small(HPos::Right, VPos::Center);
            area.draw(&Text::new(rate(value), (x.from - 8, at), style))?;
        }
    }
    let longest = lines
        .iter()
        .map(|(_, points)| points)
        .max_by_key(|points| points.len());
    for (at, _) in longest.into_iter().flatten() {
        let place = x.place(*at as f64);
        area.draw(&PathElement::new(
            vec![(place, y.from), (place, y.from + 4)],
            BLACK,
        ))?;
        let style = small(HPos::Center, VPos::Top);
        area.draw(&Text::new(count(*at), (place, y.from + 6), style))?;
    }
    Ok(())
}

/// The medians as a line with dots, and the interval of each.
fn draw_line(area: &Area<'_>, points: &Points, x: Scale, y: Scale, color: RGBColor) -> Drawn {
    let place = |at: usize, value| (x.place(at as f64), y.place(value));
    let medians = points.iter().map(|(at, figure)| place(*at, figure.median));
    area.draw(&PathElement::new(
        medians.collect::<Vec<_>>(),
        color.stroke_width(2),
    ))?;
    for (at, figure) in points {
        let interval = vec![place(*at, figure.low), place(*at, figure.high)];
        area.draw(&PathElement::new(interval, color.stroke_width(1)))?;
        area.draw(&Circle::new(place(*at, figure.median), 3, color.filled()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::points::tests::run;

    #[test]
    fn each_point_is_a_dot() {
        let folder = std::env::temp_dir().join(format!("peers-curves-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        draw(&run(), &folder).unwrap();
        for file in FILES {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert_eq!(text.matches("<circle").count(), 2, "{file}");
            assert!(
                text.contains("full speed") && !text.contains("NaN"),
                "{file}"
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_scale_is_logarithmic() {
        let scale = Scale {
            low: 0.0,
            high: 2.0,
            from: 0,
            to: 100,
        };
        assert_eq!(
            [1.0, 10.0, 100.0].map(|value| scale.place(value)),
            [0, 50, 100]
        );
    }
}
