//! A broker's side of SCRAM.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::talk_scram(input));
