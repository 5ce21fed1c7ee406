//! Requests, as the embedded broker reads and answers them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::handle_request(input));
