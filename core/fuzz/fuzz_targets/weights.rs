#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    algodistill_fuzz::weights(bytes);
});
