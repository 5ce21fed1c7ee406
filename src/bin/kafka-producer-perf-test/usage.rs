//! What the tool says of itself.

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

Sends records to a topic as fast as it can, or at a given rate, and tells throughput and latency.

  -h, --help              show this help
  --topic TOPIC           the topic to send to
  --num-records N         how many records to send
  --throughput R          so many records a second, evenly paced; -1: as fast as possible
  --record-size BYTES     records of this size, of random capital letters; the alternative is
  --payload-file FILE     records drawn at random from a text file in UTF-8
  --payload-delimiter D   what separates the records of that file, a regular expression (default: \\n)
  --producer-props K=V [K=V ...]
                          configuration of the producer; wins over --producer.config
  --producer.config FILE  configuration of the producer, a Java properties file;
                          at least one of these two is needed
  --print-metrics         at the end, tell the producer's counters
  --transactional-id ID   the transactional id (default: performance-producer-default-transactional-id)
  --transaction-duration-ms MS
                          commit a transaction when it is so old; 0: no transactions (default: 0);
                          transactions are not built yet

Not in Kafka's tool, and not to be abbreviated:
  --print-resources       at the end, tell CPU time and peak memory, this tool's own share apart";
