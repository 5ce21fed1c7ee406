//! Usage and help of the tool.

pub(crate) const NAME: &str = "kafka-producer-perf-test";

pub(crate) const USAGE: &str = "\
usage: kafka-producer-perf-test [-h] [--version] --topic TOPIC
           --num-records NUM-RECORDS --throughput THROUGHPUT
           (--record-size RECORD-SIZE | --payload-file PAYLOAD-FILE |
            --payload-monotonic) [--payload-delimiter PAYLOAD-DELIMITER]
           [--producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
           [--producer.config CONFIG-FILE] [--print-metrics]
           [--print-resources] [--transactional-id TRANSACTIONAL-ID]
           [--transaction-duration-ms TRANSACTION-DURATION]
           [--fail-on-error] [--html FILE]";

pub(crate) const HELP: &str = "\
usage: kafka-producer-perf-test [options]

Sends records to a topic as fast as possible, or at a given rate, and prints
throughput and latency.

  -h, --help              show this help
  --topic TOPIC           the topic to send to
  --num-records N         how many records to send
  --throughput R          records per second, evenly paced; -1: no limit
  --record-size BYTES     records of this size, of random capital letters; the
                          alternatives are
  --payload-file FILE     records drawn at random from a text file in UTF-8, and
  --payload-monotonic     the number of the record, from 0, as text
  --payload-delimiter D   what separates the records of that file, a regular
                          expression (default: \\n)
  --producer-props K=V [K=V ...]
                          configuration of the producer, repeatable; overrides
                          --producer.config
  --producer.config FILE  configuration of the producer, a Java properties file;
                          at least one of these two is required
  --print-metrics         at the end, print all metrics of the producer
  --transactional-id ID   the transactional id (default: that of the
                          configuration, else
                          performance-producer-default-transactional-id)
  --transaction-duration-ms MS
                          commit each transaction after this time; 0: no
                          transactions (default: 0)

Not in Kafka's tool, and without abbreviation:
  --print-resources       at the end, print CPU time and peak memory, and the
                          tool's own share
  --fail-on-error         exit with 1 if a record failed; without this option,
                          failed records are printed and counted, and the exit
                          code is 0, as in Kafka's tool
  --html FILE             write a page with charts of throughput and latency,
                          the settings and the machine. It is written at the
                          end, also after an error of the producer. On Unix,
                          SIGINT and SIGTERM then end the run early with a page,
                          and with exit code 130 or 143, within 5 s; a second
                          signal does not wait for records in flight. '-' is
                          refused
  --version               show the version

If standard output cannot be written, the run ends: with exit code 1, or with
141 if the reader of a pipe has left.";
