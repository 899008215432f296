use super::*;

struct Up;

impl Query for Up {
    fn query(&self, expr: &str) -> Result<Vec<TemplateSample>, String> {
        match expr {
            "up" => Ok([("b", 1.0), ("a", 0.0)]
                .map(|(instance, value)| TemplateSample {
                    labels: Labels::from_pairs([("__name__", "up"), ("instance", instance)]),
                    value,
                })
                .to_vec()),
            "nothing" => Ok(Vec::new()),
            other => Err(format!("no such query: {other}")),
        }
    }
}

fn data() -> Data {
    Data {
        labels: Labels::from_pairs([("instance", "node1.example:9100"), ("job", "node")]),
        value: 1_234_567.891,
        external_labels: Labels::from_pairs([("cluster", "dc1")]),
        external_url: "http://weir.example/prefix".into(),
        at: Timestamp::from_millis(1_700_000_000_500),
        active_at: Timestamp::from_millis(1_700_000_000_000),
        alert_id: "a1".into(),
        group_id: "0f".into(),
        interval_seconds: 90.0,
        ..Data::default()
    }
}

fn expand(text: &str) -> Result<String, TemplateError> {
    Template::parse(text)?.expand(&data(), &Up)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, part: &str) {
    let error = expand(text).expect_err(text);
    assert!(error.to_string().contains(part), "{text}: {error} does not say {part:?}");
}

#[test]
fn variables_and_fields() {
    check("plain {text}", "plain {text}");
    check("{{ $labels.job }} {{ $value }}", "node 1.234567891e+06");
    check("{{ .Labels.job }}/{{ .Value }}/{{ .ExternalURL }}", "node/1.234567891e+06/http://weir.example/prefix");
    check("[{{ $labels.missing }}]", "[]");
    check("{{ $externalLabels.cluster }}", "dc1");
    check("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}", "2");
    check("{{ $.Labels.job }}", "node");
    check("{{ index $labels \"job\" }}", "node");
    check("{{ $labels }}", "map[instance:node1.example:9100 job:node]");
    fails("{{ .NoSuchField }}", "can't evaluate field NoSuchField");
    check("{{ $type }} {{ $interval }} {{ $isPartial }} {{ $groupID }}/{{ .AlertID }}", "prometheus 1m30s false 0f/a1");
}

#[test]
fn variables_are_known_where_they_are_declared() {
    check("{{ if true }}{{ $x := 1 }}{{ $x }}{{ end }}{{ $x := 2 }}{{ $x }}", "12");
    check("{{ range $i, $v := query \"up\" }}{{ $i }}{{ with $w := $v.Value }}{{ $w }}{{ end }}{{ end }}", "011");
    check("{{ define \"t\" }}{{ $.job }}{{ $x := . }}{{ $x.job }}{{ end }}{{ template \"t\" $labels }}", "nodenode");
    // As in Go, while the text is read: not first when the alert fires.
    for text in [
        "{{ $nope }}",
        "{{ $nope = 1 }}",
        "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}",
        "{{ with $x := 1 }}{{ else }}{{ end }}{{ $x }}",
        "{{ define \"t\" }}{{ $labels.job }}{{ end }}",
    ] {
        let error = Template::parse(text).expect_err(text);
        assert!(error.what.starts_with("undefined variable"), "{text}: {error}");
    }
}

#[test]
fn white_space_is_trimmed_where_asked() {
    check("a  {{- 1 -}}  b", "a1b");
    check("a {{/* a comment */}} b", "a  b");
    check("a {{- /* a comment */ -}} b", "ab");
    check("{{ -1 }} {{- -2 }}", "-1-2");
}

#[test]
fn blocks() {
    check("{{ if gt $value 5.0 }}high{{ else }}low{{ end }}", "high");
    check("{{ if false }}a{{ else if eq $labels.job \"node\" }}b{{ else }}c{{ end }}", "b");
    check("{{ with query \"up\" }}{{ . | first | label \"instance\" }}{{ end }}", "b");
    check("{{ with query \"nothing\" }}yes{{ else }}no{{ end }}", "no");
    check("{{ with $x := 5 }}{{ $x }}{{ end }}", "5");
    check(
        "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}",
        "a=0;b=1;",
    );
    check("{{ range $i, $s := query \"up\" }}{{ $i }}:{{ $s.Value }} {{ end }}", "0:1 1:0 ");
    check("{{ range query \"nothing\" }}x{{ else }}none{{ end }}", "none");
    check("{{ range 3 }}{{ . }}{{ if eq . 1 }}{{ break }}{{ end }}{{ end }}", "01");
    check("{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }}", "instance=node1.example:9100,job=node,");
    check("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $labels.job }}", "<node>");
    check("{{ define \"t\" }}{{ .arg0 }}{{ .arg1 }}{{ end }}{{ template \"t\" (args 1 \"x\") }}", "1x");
    check("{{ block \"t\" 7 }}[{{ . }}]{{ end }}", "[7]");
    fails("{{ if }}{{ end }}", "missing value");
    fails("{{ end }}", "unexpected {{end}}");
    fails("{{ if true }}", "unexpected EOF");
    fails("{{ template \"none\" }}", "not defined");
    fails("{{ break }}", "outside {{range}}");
}

#[test]
fn functions() {
    check("{{ humanize 1234567.0 }} {{ humanize 0.00012 }} {{ humanize 0 }}", "1.235M 120u 0");
    check("{{ humanize1024 1048576.0 }}", "1Mi");
    check(
        "{{ 3661 | humanizeDuration }} {{ humanizeDuration 0.5 }} {{ humanizeDuration 90061 }}",
        "1h 1m 1s 500ms 1d 1h 1m 1s",
    );
    check("{{ 0.1234 | humanizePercentage }}", "12.34%");
    check("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC");
    check("{{ title \"ab cd\" }} {{ toUpper \"ab\" }} {{ toLower \"AB\" }}", "Ab Cd AB ab");
    check("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "node1.example");
    check("{{ match \"^no\" $labels.job }}", "true");
    check("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "node1.example node1:9100");
    check("{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
    check("{{ externalURL }} {{ pathPrefix }}", "http://weir.example/prefix /prefix");
    check("{{ parseDuration \"1h30m\" }} {{ now }}", "5400 1.7000000005e+09");
    check("{{ jsonEscape \"a\\\"b\" }} {{ quotesEscape \"a\\nb\" }}", "\"a\\\"b\" a\\nb");
    check("{{ query \"up\" | first | value }}", "1");
    check("{{ urlQueryEscape \"a b&c\" }} {{ htmlEscape \"<a>\" }}", "a+b%26c &lt;a&gt;");
    check("{{ and 1 0 }} {{ or 0 \"x\" }} {{ not true }} {{ len \"abc\" }}", "0 x false 3");
    check(
        "{{ printf \"%.2f\" $value }} {{ printf \"%d %s %q %v %5.1f|%-4d|%04d\" 3 \"a\" \"b\" 1.5 2.25 7 42 }}",
        "1234567.89 3 a \"b\" 1.5   2.2|7   |0042",
    );
    check("{{ $value | printf \"%.1f\" }} {{ print 1 2 \"a\" 3 }}", "1234567.9 1 2a3");
    fails("{{ first (query \"nothing\") }}", "first() called on vector with no elements");
    fails("{{ gt $value 5 }}", "incompatible types");
    fails("{{ nosuch 1 }}", "function \"nosuch\" not defined");
    fails("{{ query \"broken\" }}", "no such query");
}

#[test]
fn times_have_methods() {
    check(
        "{{ .ActiveAt.UnixMilli }} {{ $activeAt.Year }} {{ $activeAt.Month }} {{ $activeAt.Weekday }}",
        "1700000000000 2023 November Tuesday",
    );
    check("{{ (toTime 1435065584.128).Format \"2006-01-02T15:04:05.000Z07:00\" }}", "2015-06-23T13:19:44.128Z");
    check(
        "{{ ($activeAt.Add (parseDurationTime \"1h30m\")).Format \"Mon Jan _2 3:04PM 2006\" }}",
        "Tue Nov 14 11:43PM 2023",
    );
    check("{{ (toTime 7200).Sub (toTime 1800) }} {{ ((toTime 7200).Sub (toTime 1800)).Minutes }}", "1h30m0s 90");
    check("{{ $interval.Seconds }} {{ $interval }}", "90 1m30s");
    fails("{{ $activeAt.NoSuch }}", "can't evaluate field NoSuch in type time.Time");
    fails("{{ $activeAt.Format 1 }}", "wrong arguments for Format");
    fails("{{ humanizeTimestamp 1e12 }}", "1e+12 cannot be represented as a nanoseconds timestamp");
}

#[test]
fn letters_are_those_of_go() {
    check("{{ title \"don't stop-me x.y éa ßb\" }}", "Don'T Stop-Me X.Y Éa ßb");
    check("{{ toUpper \"straße\" }} {{ toLower \"ÀB\" }}", "STRAßE àb");
    check("{{ js \"a'b\\\"<>&=\\n/\" }}", r#"a\'b\"\u003C\u003E\u0026\u003D\u000A/"#);
    check("{{ printf \"%[2]d %[1]d\" 1 2 }} {{ printf \"%6.3v|%U\" 3.14159 65 }}", "2 1   3.14|U+0041");
}

#[test]
fn printf_says_what_does_not_fit() {
    check("{{ printf \"%d\" 1.5 }}", "%!d(float64=1.5)");
    check("{{ printf \"%s\" 1 }}", "%!s(int=1)");
    check("{{ printf \"%d\" }}", "%!d(MISSING)");
    check("{{ printf \"%d\" 1 2 }}", "1%!(EXTRA int=2)");
    check("100%", "100%");
}

#[test]
fn floats_print_as_go_prints_them() {
    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(format::general(value, None), expected);
    }
    check(1.0, "1");
    check(0.1, "0.1");
    check(100_000.0, "100000");
    check(1e6, "1e+06");
    check(123_456_789.0, "1.23456789e+08");
    check(0.0001, "0.0001");
    check(0.000_01, "1e-05");
    check(-2.5, "-2.5");
    check(0.0, "0");
    check(f64::INFINITY, "+Inf");
}

#[test]
fn what_would_never_end_is_stopped() {
    fails("{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}", "deeper than");
    fails("{{ range 99999 }}{{ range 99999 }}x{{ end }}{{ end }}", "steps");
    let deep = "(".repeat(5_000);
    assert!(Template::parse(&format!("{{{{ {deep} }}}}")).is_err());
    let nested = "{{ if 1 }}".repeat(5_000);
    assert!(Template::parse(&nested).is_err());
}

#[test]
fn errors_name_the_place() {
    let error = Template::parse("line one\n  {{ nosuch }}").expect_err("no such function");
    assert_eq!((error.line, error.column), (2, 6));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\{\\{|\\}\\}|[ -~]|if|end|range|\\$x|\"|-){0,40}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.expand(&data(), &Up);
        }
    }
}
