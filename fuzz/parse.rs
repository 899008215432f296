//! No text makes the parser panic, hang or overflow its stack, and what it prints is read back as the same query.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::promql::parse::{parse, parse_selector};
use weir::promql::{Features, format, tree};

fuzz_target!(|text: &str| {
    let _ = parse_selector(text);
    let _ = parse(text, &Features::default());
    let Ok(expr) = parse(text, &Features::all()) else { return };
    let printed = expr.to_string();
    let laid_out = format::pretty(&expr);
    let _ = tree::json(&expr);
    // Two forms that Prometheus prints do not read back as the same: see src/promql/tests/fuzz.rs.
    if printed.contains("Inf") || printed.contains("info(") {
        return;
    }
    for text in [&printed, &laid_out] {
        let again = parse(text, &Features::all()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(again.to_string(), printed, "what is printed is read back");
    }
});
