//! The text of `sasl.jaas.config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_login(input));
