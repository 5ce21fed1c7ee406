//! The response of a token endpoint, and the token in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_token(input));
