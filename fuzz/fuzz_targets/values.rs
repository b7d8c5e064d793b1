#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordada_flight_server::fuzzing::values(data));
