//! Usage and help of the tool.

pub(crate) const NAME: &str = "kafka-producer-perf-test";

pub(crate) const USAGE: &str = "\
usage: kafka-producer-perf-test [-h] --topic TOPIC --num-records NUM-RECORDS --throughput THROUGHPUT
           (--record-size RECORD-SIZE | --payload-file PAYLOAD-FILE)
           [--payload-delimiter PAYLOAD-DELIMITER]
           [--producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
           [--producer.config CONFIG-FILE] [--print-metrics] [--print-resources]
           [--transactional-id TRANSACTIONAL-ID] [--transaction-duration-ms TRANSACTION-DURATION]";

pub(crate) const HELP: &str = "\
usage: kafka-producer-perf-test [options]

Sends records to a topic as fast as possible, or at a given rate, and prints throughput and latency.

  -h, --help              show this help
  --topic TOPIC           the topic to send to
  --num-records N         how many records to send
  --throughput R          records per second, evenly paced; -1: no limit
  --record-size BYTES     records of this size, of random capital letters; the alternative is
  --payload-file FILE     records drawn at random from a text file in UTF-8
  --payload-delimiter D   what separates the records of that file, a regular expression (default: \\n)
  --producer-props K=V [K=V ...]
                          configuration of the producer; overrides --producer.config
  --producer.config FILE  configuration of the producer, a Java properties file;
                          at least one of these two is required
  --print-metrics         at the end, print all metrics of the producer
  --transactional-id ID   the transactional id (default: performance-producer-default-transactional-id)
  --transaction-duration-ms MS
                          commit each transaction after this time; 0: no transactions (default: 0)

Not in Kafka's tool, and without abbreviation:
  --print-resources       at the end, print CPU time and peak memory, and the tool's own share";
