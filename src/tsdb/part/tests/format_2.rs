//! Parts of format 2: long chunks under the cold codec in one piece.

use super::*;

/// What `tests/fixtures/part-2.part` was written from: one long chunk of every kind of values. Never to be changed.
fn series_of_the_fixture() -> Vec<Series> {
    let kinds = ["constant", "counter", "decimals", "exceptions", "floats", "line", "repeated", "uneven"];
    let mut all = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let labels = Labels::from_pairs([("__name__", *kind), ("instance", "host-0:9100"), ("job", "node")]);
        let mut column = Column::default();
        let mut state = number as u64 + 1;
        let mut draw = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut total = 0_u64;
        for row in 0..1_500_i64 {
            total += draw(40);
            let value = match *kind {
                "constant" => 7.25,
                "counter" => total as f64,
                "decimals" => draw(1_000) as f64 / 100.0,
                "exceptions" if row % 400 == 399 => f64::from_bits(STALE_NAN_BITS),
                "exceptions" => (total * 4_096) as f64,
                "floats" => (draw(1 << 30) as f64).sqrt(),
                "line" => (row * 15) as f64,
                "repeated" => (draw(6) as f64 + 0.1).sqrt(),
                _ => {
                    total += if draw(5) == 0 { draw(100_000) } else { 0 };
                    total as f64
                }
            };
            let at = at(row * 15_000 + if row % 50 == 7 { 9 } else { 0 });
            rows::push(&mut column, &BatchSample { at, start: Timestamp::EPOCH, value, histogram: None });
        }
        all.push((number as u32, 0, labels, vec![(Lane(0), column)]));
    }
    all
}

fn fixture() -> (tempfile::TempDir, Part) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = super::super::path(directory.path(), 5);
    std::fs::write(&path, include_bytes!("../../../../tests/fixtures/part-2.part")).expect("writable");
    let part = Part::open(&path, &Arc::default()).expect("an older part opens");
    (directory, part)
}

#[test]
fn a_part_of_format_2_gives_back_what_was_written() {
    let (_directory, part) = fixture();
    assert_eq!(part.version, 2);
    let series = series_of_the_fixture();
    let expected: BTreeMap<String, Shown> = series.iter().map(|one| (one.2.to_string(), shown(one))).collect();
    assert_eq!(everything(&part), expected);
    assert_eq!(damages(&part), []);
    let (_today, today) = check_written(&series, Level::Sealed, 8_192);
    assert!(today.bytes() < part.bytes() + 200, "{} bytes, and {} in format 2", today.bytes(), part.bytes());
}
