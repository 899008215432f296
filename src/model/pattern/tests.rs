//! Patterns mean what Go's mean, and the fast ways mean the same as the slow one.

use proptest::prelude::*;

use super::{Pattern, compile, translate::translate};

#[test]
fn patterns_match_whole_values_as_re2_does() {
    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let compiled = Pattern::new(pattern).expect(pattern);
        for value in yes {
            assert!(compiled.matches(value), "{pattern} should match {value:?}");
        }
        for value in no {
            assert!(!compiled.matches(value), "{pattern} should not match {value:?}");
        }
        for value in yes.iter().chain(no) {
            assert_eq!(compiled.matches(value), compiled.regex().is_match(value), "{pattern} on {value:?}");
        }
    }
    check("", &[""], &["a"]);
    check("foo", &["foo"], &["foobar", "xfoo", "Foo", ""]);
    check("^foo$", &["foo"], &["foo\n"]);
    check("foo|bar|", &["foo", "bar", ""], &["foobar"]);
    check("a|b", &["a", "b"], &["ab", ""]);
    check("fo(o|b)x?", &["foo", "fobx"], &["fox"]);
    check(".*", &["", "a\nb"], &[]);
    check(".+", &["a", "\n"], &[""]);
    check("(.*)", &["", "a"], &[]);
    check("foo.*", &["foo", "foo\nbar"], &["fo"]);
    check("foo.+", &["foox"], &["foo"]);
    check(".*foo", &["foo", "xfoo"], &["foox"]);
    check(".+foo.*", &["xfoo", "éfoob"], &["foo", "foofo"]);
    check(".*foo.+", &["foox", "afooé"], &["foo"]);
    check("a.*b", &["ab", "axb"], &["a", "abc"]);
    check("a.+a", &["aba"], &["aa", "a"]);
    check("(?i)foo", &["foo", "FOO"], &["fo"]);
    check("(?i)kubernetes-master", &["KUBERNETES-MASTER", "\u{212A}ubernetes-master"], &["kubernetes_master"]);
    check("(?i)abcdefghijklmn", &["ABCDEFGHIJKLMN"], &["abcdefghijklm"]);
    // What Rust alone would read otherwise.
    check("\\d+", &["42"], &["\u{664}\u{662}"]);
    check("\\w+", &["a_1"], &["é"]);
    check("\\s", &[" ", "\t"], &["\u{b}", "\u{a0}"]);
    check("\\W", &["é"], &["a"]);
    check("a\\b.*", &["a", "a b", "aé"], &["ab"]);
    check("a\\Bb", &["ab"], &["a b"]);
    check("[a&&b]+", &["a", "&", "b"], &["c"]);
    check("[+--]+", &["+,-"], &["."]);
    check("[a~~b]+", &["a~b"], &["c"]);
    check("[[a]+", &["[a"], &["]"]);
    check("[]a]+", &["]a"], &["b"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[[:alpha:]_]+", &["ab_"], &["1"]);
    check("[\\d\\-x]+", &["1-x"], &["d"]);
    check("[^\\D]", &["1"], &["a"]);
    check("a{", &["a{"], &["a"]);
    check("a{,5}", &["a{,5}"], &["aaa"]);
    check("{a}", &["{a}"], &["a"]);
    check("a{2}", &["aa"], &["a"]);
    check("a{2,3}?", &["aa", "aaa"], &["aaaa"]);
    check("a{01}", &["a{01}"], &["a"]);
    check("\\Qa.b*\\E+", &["a.b*", "a.b**"], &["axb*"]);
    check("\\Qa.b", &["a.b"], &["axb"]);
    check("\\07", &["\u{7}"], &["7"]);
    check("\\101", &["A"], &["101"]);
    check("\\x41\\x{42}", &["AB"], &[]);
    check("\\_\\-\\/", &["_-/"], &[]);
    check("\\pL\\p{Greek}\\P{^Lu}", &["aαA"], &["1αA"]);
    check("(?s:a.b)(?-s:.)", &["a\nbx"], &["a\nb\n"]);
    check("(?P<x>a)(?<y>b)(?<1z>c)", &["abc"], &["ab"]);
    check("a(?i)b|c", &["aB", "C"], &["AB"]);
    check("(?)a", &["a"], &[]);
    check("(?U)a+", &["aa"], &[]);
    check("#a b", &["#a b"], &["a b"]);
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    #[track_caller]
    fn check(pattern: &str, message: &str) {
        let error = Pattern::new(pattern).expect_err(pattern);
        assert_eq!(error.to_string(), format!("error parsing regexp: {message}"));
    }
    check("*", "missing argument to repetition operator: `*`");
    check("(*a)", "missing argument to repetition operator: `*`");
    check("a|+?", "missing argument to repetition operator: `+?`");
    check("a**", "invalid nested repetition operator: `**`");
    check("a*+b", "invalid nested repetition operator: `*+`");
    check("a{2}{3}", "invalid nested repetition operator: `{2}{3}`");
    check("(a", "missing closing ): `(a`");
    check("a)", "unexpected ): `a)`");
    check("[a", "missing closing ]: `[a`");
    check("x[^", "missing closing ]: `[^`");
    check("[b-a]", "invalid character class range: `b-a`");
    check("[[:foo:]]", "invalid character class range: `[:foo:]`");
    check("\\p{Foo}", "invalid character class range: `\\p{Foo}`");
    check("\\p{Alphabetic}", "invalid character class range: `\\p{Alphabetic}`");
    check("a{1001}", "invalid repeat count: `{1001}`");
    check("a{3,2}", "invalid repeat count: `{3,2}`");
    check("(a{10}){101}", "invalid repeat count: `{101}`");
    check("a{99999999999999999999}", "invalid repeat count: `{99999999999999999999}`");
    check("\\", "trailing backslash at end of expression: ``");
    check("\\8", "invalid escape sequence: `\\8`");
    check("\\1", "invalid escape sequence: `\\1`");
    check("\\C", "invalid escape sequence: `\\C`");
    check("\\Z", "invalid escape sequence: `\\Z`");
    check("\\u0041", "invalid escape sequence: `\\u`");
    check("\\xz", "invalid escape sequence: `\\xz`");
    check("(?x)a", "invalid or unsupported Perl syntax: `(?x`");
    check("(?!a)", "invalid or unsupported Perl syntax: `(?!`");
    check("(?<>a)", "invalid named capture: `(?<>`");
    check("(?P<a", "invalid named capture: `(?P<a`");
    check(&"(".repeat(5000), &format!("expression nests too deeply: `{}`", "(".repeat(5000)));
}

#[test]
fn finite_patterns_list_their_values_and_others_their_prefix() {
    #[track_caller]
    fn check(pattern: &str, values: Option<&[&str]>, prefix: &str) {
        let pattern = Pattern::new(pattern).expect(pattern);
        let listed = pattern.literals().map(|values| values.iter().map(|value| &**value).collect::<Vec<_>>());
        assert_eq!((listed.as_deref(), pattern.prefix()), (values, prefix), "{pattern:?}");
    }
    check("", Some(&[""]), "");
    check("foo", Some(&["foo"]), "foo");
    check("(?:b|a|b)", Some(&["a", "b"]), "");
    check("node-(a|b)[12]", Some(&["node-a1", "node-a2", "node-b1", "node-b2"]), "node-");
    check("ab?", Some(&["a", "ab"]), "a");
    check("(?i)ab", Some(&["AB", "Ab", "aB", "ab"]), "");
    check("foo.*", None, "foo");
    check("foo(bar.*|baz.+)", None, "fooba");
    check("(ab)+c", None, "ab");
    check("\\bfoo\\b", None, "foo");
    check("[a-z]+", None, "");
}

#[test]
fn a_long_list_of_values_is_still_a_list() {
    let values: Vec<_> = (1000..3000).map(|number| format!("host-{number}\\.example")).collect();
    let pattern = Pattern::new(&values.join("|")).expect("compiles");
    assert_eq!(pattern.literals().map(<[_]>::len), Some(2000));
    assert!(pattern.matches("host-2999.example") && !pattern.matches("host-999.example"));
}

#[test]
fn hostile_patterns_are_refused_quickly() {
    let length = super::SOURCE_BYTES_MAX / 4;
    for pattern in ["[[:", "\\pL", "{1,", "(?i)\\w", "(a|b)", "a{99}", "(", ".*"] {
        let _ = Pattern::new(&pattern.repeat(length / pattern.len()));
        let _ = Pattern::new(&format!("{}{}", pattern.repeat(length / pattern.len()), "}:])>".repeat(9)));
    }
    let names: String = (0..20_000).map(|name| format!("(?P<n{name}>)")).collect();
    let _ = Pattern::new(&names);
}

#[test]
fn an_automaton_asked_for_late_is_small_enough() {
    let long = "k".repeat(super::LAZY_BYTES_MAX - 8);
    for pattern in [format!("(?i){long}"), format!("{long}.*a"), format!(".*{long}.+"), long.replace("kk", "|k")] {
        let pattern = Pattern::new(&pattern).expect("compiles");
        assert_eq!(pattern.regex().is_match("K"), pattern.matches("K"));
    }
}

proptest! {
    #[test]
    fn the_fast_way_and_the_slow_way_agree(
        pattern in "(\\^)?(a|b|ab|\\(a\\|b\\)|\\[ab\\]|\\.\\*|\\.\\+|\\.|a\\?|\\(\\?i\\)|\\||\\\\d|1){0,5}\\$?",
        values in prop::collection::vec("[abAB1\n]{0,5}", 10),
    ) {
        if let Ok(compiled) = Pattern::new(&pattern) {
            let slow = compile(&translate(&pattern).expect("it compiled"), super::SIZE_MAX).expect("small");
            for value in &values {
                prop_assert_eq!(compiled.matches(value), slow.is_match(value), "{} on {:?}", pattern, value);
                prop_assert!(!slow.is_match(value) || value.starts_with(compiled.prefix()));
                if let Some(listed) = compiled.literals() {
                    prop_assert_eq!(listed.iter().any(|one| **one == **value), slow.is_match(value));
                }
            }
        }
    }

    #[test]
    fn any_text_compiles_or_is_refused_by_the_translation(pattern in "[\\\\(){}\\[\\]|*+?.^$:<>,\\-a-cPpQExdzé0-9 ]{0,24}") {
        // What the translation lets through, the crate takes.
        if let Err(error) = Pattern::new(&pattern) {
            prop_assert!(translate(&pattern).is_err(), "{}", error);
        }
    }
}
