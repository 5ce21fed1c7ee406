//! Message sets, of the formats before record batches.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_message_set(input));
