#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| framegram_media::fuzzing::y4m(bytes));
