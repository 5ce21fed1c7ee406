//! Compressed bytes, by every codec.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::uncompress(input));
