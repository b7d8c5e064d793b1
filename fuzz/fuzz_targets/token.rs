#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordada_query::auth::fuzzing::token(data));
