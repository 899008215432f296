//! What binds to what, where it stands, how it prints.

use super::parsed;
use crate::promql::ast::{DurationExpr, Expr, ExprKind, Position};
use crate::promql::parse::{self, text::has_raw_bytes};
use crate::promql::{format, tree};

/// The tree with a parenthesis around every operator, call and modifier.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(binary) => {
            format!("({} {} {})", shape(&binary.left), binary.op.as_str(), shape(&binary.right))
        }
        ExprKind::Unary { negative, expr } => format!("({}{})", if *negative { '-' } else { '+' }, shape(expr)),
        ExprKind::Paren(expr) => format!("[{}]", shape(expr)),
        ExprKind::Call(call) => {
            format!("{}{:?}", call.function, call.arguments.iter().map(shape).collect::<Vec<_>>()).replace('"', "")
        }
        _ => expr.to_string(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shape(&parsed(text)), expected);
    }
    check("1 + 2 * 3", "(1 + (2 * 3))");
    check("1 - 2 - 3", "((1 - 2) - 3)");
    check("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))");
    check("-1 ^ 2", "(-(1 ^ 2))");
    check("-1 * 2", "(-1 * 2)");
    check("2 ^ -1 * 3", "((2 ^ -1) * 3)");
    check("--a", "(-(-a))");
    check("a or b and c unless d", "(a or ((b and c) unless d))");
    check("a == bool b + c", "(a == (b + c))");
    check("a < b > c", "((a < b) > c)");
    check("a </ 2 + 1", "(a </ (2 + 1))");
    check("a atan2 b % c", "((a atan2 b) % c)");
    check("-a offset 5m", "(-a offset 5m)");
    check("a offset 1m + 1m", "(a offset 1m + 1m)");
    check("a offset -2 ^ 2", "(a offset -2s ^ 2)");
    check("a + b @ 5", "(a + b @ 5.000)");
    check("a offset (1m + 1m)", "a offset (1m + 1m)");
    check("a[1m + 2 * 3]", "a[1m + 2 * 3]");
    // Many words are names where a name is wanted.
    check("sum * by", "(sum * by)");
    check("and and and", "(and and and)");
    check("offset offset 5m", "offset offset 5m");
    check("fill + fill(1) fill_left", "(fill + fill_left)");
    check("start + step() - end", "((start + step[]) - end)");
    check("min_of + min_of(1, 2)", "(min_of + min_of[1, 2])");
    check("Inf + nan - 0x1F", "((+Inf + NaN) - 31)");
}

#[test]
fn queries_print_as_prometheus_prints_them() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parsed(text).to_string(), expected);
        assert_eq!(parsed(expected).to_string(), expected);
    }
    check("sum(a)by(x,)", "sum by (x) (a)");
    check("sum by () (a)", "sum(a)");
    check("SUM without(\"a b\", c)(d)", "sum without (\"a b\", c) (d)");
    check("topk without() (1,a)", "topk without () (1, a)");
    check("a+on()b", "a + on () b");
    check("a+ignoring(x)group_left b", "a + ignoring (x) group_left () b");
    check("a+on(x)group_right(y)fill_right(-1)b", "a + on (x) group_right (y) fill_right (-1) b");
    check("a + fill_left(1e6) fill_right(1e21) b", "a + fill_left (1e+06) fill_right (1e+21) b");
    check("foo{b!='2',a=~`x`,}", "foo{a=~\"x\",b!=\"2\"}");
    check("{\"foo.bar\",\"l'\"=\"v\"}", "{\"l'\"=\"v\",__name__=\"foo.bar\"}");
    check("{__name__=''   , a='b'}", "{__name__=\"\",a=\"b\"}");
    check("foo[90s] offset 0s", "foo[1m30s]");
    check("foo offset -1w @ -1.5", "foo @ -1.500 offset -1w");
    check("foo[5m:] @ end()", "foo[5m:] @ end()");
    check("foo[5m:1h-1s] offset -step()", "foo[5m:1h - 1s] offset -step()");
    check("foo[((5m))]", "foo[5m]");
    check("foo[-(1m-((5m+1s)))]", "foo[-(1m - (5m + 1s))]");
    check("rate(foo[1m]smoothed offset 1m)", "rate(foo[1m] smoothed offset 1m)");
    check("1h + 0x10 + 1e3 + 1e21", "1h + 16 + 1000 + 1000000000000000000000");
    check("-1m", "-1m");
    check("'a\"\\'\\xff\\u00e9\\n\\0007\u{1F600}'", "\"a\\\"'\\xffé\\n\\x007\u{1F600}\"");
    check("\"\\u00ad\\u200b\"", "\"\\u00ad\\u200b\"");
    check("# first\na # second\n+ b", "a + b");
}

#[test]
fn every_node_knows_where_it_stands() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let expr = parsed(text);
        let Position { start, end } = expr.position;
        assert_eq!(&text[start..end], expected);
    }
    check("  foo{a=\"b\"} offset 5m @ start() ", "foo{a=\"b\"} offset 5m @ start()");
    check(" sum ( a ) by (b) ", "sum ( a ) by (b)");
    check(" sum by (b) ( a ) ", "sum by (b) ( a )");
    check(" - 1 ", "- 1");
    check(" -a ^ b ", "-a ^ b");
    check(" (a) ", "(a)");
    check(" rate(a[5m] offset 1m) ", "rate(a[5m] offset 1m)");
    check(" a [5m:1m] @ 3 ", "a [5m:1m] @ 3");
    // Prometheus leaves these words out.
    check(" a smoothed ", "a");
    assert_eq!(parse::position("a\nbé\n c", 6), (3, 1));
    assert_eq!(parse::position("abc", 99), (1, 4));
}

#[test]
fn long_queries_are_split() {
    let long = "x".repeat(60);
    let expected = format!("  {long}\n+ on (a)\n  -sum by (b) (\n    {long}{long}\n  )");
    assert_eq!(format::pretty(&parsed(&format!("{long} + on(a) -sum by(b) ({long}{long})"))), expected);
    let expected = format!("clamp(\n  {long},\n  (\n      {long}\n    -\n      {long}\n  ),\n  2\n)");
    let query = format!("clamp({long}, ({long} - {long}), 2)");
    assert_eq!(
        format::pretty(&parse::parser::Parser::new(&query, &Default::default()).query().expect("parses")),
        expected
    );
}

#[test]
fn bytes_that_are_no_text_stay_themselves() {
    let ExprKind::String(text) = parsed("\"a\\xc5z\"").kind else { panic!("a string") };
    assert!(has_raw_bytes(&text) && !has_raw_bytes("é\u{10FF7F}a"));
    assert_eq!(tree::json(&parsed("'a\\xc5z'"))["val"], "a\u{FFFD}z");
    let ExprKind::String(text) = parsed("\"\\xc3\\xa9\"").kind else { panic!("a string") };
    assert_eq!(text, "é");
}

#[test]
fn known_durations_are_whole_milliseconds() {
    #[track_caller]
    fn check(text: &str, millis: i64) {
        let ExprKind::Range { length: DurationExpr::Literal(length), .. } = parsed(text).kind else {
            panic!("{text} has no known length")
        };
        assert_eq!(length.as_millis(), millis);
    }
    check("a[5m]", 300_000);
    check("a[1.5]", 1500);
    check("a[0.0015]", 1);
    check("a[-(-0.3)]", 300);
    check("a[292y]", 292 * 365 * 86_400_000);
}

#[test]
fn selectors_of_match_parameters() {
    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = parse::parse_selector(text)
            .map(|matchers| matchers.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|error| error.to_string());
        let expected = expected
            .map(|matchers| matchers.iter().map(|&matcher| matcher.to_owned()).collect::<Vec<_>>())
            .map_err(str::to_owned);
        assert_eq!(found, expected);
    }
    check("up", Ok(&["__name__=\"up\""]));
    check("up{job!=\"x\"}", Ok(&["job!=\"x\"", "__name__=\"up\""]));
    check("{}", Ok(&[]));
    check("{'my.metric',a=~'b.*'}", Ok(&["__name__=\"my.metric\"", "a=~\"b.*\""]));
    check("", Err("unknown position: parse error: unexpected end of input"));
    check("up[5m]", Err("1:3: parse error: unexpected \"[\""));
    check("1", Err("1:1: parse error: unexpected number \"1\""));
    check("up offset 1m", Err("1:4: parse error: unexpected <offset>"));
}
