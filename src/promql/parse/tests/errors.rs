//! The words for what is wrong, and where.

use super::parsed;
use crate::promql::features::Features;
use crate::promql::parse::{HEIGHT_MAX, NESTING_MAX, QUERY_BYTES_MAX, parse};

#[track_caller]
fn check(text: &str, place: &str, message: &str) {
    let error = parse(text, &Features::all()).expect_err(text);
    assert_eq!(error.to_string(), format!("{place}: parse error: {message}"), "{text}");
}

#[test]
fn texts_that_cannot_be_read() {
    check("", "unknown position", "no expression found in input");
    check(" # nothing\n", "1:1", "no expression found in input");
    check("(1 + 1", "1:7", "unclosed left parenthesis");
    check("1)", "1:3", "unexpected right parenthesis ')'");
    check("foo[5m", "1:7", "unclosed left bracket");
    check("foo[", "1:5", "unexpected end of input in duration expression");
    check("foo]", "1:4", "unexpected right bracket ']'");
    check("foo[5m[", "1:7", "unexpected left bracket '['");
    check("foo{", "1:5", "unexpected end of input inside braces");
    check("foo{{", "1:5", "unexpected left brace '{'");
    check("}", "1:1", "unexpected character: '}'");
    check("a $ b", "1:3", "unexpected character: '$'");
    check("a é b", "1:3", "unexpected character: 'é'");
    check("a =~ 1", "1:3", "unexpected character after '=': '~'");
    check("a !~ 1", "1:3", "unexpected character after '!': '~'");
    check("a{b!c}", "1:4", "unexpected character after '!' inside braces: 'c'");
    check("a{b+c}", "1:4", "unexpected character inside braces: '+'");
    check("foo[x]", "1:5", "unexpected character in duration expression: 'x'");
    check("foo[5m y]", "1:8", "unexpected character: 'y', expected ':'");
    check("foo[:5m]", "1:6", "unexpected colon before duration in duration expression");
    check("foo[5m::]", "1:8", "unexpected colon ':'");
    check("1a", "1:1", "bad number or duration syntax: \"1\"");
    check("0deadbeef", "1:1", "bad number or duration syntax: \"0de\"");
    check("5m5", "1:1", "bad number or duration syntax: \"5m5\"");
    check("1e", "1:1", "bad number or duration syntax: \"1e\"");
    check("0b1", "1:1", "bad number or duration syntax: \"0\"");
    check("1..2", "1:1", "bad number or duration syntax: \"1..\"");
    check("'a", "1:1", "unterminated quoted string");
    check("\"a\nb\"", "1:1", "unterminated quoted string");
    check("`a", "1:1", "unterminated raw string");
    check("'\\", "1:1", "escape sequence not terminated");
    check("'\\y'", "1:1", "unknown escape sequence U+0079 'y'");
    check("'\\xq0'", "1:1", "illegal character U+0071 'q' in escape sequence");
    check("'\\400'", "1:1", "escape sequence is an invalid Unicode code point");
    check("'\\ud800'", "1:1", "escape sequence is an invalid Unicode code point");
    check("'\u{FFFD}'", "1:1", "invalid UTF-8 rune");
}

#[test]
fn computed_durations_must_be_switched_on() {
    #[track_caller]
    fn refused(text: &str, place: &str) {
        let error = parse(text, &Features::default()).expect_err(text);
        let expected = format!("{place}: parse error: experimental duration expression is not enabled");
        assert_eq!(error.to_string(), expected, "{text}");
    }
    refused("foo[5m + 1m]", "1:5");
    refused("foo[(5m)]", "1:6");
    refused("foo[1m + 2 * (3 + 4)]", "1:15");
    refused("foo[1h:step()]", "1:8");
    refused("foo[1 / 0]", "1:5");
    refused("foo offset -min_of(step(), 1)", "1:20");
    refused("foo offset range()", "1:12");
    // The sign of a number, and what stands behind an offset, are no arithmetic on durations.
    for plain in ["foo[5m]", "foo[+5m]", "foo offset -5m", "foo offset 5m + 1", "foo offset 2 ^ 2"] {
        parse(plain, &Features::default()).expect(plain);
    }
}

#[test]
fn tokens_where_they_do_not_belong() {
    check("foo bar", "1:5", "unexpected identifier \"bar\"");
    check("foo a:b", "1:5", "unexpected metric identifier \"a:b\"");
    check("1 2", "1:3", "unexpected number \"2\"");
    check("1 'a long string'", "1:3", "unexpected string \"'a long st\"...");
    check("1 +", "1:4", "unexpected end of input");
    check("\n\n*test", "3:1", "unexpected <op:*>");
    check("a = b", "1:3", "unexpected \"=\"");
    check("a ! b", "1:3", "unexpected character after '!': ' '");
    check("foo by (a)", "1:5", "unexpected <by>");
    check("a + group_left b", "1:5", "unexpected <group_left>");
    check("1 topk", "1:3", "unexpected <aggr:topk>");
    check("a start", "1:3", "unexpected \"start\"");
    check("sum by foo (a)", "1:8", "unexpected identifier \"foo\" in grouping opts, expected \"(\"");
    check("sum by (,) (a)", "1:9", "unexpected \",\" in grouping opts, expected label");
    check("sum by (a b) (a)", "1:11", "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"");
    check("sum by (\"\") (a)", "1:9", "invalid label name for grouping: \"\"");
    check("sum (+)", "1:7", "unexpected \")\" in aggregation");
    check("sum by (a) b", "1:12", "unexpected identifier \"b\" in aggregation");
    check("sum(a) by (b) by (c)", "1:15", "unexpected <by>");
    check("foo{a}", "1:6", "unexpected \"}\" in label matching, expected label matching operator");
    check("foo{a=b}", "1:7", "unexpected identifier \"b\" in label matching, expected string");
    check("foo{,}", "1:5", "unexpected \",\" in label matching, expected identifier or \"}\"");
    check("foo{a='b' c='d'}", "1:11", "unexpected identifier \"c\" in label matching, expected \",\" or \"}\"");
    check("foo offset", "1:11", "unexpected end of input in offset, expected number, duration, step(), or range()");
    check(
        "foo offset bar",
        "1:12",
        "unexpected identifier \"bar\" in offset, expected number, duration, step(), or range()",
    );
    check("foo @", "1:6", "unexpected end of input in @, expected timestamp");
    check("foo @ start", "1:12", "unexpected end of input in @, expected timestamp");
    check(
        "foo[]",
        "1:5",
        "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
    );
    check("foo[5m 5m]", "1:8", "unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\"");
    check("foo[5m:1m 1m]", "1:11", "unexpected duration \"1m\" in subquery selector, expected \"]\"");
    check(
        "foo[5m:*]",
        "1:8",
        "unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or \"]\"",
    );
    check("rate(a,)", "1:7", "trailing commas not allowed in function call args");
    check("rate(,a)", "1:6", "unexpected \",\"");
}

#[test]
fn values_that_make_no_sense() {
    check("1e400", "1:1", "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range");
    check("1m1h", "1:1", "not a valid duration string: \"1m1h\"");
    check("1ys", "1:1", "unknown unit \"ys\" in duration \"1ys\"");
    check("300y", "1:1", "duration out of range");
    check("foo[0]", "1:5", "duration must be greater than 0");
    check("foo[-1m]", "1:5", "duration must be greater than 0");
    check("foo[1e11]", "1:5", "duration out of range");
    check("foo[1/0]", "1:6", "division by zero");
    check("foo[1%0]", "1:6", "modulo by zero");
    check("foo @ Inf", "1:1", "timestamp out of bounds for @ modifier: +Inf");
    check("foo @ 1e30", "1:1", "timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000");
    check("foo{a=~'['}", "1:5", "error parsing regexp: missing closing ]: `[`");
    check("foo{a=~'*'}", "1:5", "error parsing regexp: missing argument to repetition operator: `*`");
    check("nope(a)", "1:1", "unknown function with name \"nope\"");
    check("RATE(a[5m])", "1:1", "unknown function with name \"RATE\"");
}

#[test]
fn modifiers_that_do_not_fit() {
    let offset = "must be preceded by an instant vector selector or range vector selector or a subquery";
    check("1 offset 1m", "1:1", &format!("offset modifier {offset}"));
    check("(a) @ 1", "1:1", &format!("@ modifier {offset}"));
    check("a offset 1m offset 2m", "1:1", "offset may not be set multiple times");
    check("a @ 1 @ start()", "1:1", "@ <timestamp> may not be set multiple times");
    check("a offset 1m [5m]", "1:13", "no offset modifiers allowed before range");
    check("a @ 1 [5m]", "1:7", "no @ modifiers allowed before range");
    check("rate(a[5m])[5m]", "1:12", "ranges only allowed for vector selectors");
    check("a anchored smoothed", "1:1", "anchored and smoothed modifiers cannot be used together");
    check("a[5m:] smoothed", "1:1", "smoothed modifier is not supported for subqueries");
    check("1 anchored", "1:1", "anchored modifier not implemented");
}

#[test]
fn types_that_do_not_fit() {
    check("sum(1)", "1:5", "expected type instant vector in aggregation expression, got scalar");
    check("sum()", "1:1", "no arguments for aggregate expression provided");
    let wrong = "wrong number of arguments for aggregate expression provided";
    check("sum(a, b)", "1:1", &format!("{wrong}, expected 1, got 2"));
    check("(topk(a))", "1:2", &format!("{wrong}, expected 2, got 1"));
    check("topk('1', a)", "1:6", "expected type scalar in aggregation parameter, got string");
    check("count_values(1, a)", "1:14", "expected type string in aggregation parameter, got scalar");
    check("rate(a)", "1:6", "expected type range vector in call to function \"rate\", got instant vector");
    check("floor()", "1:1", "expected 1 argument(s) in call to \"floor\", got 0");
    check("round(a, 1, 2)", "1:1", "expected at most 2 argument(s) in call to \"round\", got 3");
    check("label_join(a)", "1:1", "expected at least 3 argument(s) in call to \"label_join\", got 1");
    check("info(a, b)", "1:9", "expected label selectors only, got vector selector instead");
    check("info(a, sum(b))", "1:9", "expected label selectors only");
    check("info(a, 1)", "1:1", "expected type instant vector in call to function \"info\", got scalar");
    check("1 == 2", "1:3", "comparisons between scalars must use BOOL modifier");
    check("a +  bool b", "1:3", "bool modifier can only be used on comparison operators");
    check("1 or 2", "1:1", "set operator \"or\" not allowed in binary scalar expression");
    check("a + on(x) 1", "1:1", "vector matching only allowed between instant vectors");
    check("a + fill(1) 1", "1:1", "filling in missing series only allowed between instant vectors");
    check("a or fill(1) b", "1:1", "filling in missing series not allowed for set operators");
    check("a and on(x) group_left b", "1:1", "no grouping allowed for \"and\" operation");
    check("a + on(x) group_left(x) b", "1:3", "label \"x\" must not occur in ON and GROUP clause at once");
    check("a + 'b'", "1:5", "binary expression must contain only scalar and instant vector types");
    check("a[5m] + 1", "1:1", "binary expression must contain only scalar and instant vector types");
    let unary = "unary expression only allowed on expressions of type scalar or instant vector, got";
    check("-a[5m]", "1:1", &format!("{unary} \"range vector\""));
    check("-'a'", "1:1", &format!("{unary} \"string\""));
    check("1[5m:]", "1:1", "subquery is only allowed on instant vector, got scalar instead");
    check("{}", "1:1", "vector selector must contain at least one non-empty matcher");
    check("a + {b=~'.*'}", "1:5", "vector selector must contain at least one non-empty matcher");
    check("a{__name__='b'}", "1:1", "metric name must not be set twice: \"a\" or \"b\"");
    // These select labels only, so they may be empty.
    parsed("info(a, {b=~'.*'})");
}

#[test]
fn experiments_must_be_switched_on() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = parse(text, &Features::default()).expect_err(text);
        assert_eq!(error.to_string(), format!("1:1: parse error: {expected}"));
        parsed(text);
    }
    let flag = "must be enabled with --enable-feature=promql-experimental-functions";
    check("limitk(1, a)", &format!("limitk() is experimental and {flag}"));
    check("sort_by_label(a, 'b')", "function \"sort_by_label\" is not enabled");
    check("step()", "function \"step\" is not enabled");
    check("a smoothed", "smoothed modifier is experimental and not enabled");
    check("a[5m] anchored", "anchored modifier is experimental and not enabled");
    check("a + fill(0) b", "binop fill modifiers are experimental and not enabled");
    let error = parse("a[1m + step()]", &Features::default()).expect_err("off by default");
    assert_eq!(error.to_string(), "1:8: parse error: experimental duration expression is not enabled");
}

#[test]
fn no_query_is_too_deep_too_high_or_too_long() {
    let nested = |times: usize| format!("{}a{}", "(".repeat(times), ")".repeat(times));
    let chain = |times: usize| vec!["a"; times].join(" + ");
    let powers = |times: usize| vec!["1"; times].join("^");
    let deep = format!("expression is nested more than {NESTING_MAX} levels deep");
    parsed(&nested(NESTING_MAX - 1));
    check(&nested(100_000), &format!("1:{}", NESTING_MAX + 1), &deep);
    check(&powers(100_000), &format!("1:{}", 2 * NESTING_MAX + 1), &deep);
    check(&"-".repeat(100_000), &format!("1:{}", NESTING_MAX + 1), &deep);
    check(&format!("a[{}1", "(".repeat(100_000)), &format!("1:{}", NESTING_MAX + 2), &deep);
    let high = format!("expression has more than {HEIGHT_MAX} levels of operators");
    let expr = parsed(&chain(HEIGHT_MAX));
    assert_eq!(expr.clone(), parsed(&expr.to_string()));
    check(&chain(HEIGHT_MAX + 1), "1:1", &high);
    check(&format!("a{}", "[5m:]".repeat(100_000)), "1:1", &high);
    check(&format!("a[{}1]", "1+".repeat(200)), "1:260", "duration has more than 128 operators");
    check(&"a".repeat(QUERY_BYTES_MAX + 1), "1:1", &format!("query is longer than {QUERY_BYTES_MAX} bytes"));
}
