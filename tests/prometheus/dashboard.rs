//! The dashboard and the alerts in `docs`: runs their queries in a Prometheus that scrapes the example service.

use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::metrics_http;
use crate::picture::{self, Drawn, Line};
use crate::server::{Prometheus, Series};

/// The time for which the service runs, in seconds.
const SECONDS: u64 = 20;

/// A query of a panel.
struct Target {
    expression: String,
    legend: String,
}

struct Panel {
    title: String,
    kind: String,
    unit: String,
    colors: Vec<(f64, String)>,
    /// x, y, width and height in cells of the grid.
    place: [u32; 4],
    targets: Vec<Target>,
}

fn docs(name: &str) -> String {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn panels() -> Vec<Panel> {
    let dashboard: Json = serde_json::from_str(&docs("grafana-dashboard.json")).unwrap();
    let panel = |json: &Json| {
        let target = |json: &Json| Target {
            expression: text(&json["expr"]),
            legend: text(&json["legendFormat"]),
        };
        let targets = json["targets"].as_array();
        let color = |step: &Json| {
            // The first step has no value: it applies below the second.
            let from = step["value"].as_f64().unwrap_or(f64::NEG_INFINITY);
            (from, text(&step["color"]))
        };
        let colors = json["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
        Panel {
            title: text(&json["title"]),
            kind: text(&json["type"]),
            unit: text(&json["fieldConfig"]["defaults"]["unit"]),
            colors: colors.into_iter().flatten().map(color).collect(),
            place: ["x", "y", "w", "h"]
                .map(|of| u32::try_from(json["gridPos"][of].as_u64().unwrap()).unwrap()),
            targets: targets.into_iter().flatten().map(target).collect(),
        }
    };
    dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(panel)
        .collect()
}

/// Replaces the variables of a query as Grafana does; a rate covers four scrapes.
fn filled_in(expression: &str) -> String {
    let filled_in = expression
        .replace("$client_id", "shop")
        .replace("$topic", ".*")
        .replace("$__rate_interval", "4s");
    assert!(!filled_in.contains('$'), "{filled_in}");
    filled_in
}

fn legend(format: &str, series: &Series) -> String {
    let mut legend = format.to_owned();
    for (label, value) in &series.labels {
        legend = legend.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap());
    }
    assert!(!legend.contains("{{"), "{legend}: no such label");
    legend
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

fn largest(series: &[Series]) -> f64 {
    let numbers = series.iter().flat_map(Series::numbers);
    numbers.fold(f64::NAN, f64::max)
}

#[test]
fn every_panel_and_alert_has_data_of_a_scraped_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scraped = listener.local_addr().unwrap();
    let Some(prometheus) = Prometheus::start("dashboard", scraped) else {
        return;
    };
    let start = now();
    metrics_http::run(&listener, SECONDS).unwrap();
    // The scrape of the last second may be missing.
    let end = now() - 1.0;

    let mut drawn = Vec::new();
    let mut missing = Vec::new();
    for panel in panels() {
        let mut lines = Vec::new();
        for target in &panel.targets {
            let expression = filled_in(&target.expression);
            let series = prometheus.query_range(&expression, start, end);
            // There are about 20 scrapes; the first ones have no data yet.
            let has_data = series.iter().any(|series| series.numbers().count() >= 8);
            if !has_data {
                missing.push(format!("{}: {expression}", panel.title));
            }
            lines.extend(series.iter().map(|series| Line {
                legend: legend(&target.legend, series),
                values: series.values.clone(),
            }));
        }
        drawn.push(Drawn {
            title: panel.title,
            kind: panel.kind,
            unit: panel.unit,
            colors: panel.colors,
            place: panel.place,
            lines,
        });
    }
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/dashboard.svg");
    // Prometheus takes some seconds to start.
    let times = drawn.iter().flat_map(|panel| &panel.lines);
    let times = times.flat_map(|line| &line.values).map(|(time, _)| *time);
    let first = times.fold(end, f64::min);
    std::fs::write(path, picture::svg(&drawn, first, end)).unwrap();
    eprintln!("{} panels, drawn in {path}", drawn.len());
    assert!(missing.is_empty(), "no data for {missing:#?}");

    // The service has problems that alerts should report: lost and retried records, and slow responses.
    for (name, least) in [
        (
            "rate(kafka_producer_producer_metrics_record_error_total[4s])",
            0.1,
        ),
        (
            "rate(kafka_producer_producer_metrics_record_retry_total[4s])",
            0.1,
        ),
        ("kafka_producer_producer_metrics_record_send_rate", 5.0),
        ("kafka_producer_producer_metrics_request_latency_max", 5.0),
        ("kafka_producer_producer_metrics_record_queue_time_avg", 5.0),
        ("kafka_producer_app_info", 1.0),
        ("up", 1.0),
    ] {
        let largest = largest(&prometheus.query_range(name, start, end));
        assert!(largest >= least, "{name}: {largest}");
    }
    let metrics_md = docs("METRICS.md");
    let alerts: Vec<&str> = metrics_md.split("```promql\n").skip(1).collect();
    assert!(alerts.len() >= 3);
    for alert in alerts {
        let expression = alert.split("```").next().unwrap();
        // An invalid query fails; the left side of an alert with an unknown metric has no data.
        let left = expression.split(['<', '>']).next().unwrap();
        let was = prometheus.query_range(&left.replace("[5m]", "[4s]"), start, end);
        assert!(!was.is_empty(), "{left}");
        prometheus.query_range(expression, start, end);
    }
}
