use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    ask: Ask,
}

fn parsed(words: &[&str]) -> Ask {
    Line::try_parse_from(["query"].iter().chain(words)).expect("a command line").ask
}

fn shown(words: &[&str], body: &str) -> String {
    show(body, &parsed(words), false).expect("an answer")
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

#[test]
fn a_command_line_becomes_a_request() {
    #[track_caller]
    fn check(words: &[&str], path: &str, params: &[(&'static str, &str)]) {
        let mut expected = Request::new(path);
        for (name, value) in params {
            expected = expected.with(name, *value);
        }
        assert_eq!(parsed(words).request(NOW).expect("a request"), expected);
    }
    check(&["instant", "up"], "/query", &[("query", "up"), ("time", "1000000")]);
    check(
        &["instant", "up", "--time", "-1h", "--explain"],
        "/query",
        &[("query", "up"), ("time", "996400"), ("trace", "1")],
    );
    check(
        &["range", "up", "--end", "1970-01-01T02:00:00Z", "--start", "3600", "--step", "1m"],
        "/query_range",
        &[("query", "up"), ("start", "3600"), ("end", "7200"), ("step", "60")],
    );
    // As many points as a plot has dots.
    check(
        &["range", "up", "--start", "-10h"],
        "/query_range",
        &[("query", "up"), ("start", "964000"), ("end", "1000000"), ("step", "180")],
    );
    check(
        &["series", "up", "down", "--end", "now"],
        "/series",
        &[("match[]", "up"), ("match[]", "down"), ("end", "1000000")],
    );
    check(&["labels"], "/labels", &[]);
    check(&["labels", "job", "--match", "up"], "/label/job/values", &[("match[]", "up")]);
    assert!(parsed(&["instant", "up", "--time", "soon"]).request(NOW).is_err());
    assert_eq!(remote::encode(&[("match[]", "a b/é".to_owned())]), "match%5B%5D=a%20b%2F%C3%A9");
}

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"up","job":"node"},"value":[10,"1"]},
    {"metric":{"__name__":"up","instance":"a,b"},"histogram":[10,{"count":"3","sum":"4.5"}]}]},"warnings":["careful"]}"#;

#[test]
fn a_vector_is_a_table_or_lines() {
    let table = "\
METRIC  INSTANCE  JOB             VALUE
up                node                1
up      a,b             count 3 sum 4.5
careful
";
    assert_eq!(shown(&["instant", "up"], VECTOR), table);
    let csv = "__name__,instance,job,time,value\nup,,node,10,1\nup,\"a,b\",,10,count 3 sum 4.5\n";
    assert_eq!(shown(&["instant", "up", "--format", "csv"], VECTOR), csv);
    assert!(shown(&["instant", "up", "--format", "json"], VECTOR).contains("\"resultType\": \"vector\""));
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert_eq!(shown(&["instant", "up"], empty), "no series\n");
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[10,"2.5"]}}"#;
    assert_eq!(shown(&["instant", "2.5"], scalar), "2.5\n");
}

#[test]
fn lists_are_lists() {
    let names = r#"{"status":"success","data":["job","le"]}"#;
    assert_eq!(shown(&["labels"], names), "job\nle\n");
    let series = r#"{"status":"success","data":[{"__name__":"up","job":"a"},{"__name__":"down"}]}"#;
    assert_eq!(shown(&["series", "up"], series), "METRIC  JOB\nup      a\ndown\n");
    assert_eq!(shown(&["series", "up", "-f", "csv"], series), "__name__,job\nup,a\ndown,\n");
}

const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{"job":"a"},"values":[[0,"0"],[60,"5"],[120,"10"]]},
    {"metric":{"job":"b"},"values":[[60,"NaN"],[120,"2500"]]}]}}"#;

#[test]
fn a_matrix_stands_side_by_side() {
    let table = "\
[1] {job=\"a\"}
[2] {job=\"b\"}

TIME                 [1]   [2]
1970-01-01 00:00:00    0
1970-01-01 00:01:00    5   NaN
1970-01-01 00:02:00   10  2500
";
    assert_eq!(shown(&["range", "x"], MATRIX), table);
}

#[test]
fn a_plot_rises_where_its_series_does() {
    let rising = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"x"},"values":[[0,"0"],[8,"1"],[16,"2"],[24,"3"],[32,"4"],[40,"5"],[48,"6"],[56,"7"],[64,"8"],[72,"9"],[80,"10"]]}]}}"#;
    let plot = shown(&["range", "x", "--format", "plot", "--width", "40"], rising);
    let lines: Vec<&str> = plot.lines().collect();
    // A line of the plot each, the axis, its times, the legend.
    assert_eq!(lines.len(), 16 + 2 + 1, "{plot}");
    assert!(lines[0].starts_with("        10 ┤") && lines[15].starts_with("         0 ┤"), "{plot}");
    let first_dot = |line: &str| line.chars().position(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter));
    let dots: Vec<usize> = lines[..16].iter().map(|line| first_dot(line).expect("a dot in each line")).collect();
    assert!(dots.windows(2).all(|pair| pair[0] > pair[1]), "it rises to the right: {plot}");
    assert!(lines[17].contains("00:00:00") && lines[17].contains("00:01:20"), "{plot}");
    assert_eq!(lines[18], "━━ x  last 10  min 0  max 10");
    let none = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert_eq!(shown(&["range", "x", "-f", "plot"], none), "nothing to draw\n");
}

#[test]
fn numbers_are_short() {
    let all = [0.0, 0.01234567, 1.0, -1.5, 999.96, 1234.5, 56_789_012.0, 1e20, 2e-9];
    let texts = ["0", "0.0123", "1", "-1.5", "1000", "1.234k", "56.79M", "1.00e20", "2.00e-9"];
    assert_eq!(all.map(plot::short), texts);
}

#[test]
fn a_trace_is_a_tree_with_what_each_part_took() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[]},"trace":
        {"duration_msec":3.5,"operator":"aggregate","query":"sum(rate(x[5m]))","series":1,"points":1,"samplesRead":40,"children":[
        {"duration_msec":3,"operator":"rollup","query":"rate(x[5m])","series":2,"points":2,"samplesRead":40,"children":[
        {"duration_msec":0.25,"operator":"fetch","query":"{__name__=\"x\"}","series":2,"points":0,"samplesRead":0,"sharedBy":2}]}]}}"#;
    let expected = "\
no series

PART                                                      TIME         OWN    SERIES     POINTS      SAMPLES
aggregate  sum(rate(x[5m]))                           3.500 ms    0.500 ms         1          1           40
└─ rollup  rate(x[5m])                                3.000 ms    3.000 ms         2          2           40
   └─ fetch once for 2  {__name__=\"x\"}     0.250 ms    0.250 ms         2
";
    let found = shown(&["instant", "up", "--explain"], body);
    let trimmed =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(trimmed(&found), trimmed(expected), "{found}");
    let units: Vec<usize> =
        found.lines().skip(3).filter_map(|line| Some(line.split_once(" ms")?.0.chars().count())).collect();
    assert!(
        units.len() == 3 && units.windows(2).all(|pair| pair[0] == pair[1]),
        "numbers stand below each other: {found}"
    );
    assert!(shown(&["instant", "up", "--explain"], VECTOR).contains("does not explain"));
}

#[test]
fn an_error_is_an_error() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"1:1: parse error: no"}"#;
    let error = show(body, &parsed(&["instant", "x"]), false).expect_err("an error");
    assert_eq!(error.to_string(), "1:1: parse error: no");
}
