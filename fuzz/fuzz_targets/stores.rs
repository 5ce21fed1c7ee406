//! Trust stores and key stores, in PEM, PKCS#12 and JKS.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_store(input));
