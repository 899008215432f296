//! Nothing makes the parser panic, and what it prints it reads back.

use proptest::prelude::*;

use crate::promql::features::Features;
use crate::promql::parse::{parse, parse_selector};
use crate::promql::{format, tree};

const WORDS: [&str; 72] = [
    "a",
    "foo",
    "a:b",
    "sum",
    "topk",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "@",
    "start",
    "end",
    "()",
    "(",
    ")",
    "(a)",
    "(a, b)",
    "{",
    "}",
    "[",
    "]",
    "[5m]",
    "[5m:1m]",
    "[5m:]",
    ",",
    ":",
    "=",
    "!=",
    "=~",
    "!~",
    "==",
    ">",
    "</",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "and",
    "or",
    "unless",
    "1",
    "0x1f",
    ".5",
    "1e3",
    "5m",
    "1h30m",
    "inf",
    "'x'",
    "\"y\\n\"",
    "`z`",
    "rate",
    "rate(a[5m])",
    "time()",
    "step()",
    "range()",
    "min_of",
    "max_of(1, 2m)",
    "fill",
    "fill_left(1)",
    "smoothed",
    "anchored",
    "{a=~'b.*',c!=''}",
    "# x\n",
    "info(a, {b='c'})",
    "é",
];

/// Queries that mostly parse, grown from the leaves up.
fn query() -> impl Strategy<Value = String> {
    let vector = prop_oneof!["[a-c]", Just("foo{b!='x',a=~\"y.*\"}".to_owned()), Just("{'m.n'}".to_owned())];
    let shift = prop_oneof![
        4 => Just(String::new()),
        1 => Just(" offset -5m".to_owned()),
        1 => Just(" @ end() offset (1h / 2)".to_owned()),
        1 => Just(" @ 1.5 smoothed".to_owned()),
    ];
    let window = prop_oneof!["\\[[1-9]m(:[1-9]s)?\\]", Just("[-(-step() * 2 ^ 3) + 5m]".to_owned())];
    let leaf = (vector, shift.clone()).prop_map(|(vector, shift)| vector + &shift);
    leaf.prop_recursive(5, 40, 3, move |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "^",
            "atan2",
            "== bool",
            "and",
            "or on(x)",
            "> on (a) group_left(b)",
            "/ fill(-1e9)",
            "</",
        ]);
        prop_oneof![
            3 => (inner.clone(), op, inner.clone()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
            1 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => inner.clone().prop_map(|inner| format!("-{inner}")),
            1 => inner.clone().prop_map(|inner| format!("sum without (x) ({inner})")),
            1 => inner.clone().prop_map(|inner| format!("topk(2 + 1, {inner}) by (y)")),
            1 => inner.clone().prop_map(|inner| format!("clamp({inner}, -1, scalar({inner}) * 1h)")),
            1 => (inner, window.clone(), shift.clone())
                .prop_map(|(inner, window, shift)| format!("rate(({inner}){window}{shift})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_parses_or_fails(text in "\\PC{0,40}") {
        let _ = parse(&text, &Features::all());
        let _ = parse_selector(&text);
    }

    #[test]
    fn any_row_of_words_parses_or_fails(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..14)) {
        let _ = parse(&words.concat(), &Features::all());
        let text = words.join(" ");
        let _ = parse_selector(&text);
        if let Ok(expr) = parse(&text, &Features::all()) {
            let printed = expr.to_string();
            let again = parse(&printed, &Features::all());
            prop_assert_eq!(again.map(|again| again.to_string()), Ok(printed), "{}", text);
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_tree(text in query()) {
        if let Ok(expr) = parse(&text, &Features::all()) {
            // Printing sorts matchers and normalises durations; once printed, everything is settled.
            let settled = parse(&expr.to_string(), &Features::all()).expect("printed");
            prop_assert_eq!(expr.to_string(), settled.to_string(), "{}", text);
            let again = parse(&format::pretty(&settled), &Features::all()).expect("formatted");
            prop_assert_eq!(tree::json(&again), tree::json(&settled), "{}", text);
        }
    }
}
