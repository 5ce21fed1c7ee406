//! Responses of every kind and version.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::decode_response(input));
