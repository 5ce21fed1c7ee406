//! Usage and help of the tool.

pub(crate) const NAME: &str = "kafka-console-producer";

pub(crate) const USAGE: &str = "\
usage: kafka-console-producer --topic TOPIC
           --bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]] [options]
       kafka-console-producer --help";

pub(crate) const HELP: &str = "\
usage: kafka-console-producer --topic TOPIC --bootstrap-server SERVERS [options]

Sends each line of standard input as a record to a topic. On a terminal it
prints the prompt '>'.

  --topic TOPIC           the topic to send to; required
  --bootstrap-server SERVERS
                          bootstrap servers, as HOST1:PORT1,HOST2:PORT2;
                          required, or
  --broker-list SERVERS   the same, by its older name; ignored beside
                          --bootstrap-server
  --sync                  send one record at a time, and stop at the first one
                          that fails
  --help                  show this help
  --version               show the version

Records:
  --property K=V          a property of the reader, see below; may be given
                          several times
  --reader-config FILE    properties of the reader, a Java properties file;
                          --property overrides it
  --line-reader CLASS     only Kafka's own reader,
                          org.apache.kafka.tools.LineMessageReader

  parse.key=false             whether a line has a key: KEY<tab>VALUE
  key.separator=<tab>         the text between key and value
  parse.headers=false         whether a line has headers:
                              NAME:VALUE,NAME:VALUE<tab>VALUE, with a key
                              NAME:VALUE,NAME:VALUE<tab>KEY<tab>VALUE
  headers.delimiter=<tab>     the text after the headers
  headers.separator=,         the text between two headers
  headers.key.separator=:     the text between name and value of a header
  null.marker=                the text that stands for null, as key, value,
                              value of a header, or all headers; by default no
                              text does
  ignore.error=false          whether a line without its separator is sent all
                              the same: the missing part is left out
  topic=TOPIC                 overrides --topic

Producer (the key that the option sets, and its default):
  --producer-property K=V     any key of the configuration; may be given several
                              times
  --producer.config FILE      configuration of the producer, a Java properties
                              file
  --compression-codec [CODEC] compression.type: none, gzip, snappy, lz4 or zstd;
                              gzip without a value (none)
  --request-required-acks A   acks: 0, 1, -1 or all (1; with
                              enable.idempotence=true all)
  --message-send-max-retries N
                              retries (3)
  --timeout MS                linger.ms (1000; with --sync 0)
  --request-timeout-ms MS     request.timeout.ms (1500)
  --retry-backoff-ms MS       retry.backoff.ms (100)
  --max-block-ms MS           max.block.ms (60000)
  --metadata-expiry-ms MS     metadata.max.age.ms (300000)
  --max-memory-bytes BYTES    buffer.memory (33554432)
  --max-partition-memory-bytes BYTES
                              batch.size (16384)
  --batch-size BYTES          batch.size; --max-partition-memory-bytes overrides
                              it
  --socket-buffer-size BYTES  send.buffer.bytes (102400)

An option that is given overrides --producer-property, which overrides
--producer.config, which overrides the defaults above. client.id is
console-producer by default.

Lines are bytes, and end with \\n, \\r or \\r\\n. A line that is longer than
max.request.size allows is not sent.

The end of the input (Ctrl-D on a terminal) sends the remaining records, without
a time limit of its own. On Unix, SIGINT (Ctrl-C), SIGTERM and SIGHUP end the
tool too: no further line is read, the lines that were read have 5 s to be
delivered, then the rest is aborted. A second signal ends it at once. The last
line that was sent is reported, and how many lines were acknowledged; also when
the input cannot be read, or a bad line ends the run. On Windows, Ctrl-C ends it
at once, and records that are not sent are lost.

Each record that fails is reported on standard error, with the number of its
line. Exit codes: 0 if every record was delivered; 1 if one failed, or for a bad
line or option; on Unix, 128 plus its number after a signal.";
