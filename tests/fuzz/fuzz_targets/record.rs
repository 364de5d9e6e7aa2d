#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stockline_hostile::target("record")(bytes);
});
