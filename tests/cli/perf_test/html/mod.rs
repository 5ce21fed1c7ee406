//! The page of `--html`.
#![allow(
    clippy::float_cmp,
    reason = "numbers that were printed with the same decimals are equal"
)]

#[cfg(unix)]
mod interrupted;
mod well_formed;

use std::path::{Path, PathBuf};

use kafka_producer::ErrorCode;
use kafka_producer::testing::{Api, Rule, TestCluster};

use self::well_formed::elements;
use super::{cluster, perf_test, send};
use crate::lines::parse_total;
use crate::support::TempFile;

/// An empty folder that is deleted with this value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kafka-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn page(&self) -> PathBuf {
        self.0.join("run.html")
    }

    /// The page, which must be well-formed, and the only file of the folder.
    fn read(&self) -> String {
        let files: Vec<_> = std::fs::read_dir(&self.0).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let page = std::fs::read_to_string(self.page()).unwrap();
        let elements = elements(&page);
        let charts = elements.iter().filter(|name| **name == "figure").count();
        assert_eq!(charts, 3);
        page
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The cell beside the first heading with this name.
fn cell<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = format!("<th scope=\"row\">{heading}</th><td>");
    let (_, after) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {heading}"));
    after.split_once("</td>").unwrap().0
}

/// The number at the start of a cell, without commas.
fn number(page: &str, heading: &str) -> f64 {
    let cell = cell(page, heading);
    let number = cell.split(' ').next().unwrap().replace(',', "");
    number
        .parse()
        .unwrap_or_else(|_| panic!("{heading}: {cell}"))
}

/// Checks that the figures of the page are those of the total line, as far as the line has digits.
#[track_caller]
fn assert_figures(page: &str, line: &str) {
    let total = parse_total(line).unwrap();
    assert_eq!(number(page, "records"), total.records as f64);
    assert_eq!(number(page, "throughput"), total.records_per_second);
    assert_eq!(
        number(page, "throughput in bytes"),
        total.megabytes_per_second
    );
    assert_eq!(number(page, "average"), total.latency_avg_ms);
    assert!((number(page, "maximum") - total.latency_max_ms).abs() < 0.006);
    for (heading, percentile) in ["50th", "95th", "99th", "99.9th"]
        .iter()
        .zip(total.percentiles_ms)
    {
        assert_eq!(number(page, heading).floor(), percentile, "{heading}");
    }
    let line = line.replace('\'', "&#39;");
    assert!(page.contains(&format!("<pre>{line}</pre>")), "{line}");
}

#[test]
fn the_page_has_the_figures_of_the_total_line_and_the_settings() {
    let cluster = cluster();
    let folder = Folder::new("figures");
    let page = folder.page();
    std::fs::write(&page, "an older page").unwrap();
    let further = [
        "client.id=<script>&\"x\"",
        "linger.ms=7",
        "--record-size",
        "100",
    ];
    let further = [
        &further[..],
        &["--throughput", "4000", "--html", name(&page)],
    ]
    .concat();
    let ended = send(&cluster, "2000", &further);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((ended.lines().len(), ended.stderr.as_str()), (1, ""));
    let page = folder.read();
    assert_figures(&page, ended.lines()[0]);
    assert!(page.contains(">Completed</p>"));
    assert!(!page.contains("<h2>Failures</h2>") && !page.contains("have no result"));
    assert_eq!(number(&page, "failed"), 0.0);
    assert_eq!(number(&page, "bytes of values"), 200_000.0);
    assert_eq!(cell(&page, "linger.ms"), "7");
    assert_eq!(cell(&page, "client.id"), "&lt;script&gt;&amp;&quot;x&quot;");
    assert_eq!(cell(&page, "payload"), "100 bytes, random letters");
    assert_eq!(cell(&page, "target rate"), "4,000 records/s");
    assert_eq!(cell(&page, "batch.size"), "16384");
    for heading in ["processor", "processors", "memory", "system", "library"] {
        assert!(!cell(&page, heading).is_empty());
    }
    assert!(cell(&page, "library").contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn secrets_are_not_on_the_page() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_user("me", "s3cret")
        .start()
        .unwrap();
    let folder = Folder::new("secrets");
    let config = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nmy.own=s3cret\nsasl.jaas.config=\
        org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"s3cret\";\n";
    let config = TempFile::new("secrets.properties", config.as_bytes());
    let page = folder.page();
    let options = ["--producer.config", config.name(), "--html", name(&page)];
    let ended = send(
        &cluster,
        "10",
        &[&options[..], &["--payload-monotonic", "--throughput", "-1"]].concat(),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = folder.read();
    assert!(!page.contains("s3cret"));
    assert_eq!(cell(&page, "sasl.jaas.config"), "[hidden]");
    assert_eq!(cell(&page, "my.own"), "[hidden]");
    assert_eq!(cell(&page, "payload"), "number of the record");
}

#[test]
fn a_page_of_failed_records_lists_them_by_kind() {
    let cluster = cluster();
    let folder = Folder::new("failures");
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let page = folder.page();
    let ended = perf_test(&[
        "--topic",
        "<no>where",
        "--num-records",
        "3",
        "--throughput",
        "-1",
        "--record-size",
        "1",
        "--fail-on-error",
        "--html",
        name(&page),
        "--producer-props",
        &servers,
        "max.block.ms=150",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert_eq!(
        last,
        "kafka-producer-perf-test: error: 3 of 3 records failed"
    );
    let page = folder.read();
    assert_figures(&page, ended.lines()[0]);
    assert!(page.contains("Completed, all records failed"));
    assert!(page.contains("<h2>Failures</h2>") && page.contains("<td class=\"number\">3</td>"));
    assert!(page.contains("&lt;no&gt;where") && !page.contains("<no>"));
    assert_eq!(number(&page, "failed"), 3.0);
}

/// The page would replace the payloads, or the lines of the run.
#[test]
fn a_file_that_the_run_reads_or_writes_is_refused_as_page() {
    let cluster = cluster();
    let payloads = TempFile::new("page-payloads.txt", b"one\ntwo\n");
    let further = ["--throughput", "-1", "--payload-file", payloads.name()];
    let html = ["--html", payloads.name()];
    let ended = send(&cluster, "5", &[&further[..], &html].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let words = "cannot be written: it is the file of --payload-file";
    assert!(ended.stderr.contains(words), "{ended:?}");
    assert_eq!(std::fs::read(payloads.path()).unwrap(), b"one\ntwo\n");

    #[cfg(unix)]
    {
        use crate::perf_test::PROGRAM;
        use crate::support::{RunningTool, tool};

        let output = TempFile::new("page-output.txt", b"");
        let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
        let mut command = tool(PROGRAM);
        let command = command.args(["--topic", "t", "--num-records", "5"]);
        let command = command.args(further).args(["--html", output.name()]);
        let command = command.args(["--producer-props", &servers]);
        let stdout = std::fs::File::create(output.path()).unwrap();
        let ended = RunningTool::of(command, stdout.into()).wait();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let words = "cannot be written: it is standard output";
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    assert_eq!(cluster.record_count("t"), 0);
}

#[test]
fn a_path_that_cannot_be_written_is_an_error_before_the_run() {
    let cluster = cluster();
    let folder = Folder::new("unwritable");
    let inside = folder.0.join("no-such-folder/run.html");
    for path in [inside.as_path(), folder.0.as_path()] {
        let further = [
            "--record-size",
            "1",
            "--throughput",
            "-1",
            "--html",
            name(path),
        ];
        let ended = send(&cluster, "1", &further);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(name(path)), "{ended:?}");
        assert!(ended.stderr.contains("cannot be written"), "{ended:?}");
    }
    assert_eq!(
        (cluster.record_count("t"), cluster.connections_accepted()),
        (0, 0)
    );
}

#[test]
fn a_page_is_written_when_the_run_stops_with_an_error() {
    let cluster = cluster();
    let refused = Rule::on(Api::EndTxn).fail(ErrorCode::TransactionalIdAuthorizationFailed);
    cluster.script(refused.always()).unwrap();
    let folder = Folder::new("error");
    let page = folder.page();
    let further = [
        "--record-size",
        "10",
        "--throughput",
        "200",
        "--html",
        name(&page),
    ];
    let further = [&further[..], &["--transaction-duration-ms", "100"]].concat();
    let ended = send(&cluster, "1000", &further);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    let page = folder.read();
    assert!(page.contains(">Stopped by an error</p>"));
    let sent = number(&page, "records");
    assert!(sent > 0.0 && sent < 1000.0, "{sent}");
    assert!(page.contains("of 1,000 planned records have no result."));
}

/// The class is looked for when the producer is built.
#[test]
fn a_page_is_written_when_the_producer_cannot_be_built() {
    let cluster = cluster();
    let folder = Folder::new("no-producer");
    let page = folder.page();
    std::fs::write(&page, "an older page").unwrap();
    let further = [
        "interceptor.classes=no.such.Interceptor",
        "--record-size",
        "10",
        "--throughput",
        "-1",
        "--html",
        name(&page),
    ];
    let ended = send(&cluster, "5", &further);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("no.such.Interceptor"), "{ended:?}");
    let page = folder.read();
    assert!(page.contains(">Stopped by an error</p>") && page.contains("no.such.Interceptor"));
    assert_eq!(number(&page, "records"), 0.0);
}

#[cfg(unix)]
#[test]
fn the_page_has_the_cpu_time_of_the_printed_resources() {
    let cluster = cluster();
    let folder = Folder::new("resources");
    let page = folder.page();
    let options = ["--record-size", "10", "--throughput", "-1"];
    let further = ["--print-resources", "--html", name(&page)];
    let ended = send(&cluster, "100", &[&options[..], &further].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended
        .lines()
        .into_iter()
        .find(|line| line.starts_with("CPU time: "));
    let seconds = line.unwrap().split(' ').nth(2).unwrap();
    assert_eq!(
        number(&folder.read(), "CPU time"),
        seconds.parse::<f64>().unwrap()
    );
}
