use super::*;

const REQUIRED: &[&str] = &["--topic", "t", "--bootstrap-server", "a:1"];

fn parsed(words: &[&str]) -> Result<ConsoleProducerCommand> {
    parse(lexopt::Parser::from_args(words))
}

/// The options of the required words and these.
fn options(words: &[&str]) -> ConsoleProducerOptions {
    match parsed(&[REQUIRED, words].concat()) {
        Ok(ConsoleProducerCommand::Run(options)) => options,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn flags(words: &[&str]) -> BTreeMap<&'static str, String> {
    options(words).producer.flags
}

#[test]
fn only_topic_and_servers_are_required() {
    let wanted = ConsoleProducerOptions {
        topic: "t".to_owned(),
        reader_file: None,
        reader_properties: Vec::new(),
        producer: ProducerOptions {
            is_sync: false,
            servers: "a:1".to_owned(),
            config_file: None,
            properties: Vec::new(),
            flags: BTreeMap::new(),
        },
    };
    assert_eq!(options(&[]), wanted);
    match parsed(&["--topic=t", "--broker-list=a:1"]) {
        Ok(ConsoleProducerCommand::Run(options)) => assert_eq!(options, wanted),
        other => panic!("{other:?}"),
    }
    assert_eq!(options(&["--broker-list", "b:2"]), wanted);
}

#[test]
fn the_codec_has_an_optional_value() {
    for (words, codec) in [
        (&["--compression-codec"][..], "gzip"),
        (&["--compression-codec", "--sync"], "gzip"),
        (&["--compression-codec="], "gzip"),
        (&["--compression-codec", "lz4"], "lz4"),
        (&["--compression-codec=zstd"], "zstd"),
    ] {
        assert_eq!(flags(words)[CODEC], codec, "{words:?}");
    }
    assert!(options(&["--compression-codec", "--sync"]).producer.is_sync);
}

#[test]
fn every_option_of_the_producer_is_read() {
    let words: Vec<String> = FLAGS
        .iter()
        .map(|flag| match flag.option {
            CODEC => format!("--{CODEC}=snappy"),
            option => format!("--{option}=-1"),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(flags(&words).len(), FLAGS.len());
    assert_eq!(flags(&["--timeout", "5"])["timeout"], "5");
    assert_eq!(flags(&["--request-required-acks", "all"])[ACKS], "all");
}

#[test]
fn a_property_is_split_at_its_first_equals_sign() {
    let words = [
        "--property",
        "key.separator==",
        "--property",
        "null.marker=",
        "--producer-property",
        "sasl.jaas.config=a b=\"c\";",
        "--property=headers.delimiter=--",
    ];
    let options = options(&words);
    let texts = |properties: &[(String, String)]| {
        let joined = properties
            .iter()
            .map(|(key, value)| format!("{key} {value}"));
        joined.collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&options.reader_properties),
        ["key.separator =", "null.marker ", "headers.delimiter --"]
    );
    assert_eq!(
        texts(&options.producer.properties),
        ["sasl.jaas.config a b=\"c\";"]
    );
}

#[test]
fn the_word_after_an_option_is_its_value_unless_it_is_another_option() {
    let options = options(&["--producer.config", "-f", "--reader-config", "--g"]);
    assert_eq!(options.producer.config_file, Some("-f".into()));
    assert_eq!(options.reader_file, Some("--g".into()));
    let error = parsed(&["--topic", "--bootstrap-server", "a:1"]).unwrap_err();
    assert_eq!(error.to_string(), "argument --topic: expected one argument");
}

#[test]
fn kafkas_own_reader_has_two_names() {
    for class in LINE_READERS {
        assert_eq!(options(&["--line-reader", class]), options(&[]));
    }
}

#[test]
fn a_bad_command_line_is_named() {
    for (words, message) in [
        (
            &["--topics", "t"][..],
            "unknown option --topics; did you mean --topic?",
        ),
        (&["--bootstrap", "a:1"], "did you mean --bootstrap-server?"),
        (
            &["--producer-config", "f"],
            "did you mean --producer.config?",
        ),
        (
            &["--bogus"],
            "unknown option --bogus; --help lists all options",
        ),
        (&["-t"], "unknown option -t"),
        (
            &["--sync", "s3cret"],
            "a word after --sync belongs to no option",
        ),
        (
            &["--producer-property", "ssl.key.password=a", "s3cret"],
            "a word after --producer-property belongs to no option",
        ),
        (&["s3cret"], "the first word is not an option"),
        (&["--sync=s3cret"], "--sync"),
        (&["--topic"], "--topic: expected one argument"),
        (&["--timeout", "soon"], "--timeout: 'soon' is not a number"),
        (
            &["--request-required-acks", "2"],
            "--request-required-acks: invalid choice: '2'",
        ),
        (
            &["--property", "parse.key"],
            "--property: expected KEY=VALUE",
        ),
        (
            &["--producer-property", "ssl.key.password s3cret"],
            "--producer-property: expected KEY=VALUE",
        ),
        (
            &["--producer-property", "=s3cret"],
            "the key of KEY=VALUE is empty",
        ),
        (&["--topic", "t"], "--bootstrap-server is required"),
        (&["--broker-list", "a:1"], "--topic is required"),
        (
            &["--topic", "t", "--topic", "u"],
            "--topic is given more than once",
        ),
    ] {
        let error = parsed(words).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let error = parsed(&[REQUIRED, &["--line-reader", "a.B"]].concat()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("'a.B'") && error.contains("org.apache.kafka.tools.LineMessageReader"));
}

#[test]
fn help_and_version_need_nothing_else() {
    for words in [&["--help"][..], &["-h"], &["--sync", "--help"]] {
        assert!(matches!(parsed(words), Ok(ConsoleProducerCommand::Help)));
    }
    assert!(matches!(
        parsed(&["--version"]),
        Ok(ConsoleProducerCommand::Version)
    ));
}
