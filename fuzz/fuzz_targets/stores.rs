//! Trust stores and key stores, in PEM and PKCS#12.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_store(input));
