#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordada_wal::fuzzing::wal(data));
