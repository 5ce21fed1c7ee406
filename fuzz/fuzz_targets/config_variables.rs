//! A value with variables of config providers.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::replace_variables(input));
