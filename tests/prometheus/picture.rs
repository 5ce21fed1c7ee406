//! Draws the dashboard as an image, similar to Grafana, for a visual check.

use std::fmt::Write;

/// A panel with its data.
pub(crate) struct Drawn {
    pub(crate) title: String,
    /// `row`, `stat` or `timeseries`.
    pub(crate) kind: String,
    pub(crate) unit: String,
    /// x, y, width and height in cells of a grid of 24 columns.
    pub(crate) place: [u32; 4],
    /// Thresholds of a `stat`: each color applies from its value on.
    pub(crate) colors: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct Line {
    pub(crate) legend: String,
    pub(crate) values: Vec<(f64, f64)>,
}

const COLUMN: f64 = 58.0;
const ROW: f64 = 27.0;
const COLORS: [&str; 8] = [
    "#3274d9", "#e0752d", "#299c46", "#a352cc", "#c4162a", "#0ea5b7", "#8f6f00", "#777777",
];

/// A rectangle in pixels.
#[derive(Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

pub(crate) fn svg(panels: &[Drawn], start: f64, end: f64) -> String {
    let bottom = |panel: &Drawn| panel.place[1] + panel.place[3];
    let height = panels.iter().map(bottom).max().unwrap_or(0);
    let (width, height) = (24.0 * COLUMN, f64::from(height) * ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"DejaVu Sans, sans-serif\" font-size=\"10\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#f4f5f5\"/>\n"
    );
    for panel in panels {
        let [x, y, w, h] = panel.place.map(f64::from);
        let area = Area {
            x: x * COLUMN + 3.0,
            y: y * ROW + 3.0,
            w: w * COLUMN - 6.0,
            h: h * ROW - 6.0,
        };
        draw(&mut svg, panel, area, start, end);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Drawn, area: Area, start: f64, end: f64) {
    let Area { x, y, w, h } = area;
    if panel.kind == "row" {
        write_text(
            svg,
            x + 4.0,
            y + 15.0,
            "font-size=\"13\" font-weight=\"bold\"",
            &panel.title,
        );
        return;
    }
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"white\" stroke=\"#d8d9da\"/>"
    );
    write_text(
        svg,
        x + 8.0,
        y + 15.0,
        "font-size=\"11\" font-weight=\"bold\"",
        &panel.title,
    );
    if panel.kind == "stat" {
        let last = panel.lines.first().and_then(|line| line.values.last());
        let (text, color) = last.map_or_else(
            || ("no data".to_owned(), "gray"),
            |(_, value)| {
                let mut from_the_top = panel.colors.iter().rev();
                let reached = from_the_top.find(|(from, _)| value >= from);
                let color = reached.map_or("black", |(_, color)| color);
                (with_unit(*value, &panel.unit), color)
            },
        );
        let style = format!("font-size=\"26\" fill=\"{color}\"");
        write_text(svg, x + 8.0, y + h / 2.0 + 20.0, &style, &text);
        return;
    }
    let legends = legends(panel, w - 16.0);
    let plot = Area {
        x: x + 62.0,
        y: y + 30.0,
        w: w - 74.0,
        h: h - 50.0 - 13.0 * legends.len() as f64,
    };
    draw_plot(svg, panel, plot, start, end);
    for (at, row) in legends.iter().enumerate() {
        let y = y + h - 8.0 - 13.0 * (legends.len() - 1 - at) as f64;
        let mut x = x + 8.0;
        for (line, legend) in row {
            let color = COLORS[line % COLORS.len()];
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"9\" height=\"3\" fill=\"{color}\"/>",
                y - 5.0
            );
            write_text(svg, x + 12.0, y, "", legend);
            x += legend_width(legend);
        }
    }
}

fn legend_width(legend: &str) -> f64 {
    24.0 + 6.1 * legend.chars().count() as f64
}

/// The legends in rows of this width, each with the index of its line.
fn legends(panel: &Drawn, width: f64) -> Vec<Vec<(usize, &str)>> {
    let mut rows: Vec<Vec<(usize, &str)>> = vec![Vec::new()];
    let mut used = 0.0;
    for (at, line) in panel.lines.iter().enumerate() {
        let wide = legend_width(&line.legend);
        if used > 0.0 && used + wide > width {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += wide;
        rows.last_mut().unwrap().push((at, &line.legend));
    }
    rows
}

fn draw_plot(svg: &mut String, panel: &Drawn, plot: Area, start: f64, end: f64) {
    let numbers = panel.lines.iter().flat_map(|line| &line.values);
    let numbers = numbers
        .map(|(_, value)| *value)
        .filter(|value| value.is_finite());
    let top = round_up(numbers.fold(0.0, f64::max));
    for part in 0..=2 {
        let value = top * f64::from(part) / 2.0;
        let y = plot.y + plot.h - plot.h * f64::from(part) / 2.0;
        let (left, right) = (plot.x, plot.x + plot.w);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\" stroke=\"#e4e5e6\"/>"
        );
        let label = with_unit(value, &panel.unit);
        write_text(
            svg,
            left - 5.0,
            y + 3.5,
            "text-anchor=\"end\" fill=\"#555\"",
            &label,
        );
    }
    for (at, line) in panel.lines.iter().enumerate() {
        let mut path = String::new();
        let mut is_broken = true;
        for (time, value) in &line.values {
            if !value.is_finite() {
                is_broken = true;
                continue;
            }
            let x = plot.x + plot.w * (time - start) / (end - start);
            let y = plot.y + plot.h * (1.0 - value / top);
            let _ = write!(path, "{}{x:.1} {y:.1} ", if is_broken { 'M' } else { 'L' });
            is_broken = false;
        }
        let color = COLORS[at % COLORS.len()];
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>"
        );
    }
    let seconds = format!("{:.0} s", end - start);
    let y = plot.y + plot.h + 12.0;
    write_text(svg, plot.x, y, "fill=\"#555\"", "0 s");
    write_text(
        svg,
        plot.x + plot.w,
        y,
        "text-anchor=\"end\" fill=\"#555\"",
        &seconds,
    );
}

/// The end of an axis: the next round number.
fn round_up(largest: f64) -> f64 {
    if largest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(largest.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= largest)
        .unwrap_or(largest)
}

/// Formats a value in a unit, which has Grafana's name.
fn with_unit(value: f64, unit: &str) -> String {
    let (value, suffix) = match unit {
        "percentunit" => (value * 100.0, "%"),
        "bytes" if value >= 1024.0 * 1024.0 => (value / 1024.0 / 1024.0, " MiB"),
        "bytes" if value >= 1024.0 => (value / 1024.0, " KiB"),
        "bytes" => (value, " B"),
        "Bps" if value >= 1000.0 => (value / 1000.0, " kB/s"),
        "Bps" => (value, " B/s"),
        "ms" => (value, " ms"),
        "s" => (value, " s"),
        "reqps" => (value, "/s"),
        _ => (value, ""),
    };
    let decimals = match value {
        _ if value == 0.0 => 0,
        _ if value < 1.0 => 2,
        _ if value < 10.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{suffix}")
}

fn write_text(svg: &mut String, x: f64, y: f64, style: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>");
}
