//! The frame of a chart as inline SVG: grid, labels, curves, marks. The plot is stretched to the width of the page, and
//! texts keep their size: positions are percentages, and curves are in a nested `svg` of their own.

use super::axis::Tick;
use super::markup::{Escaped, put};

/// Units of the nested `svg` along each side.
const SIDE: f64 = 1000.0;

/// A position in the plot: both coordinates from 0 to 1, `y` upwards.
pub(crate) type Point = (f64, f64);

/// A chart while it is built. Later parts are drawn above earlier ones.
pub(crate) struct Chart {
    title: String,
    y_unit: &'static str,
    grid: String,
    curves: String,
    hits: String,
    marks: String,
}

impl Chart {
    /// `title` is read aloud in place of the chart. `y_unit` is written above the vertical axis; it is empty if the
    /// ticks have units.
    pub(crate) fn new(title: impl Into<String>, y_unit: &'static str) -> Self {
        Self {
            title: title.into(),
            y_unit,
            grid: String::new(),
            curves: String::new(),
            hits: String::new(),
            marks: String::new(),
        }
    }

    /// Horizontal grid lines with labels left of the plot.
    pub(crate) fn y_ticks(&mut self, ticks: &[Tick]) {
        for tick in ticks {
            let y = percent(1.0 - tick.at);
            let class = if tick.label.is_empty() {
                " class=\"minor\""
            } else {
                ""
            };
            put!(
                &mut self.grid,
                "<line{class} x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>"
            );
            if !tick.label.is_empty() {
                put!(
                    &mut self.grid,
                    "<text x=\"0\" dx=\"-8\" y=\"{y}\" dy=\"0.32em\" text-anchor=\"end\">{}</text>",
                    Escaped(&tick.label)
                );
            }
            self.grid.push('\n');
        }
    }

    /// Vertical grid lines with labels below the plot.
    pub(crate) fn x_ticks(&mut self, ticks: &[Tick]) {
        for tick in ticks {
            let x = percent(tick.at);
            let class = if tick.is_optional {
                " class=\"wide\""
            } else {
                ""
            };
            let anchor = if tick.at > 0.97 { "end" } else { "middle" };
            put!(
                &mut self.grid,
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/><text{class} x=\"{x}\" y=\"100%\" dy=\"1.6em\" \
                 text-anchor=\"{anchor}\">{}</text>\n",
                Escaped(&tick.label)
            );
        }
    }

    /// A line through points.
    pub(crate) fn line(&mut self, class: &str, points: &[Point]) {
        if !points.is_empty() {
            put!(
                &mut self.curves,
                "<path class=\"line {class}\" d=\"{}\"/>\n",
                path(points)
            );
        }
    }

    /// The area between points and the horizontal axis.
    pub(crate) fn area(&mut self, class: &str, points: &[Point]) {
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let mut closed = points.to_vec();
            closed.extend([(last.0, 0.0), (first.0, 0.0)]);
            put!(
                &mut self.curves,
                "<path class=\"area {class}\" d=\"{}Z\"/>\n",
                path(&closed)
            );
        }
    }

    /// The area between two lines.
    pub(crate) fn band(&mut self, class: &str, upper: &[Point], lower: &[Point]) {
        let mut closed = upper.to_vec();
        closed.extend(lower.iter().rev());
        if !closed.is_empty() {
            put!(
                &mut self.curves,
                "<path class=\"area {class}\" d=\"{}Z\"/>\n",
                path(&closed)
            );
        }
    }

    /// A part of the plot with a text that is shown while the pointer is on it.
    pub(crate) fn hit(&mut self, from: f64, to: f64, text: &str) {
        put!(
            &mut self.hits,
            "<rect class=\"hit\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{SIDE}\"><title>{}</title></rect>\n",
            from * SIDE,
            (to - from) * SIDE,
            Escaped(text)
        );
    }

    /// A ring around a point.
    pub(crate) fn mark(&mut self, class: &str, (x, y): Point) {
        put!(
            &mut self.marks,
            "<circle class=\"mark {class}\" cx=\"{}\" cy=\"{}\" r=\"4.5\"/>\n",
            percent(x),
            percent(1.0 - y)
        );
    }

    /// A text in the middle of the plot.
    pub(crate) fn message(&mut self, text: &str) {
        put!(
            &mut self.marks,
            "<text class=\"message\" x=\"50%\" y=\"50%\" dy=\"0.32em\" text-anchor=\"middle\">{}</text>\n",
            Escaped(text)
        );
    }

    /// Appends the chart to a page.
    pub(crate) fn draw(&self, page: &mut String) {
        let class = if self.y_unit.is_empty() {
            "plot bare"
        } else {
            "plot"
        };
        put!(
            page,
            "<div class=\"{class}\"><svg width=\"100%\" height=\"100%\" role=\"img\" aria-label=\"{}\">\n\
             <g class=\"grid\">\n{}",
            Escaped(&self.title),
            self.grid
        );
        if !self.y_unit.is_empty() {
            put!(
                page,
                "<text x=\"0\" dx=\"-8\" y=\"0\" dy=\"-1.2em\" text-anchor=\"end\">{}</text>\n",
                Escaped(self.y_unit)
            );
        }
        page.push_str("</g>\n");
        put!(
            page,
            "<svg width=\"100%\" height=\"100%\" viewBox=\"0 0 {SIDE} {SIDE}\" \
             preserveAspectRatio=\"none\">\n{}{}</svg>\n",
            self.curves,
            self.hits
        );
        page.push_str(&self.marks);
        page.push_str("</svg></div>\n");
    }
}

/// Corners of a line of steps: `value` from `from` to `to`, for each item.
pub(crate) fn steps(items: impl IntoIterator<Item = (f64, f64, f64)>) -> Vec<Point> {
    let corners = |(from, to, value)| [(from, value), (to, value)];
    items.into_iter().flat_map(corners).collect()
}

/// A position as a percentage, without trailing zeros.
fn percent(share: f64) -> String {
    format!("{}%", (share * 10_000.0).round() / 100.0)
}

fn path(points: &[Point]) -> String {
    let mut path = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let (x, y) = (tenths(x * SIDE), tenths((1.0 - y) * SIDE));
        put!(&mut path, "{command}{x} {y}");
    }
    path
}

/// A tenth of a unit is less than a pixel.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_their_origin_at_the_bottom_left() {
        assert_eq!(
            path(&[(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)]),
            "M0 1000L500 750L1000 0"
        );
        assert_eq!(percent(0.123_456), "12.35%");
        assert_eq!(steps([(0.0, 0.5, 1.0), (0.5, 1.0, 0.0)]).len(), 4);
    }

    #[test]
    fn an_empty_chart_has_a_frame_and_no_curves() {
        let mut chart = Chart::new("a <title>", "ms");
        chart.line("a", &[]);
        chart.area("a", &[]);
        chart.band("a", &[], &[]);
        let mut page = String::new();
        chart.draw(&mut page);
        assert!(page.contains("aria-label=\"a &lt;title&gt;\""), "{page}");
        assert!(!page.contains("<path"), "{page}");
    }
}
