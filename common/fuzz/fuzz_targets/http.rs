#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| framegram_net::fuzzing::http(bytes));
