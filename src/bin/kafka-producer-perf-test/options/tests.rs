use super::*;

const REQUIRED: &str =
    "--topic t --num-records 5 --throughput -1 --record-size 9 --producer-props acks=1";

fn parsed(line: &str) -> Result<PerfTestCommand> {
    parse(lexopt::Parser::from_args(line.split_whitespace()))
}

fn options(line: &str) -> PerfTestOptions {
    match parsed(line) {
        Ok(PerfTestCommand::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    parsed(line).expect_err(line).to_string()
}

#[test]
fn the_required_options_suffice() {
    assert_eq!(
        options(REQUIRED),
        PerfTestOptions {
            topic: "t".to_owned(),
            records: 5,
            payload: PayloadSource::Random { bytes: 9 },
            throughput: None,
            config_file: None,
            properties: vec![("acks".to_owned(), "1".to_owned())],
            print_metrics: false,
            print_resources: false,
            fail_on_error: false,
            html: None,
            transactions: None,
        }
    );
}

#[test]
fn values_may_be_attached_and_the_last_of_several_wins() {
    let options = options(&format!("{REQUIRED} --topic=u --throughput=250 --topic w"));
    assert_eq!(options.topic, "w");
    assert_eq!(options.throughput, NonZeroU32::new(250));
}

#[test]
fn properties_are_words_up_to_the_next_option() {
    let line =
        "--producer-props a=b c.d=e --topic t --num-records 5 --throughput 1 --record-size 0";
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(options(line).properties, [pair("a", "b"), pair("c.d", "e")]);
    assert!(refused(&format!("{REQUIRED} --producer-props=a=b c=d")).contains("unrecognized"));
    assert!(refused(&format!("{REQUIRED} --producer-props --topic")).contains("expected"));
    assert_eq!(
        options(&format!("{REQUIRED} --producer-props x=y")).properties,
        [pair("acks", "1"), pair("x", "y")]
    );
}

/// Kafka's tool splits the word at every `=`, drops empty trailing parts, and requires two parts.
#[test]
fn a_property_has_one_equals_sign_and_the_error_does_not_show_its_value() {
    assert_eq!(property("a=b=").unwrap(), ("a".to_owned(), "b".to_owned()));
    for (bad, shown) in [
        ("secret", "invalid property:"),
        ("c2VjcmV0==", "invalid property:"),
        ("ssl.key.password=", "ssl.key.password:"),
        ("ssl.key.password=secret=x", "ssl.key.password:"),
    ] {
        let error = property(bad).unwrap_err().to_string();
        assert!(error.contains(shown), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}

#[test]
fn options_of_kafkas_tool_may_be_abbreviated_and_others_may_not() {
    let short = "--topi t --num 5 --thr -1 --rec 9 --producer-p acks=1 --print";
    let options = options(short);
    assert!(options.print_metrics && !options.print_resources);
    for own in ["--print-r", "--fail", "--htm", "--vers", "--v"] {
        let error = refused(&format!("{short} {own}"));
        assert!(error.contains(&format!("'{own}'")), "{error}");
    }
}

#[test]
fn a_page_needs_the_name_of_a_file() {
    let named = options(&format!("{REQUIRED} --html out/run.html --fail-on-error"));
    assert_eq!(named.html, Some("out/run.html".into()));
    assert!(named.fail_on_error);
    assert!(refused(&format!("{REQUIRED} --html -")).contains("--html: standard output"));
    assert!(refused(&format!("{REQUIRED} --html")).contains("--html: expected one argument"));
    let error = refused(&format!("{REQUIRED} --fail-on-error=yes"));
    assert!(
        error.contains("--fail-on-error: it takes no value"),
        "{error}"
    );
}

#[test]
fn exactly_one_source_of_payloads_is_given() {
    let base = "--topic t --num-records 5 --throughput -1 --producer-props acks=1";
    assert!(refused(base).contains("--record-size --payload-file --payload-monotonic is required"));
    let [size, file, monotonic] = ["record-size", "payload-file", "payload-monotonic"];
    for (line, first, second) in [
        ("--record-size 1 --payload-file f", size, file),
        ("--payload-monotonic --record-size 1", size, monotonic),
        ("--payload-monotonic --payload-file f", file, monotonic),
        (
            "--payload-monotonic --payload-file f --record-size 1",
            size,
            file,
        ),
    ] {
        let error = refused(&format!("{base} {line}"));
        let wanted = format!("argument --{second}: not allowed with argument --{first}");
        assert_eq!(error, wanted, "{line}");
    }
    let monotonic = options(&format!("{base} --payload-m")).payload;
    assert_eq!(monotonic, PayloadSource::Monotonic);
    let of_file = |line: &str| options(&format!("{base} --payload-file f {line}")).payload;
    let file = |delimiter: &str| PayloadSource::File {
        path: "f".into(),
        delimiter: delimiter.to_owned(),
    };
    assert_eq!(of_file(""), file("\n"));
    assert_eq!(of_file(r"--payload-delimiter \n"), file("\n"));
    assert_eq!(of_file("--payload-delimiter ;+"), file(";+"));
    let alone = refused(&format!("{base} --record-size 1 --payload-delimiter ;"));
    assert_eq!(
        alone,
        "argument --payload-delimiter: not allowed without argument --payload-file"
    );
}

#[test]
fn missing_unknown_and_malformed_options_are_named() {
    for (line, word) in [
        ("--num-records 5", "--topic is required"),
        ("--topic t", "--num-records is required"),
        ("--topic t --num-records 5", "--throughput is required"),
        ("--topic", "--topic: expected one argument"),
        ("--topic --num-records", "--topic: expected one argument"),
        ("--topic=", "--topic: it is empty"),
        ("--bogus", "'--bogus'"),
        ("-x", "'-x'"),
        ("s3cret", "the first word is not an option"),
        ("-- s3cret", "the first word is not an option"),
        ("--topic t s3cret", "a word after --topic"),
        ("--pro x", "--producer-props, --producer.config"),
        ("--num-records 0x10", "'0x10'"),
        ("--throughput 99999999999", "'99999999999'"),
        ("--print-metrics=s3cret", "--print-metrics"),
    ] {
        let error = refused(line);
        assert!(error.contains(word), "{line}: {error}");
        assert!(!error.contains("s3cret"), "{line}: {error}");
    }
    for (line, word) in [
        ("--num-records 0", "--num-records: 0"),
        ("--num-records -5", "--num-records: -5"),
        ("--record-size -1", "--record-size: -1"),
        ("--throughput 0", "--throughput: at 0"),
        ("--throughput -2", "--throughput: -2 is below -1"),
        ("--transaction-duration-ms x", "'x' is not a number"),
        (
            "--producer-props s3cret",
            "invalid property: give KEY=VALUE",
        ),
        ("--producer-props a.b= s3cret", "invalid property a.b: give"),
    ] {
        let error = refused(&format!("{REQUIRED} {line}"));
        assert!(error.contains(word), "{line}: {error}");
        assert!(!error.contains("s3cret"), "{line}: {error}");
    }
    let error = refused("--topic t --num-records 5 --throughput -1 --record-size 9");
    assert!(error.contains("--producer-props or --producer.config"));
}

#[test]
fn a_transactional_id_alone_has_no_effect() {
    let line = format!("{REQUIRED} --transactional-id x --transaction-duration-ms 0");
    assert_eq!(options(&line), options(REQUIRED));
}

#[test]
fn a_transaction_duration_enables_transactions_and_the_id_is_optional() {
    for (line, id) in [("", None), ("--transactional-id x", Some("x"))] {
        let options = options(&format!("{REQUIRED} {line} --transaction-duration-ms 50"));
        let wanted = TransactionSettings {
            id: id.map(str::to_owned),
            duration: Duration::from_millis(50),
        };
        assert_eq!(options.transactions, Some(wanted));
    }
}

#[test]
fn help_and_version_take_precedence_over_all_other_options() {
    for line in ["--version", "--topic t --version"] {
        assert!(
            matches!(parsed(line), Ok(PerfTestCommand::Version)),
            "{line}"
        );
    }
    for line in ["-h", "--help", "--topic t --he"] {
        assert!(matches!(parsed(line), Ok(PerfTestCommand::Help)), "{line}");
    }
}
