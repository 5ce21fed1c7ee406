//! Profile files of AWS, and the answers of services that return credentials.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_producer::internals::read_aws_text(input));
