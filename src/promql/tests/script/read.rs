//! Text becomes commands.

use crate::model::{Labels, Span, StepGrid, Timestamp};
use crate::promql::series_text::{SeriesValue, parse_number, parse_series, quoted};

use super::nhcb;

/// A command of a script.
#[derive(Debug)]
pub(super) enum Command {
    Clear,
    Load(Vec<LoadedSeries>),
    Eval(Box<Eval>),
}

/// A series to load.
#[derive(Clone, Debug)]
pub(super) struct LoadedSeries {
    pub(super) labels: Labels,
    pub(super) rows: Vec<LoadedRow>,
}

/// A row to load; `start` is 0 where no start timestamp was given.
#[derive(Clone, Debug)]
pub(super) struct LoadedRow {
    pub(super) at: Timestamp,
    pub(super) value: SeriesValue,
    pub(super) start: Timestamp,
}

/// Where a query is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Instant(Timestamp),
    Range(StepGrid),
}

/// How an expected text is compared.
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    Any,
    Equal(String),
    Regex(String),
}

/// A query and what it must give.
#[derive(Debug, Default)]
pub(super) struct Eval {
    /// File and line.
    pub(super) id: String,
    /// What the script says of it in a `#@ ... tags=` line.
    pub(super) tags: Vec<String>,
    pub(super) expr: String,
    pub(super) when: Option<When>,
    pub(super) fail: Vec<TextTest>,
    pub(super) warn: Vec<TextTest>,
    pub(super) info: Vec<TextTest>,
    pub(super) no_warn: bool,
    pub(super) no_info: bool,
    pub(super) ordered: bool,
    pub(super) scalar: Option<f64>,
    pub(super) string: Option<String>,
    /// The answer is a matrix with points on this grid, though the query is an instant one.
    pub(super) range_vector: Option<StepGrid>,
    /// Expected series, in the order written.
    pub(super) series: Vec<(Labels, Vec<SeriesValue>)>,
}

/// A line that cannot be read.
pub(super) type ReadError = String;

/// Reads a script.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Command>, ReadError> {
    let mut commands = Vec::new();
    let mut tags = Vec::new();
    let lines = text.lines().map(str::trim).collect::<Vec<_>>();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let first = at + 1;
        if let Some(notes) = line.strip_prefix("#@") {
            let list = notes.split_whitespace().find_map(|note| note.strip_prefix("tags="));
            tags = list.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
        }
        at += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // A command reaches to the next empty line or comment.
        let body = lines[at..].iter().take_while(|line| !line.is_empty() && !line.starts_with('#')).copied();
        let body = body.collect::<Vec<_>>();
        let command = match line.split_whitespace().next().unwrap_or("") {
            "clear" => Ok((Command::Clear, 0)),
            "load" | "load_with_nhcb" => read_load(line, &body).map(|load| (load, body.len())),
            word if word.starts_with("eval") => read_eval(line, &body).map(|(mut eval, used)| {
                eval.id = format!("{name}:{first}");
                eval.tags = std::mem::take(&mut tags);
                (Command::Eval(Box::new(eval)), used)
            }),
            _ => Err("unknown command".to_owned()),
        };
        let (command, used) = command.map_err(|error| format!("{name}:{first}: {error}"))?;
        commands.push(command);
        at += used;
    }
    Ok(commands)
}

fn span(text: &str) -> Result<Span, ReadError> {
    text.trim().parse::<Span>().map_err(|error| error.to_string())
}

fn instant(text: &str) -> Result<Timestamp, ReadError> {
    // Times before 1970 are written with a sign.
    match text.trim().strip_prefix('-') {
        Some(text) => Ok(Timestamp::EPOCH - span(text)?),
        None => Ok(Timestamp::EPOCH + span(text)?),
    }
}

fn read_load(line: &str, body: &[&str]) -> Result<Command, ReadError> {
    let (word, gap) = line.split_once(char::is_whitespace).ok_or("load without an interval")?;
    let gap = span(gap)?;
    let mut series = Vec::new();
    let mut starts: Option<Vec<Option<Span>>> = None;
    for line in body {
        let labels = line.split([' ', '\t']).next().unwrap_or("");
        if labels.ends_with("@st") {
            starts = Some(read_starts(&line[labels.len()..])?);
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|error| error.to_string())?;
        let starts = starts.take();
        if starts.as_ref().is_some_and(|starts| starts.len() != values.len()) {
            return Err("as many start timestamps as values are needed".to_owned());
        }
        let rows = values.into_iter().enumerate().filter(|(_, value)| *value != SeriesValue::Omitted);
        let rows = rows.map(|(step, value)| {
            let at = Timestamp::EPOCH + gap.times(step as i64);
            let start = starts.as_ref().and_then(|starts| starts[step]).map_or(Timestamp::EPOCH, |before| at + before);
            LoadedRow { at, value, start }
        });
        series.push(LoadedSeries { labels, rows: rows.collect() });
    }
    if word == "load_with_nhcb" {
        let converted = nhcb::convert(&series)?;
        series.extend(converted);
    }
    Ok(Command::Load(series))
}

/// `-30s-1mx2 _ 0s`: start timestamps relative to their samples.
fn read_starts(text: &str) -> Result<Vec<Option<Span>>, ReadError> {
    let mut starts = Vec::new();
    for item in text.split_whitespace() {
        let (item, times) = match item.rsplit_once('x') {
            Some((item, times)) => (item, Some(times.parse::<usize>().map_err(|_| "bad repetition")?)),
            None => (item, None),
        };
        if item == "_" {
            starts.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let split = item[1..].find(['+', '-']).map_or(item.len(), |at| at + 1);
        let (first, step) = item.split_at(split);
        let (mut start, step) = (signed_span(first)?, if step.is_empty() { Span::ZERO } else { signed_span(step)? });
        for _ in 0..times.map_or(1, |times| times + 1) {
            starts.push(Some(start));
            start = start + step;
        }
    }
    Ok(starts)
}

fn signed_span(text: &str) -> Result<Span, ReadError> {
    if let Some(rest) = text.strip_prefix('+') {
        return signed_span(rest);
    }
    match text.strip_prefix('-') {
        Some(rest) => Ok(-signed_span(rest)?),
        None => span(text),
    }
}

/// Cuts `text` behind the first of the separators that stand in it.
fn cut<'a>(text: &'a str, separator: &str) -> Result<(&'a str, &'a str), ReadError> {
    text.split_once(separator).ok_or_else(|| format!("{separator:?} is missing"))
}

/// `from 0 to 1m step 10s`, and what stands behind it.
fn read_grid(text: &str) -> Result<(StepGrid, &str), ReadError> {
    let text = text.trim_start().strip_prefix("from ").ok_or("\"from\" is missing")?;
    let (from, rest) = cut(text, " to ")?;
    let (to, rest) = cut(rest, " step ")?;
    let (step, rest) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
    let grid = StepGrid::new(instant(from)?, instant(to)?, span(step)?).ok_or("bad range")?;
    Ok((grid, rest.trim_start()))
}

/// Reads an `eval` command, and says how many lines of `body` belong to it.
fn read_eval(line: &str, body: &[&str]) -> Result<(Eval, usize), ReadError> {
    let (word, rest) = cut(line, " ")?;
    let mut eval = Eval::default();
    match word.strip_prefix("eval").unwrap_or("") {
        "" => {}
        "_fail" => eval.fail.push(TextTest::Any),
        "_warn" => eval.warn.push(TextTest::Any),
        "_info" => eval.info.push(TextTest::Any),
        "_ordered" => eval.ordered = true,
        _ => return Err("unknown kind of eval".to_owned()),
    }
    let rest = rest.trim_start();
    if let Some(rest) = rest.strip_prefix("instant at ") {
        let (at, expr) = rest.trim_start().split_once(char::is_whitespace).ok_or("no expression")?;
        (eval.when, eval.expr) = (Some(When::Instant(instant(at)?)), expr.trim().to_owned());
    } else if let Some(rest) = rest.strip_prefix("range ") {
        let (grid, expr) = read_grid(rest)?;
        (eval.when, eval.expr) = (Some(When::Range(grid)), expr.to_owned());
    } else {
        return Err("eval is neither instant nor range".to_owned());
    }
    for (index, line) in body.iter().enumerate() {
        if let Some(text) = line.strip_prefix("expected_fail_message") {
            eval.fail.push(TextTest::Equal(text.trim().to_owned()));
            return Ok((eval, index + 1));
        }
        if let Some(text) = line.strip_prefix("expected_fail_regexp") {
            eval.fail.push(TextTest::Regex(text.trim().to_owned()));
            return Ok((eval, index + 1));
        }
        if let Some(expect) = line.strip_prefix("expect ") {
            read_expect(expect.trim(), &mut eval)?;
        } else if let Some(number) = parse_number(line) {
            eval.scalar = Some(number);
            return Ok((eval, index + 1));
        } else {
            let series = parse_series(line).map_err(|error| error.to_string())?;
            eval.series.push(series);
        }
    }
    Ok((eval, body.len()))
}

fn read_expect(expect: &str, eval: &mut Eval) -> Result<(), ReadError> {
    let (what, how) = expect.split_once(char::is_whitespace).unwrap_or((expect, ""));
    let how = how.trim();
    let test = || match (how.strip_prefix("msg:"), how.strip_prefix("regex:")) {
        (Some(text), _) => Ok(TextTest::Equal(text.trim().to_owned())),
        (_, Some(text)) => Ok(TextTest::Regex(text.trim().to_owned())),
        _ if how.is_empty() => Ok(TextTest::Any),
        _ => Err(format!("unknown expectation {expect:?}")),
    };
    match what {
        "fail" => eval.fail.push(test()?),
        "warn" => eval.warn.push(test()?),
        "info" => eval.info.push(test()?),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.string = Some(quoted(how).map_err(|error| error.to_string())?.0),
        "range" => {
            let grid = how.strip_prefix("vector").ok_or("\"range vector\" is meant")?;
            eval.range_vector = Some(read_grid(grid)?.0);
        }
        _ => return Err(format!("unknown expectation {expect:?}")),
    }
    Ok(())
}

#[test]
fn commands_are_read_with_their_expectations() {
    let script = "load 1m\n  up{a=\"b\"}@st _ -1sx1\n  up{a=\"b\"} 1 2 3\n\n#@ id=1 tags=exp,nh\n\
                  eval range from 0 to 2m step 1m up offset 1m\n  expect warn msg: text\n  expect no_info\n  up 1 _ 3\n# end\n\
                  clear\neval instant at 1m 1 + 1\n  2\n\neval instant at 10s up[1m]\n  expect range vector from 0s to 10s step 10s\n";
    let commands = read("x.test", script).expect("valid");
    let [Command::Load(series), Command::Eval(range), Command::Clear, Command::Eval(scalar), Command::Eval(matrix)] =
        commands.as_slice()
    else {
        panic!("{commands:?}")
    };
    let starts = series[0].rows.iter().map(|row| row.start.as_millis()).collect::<Vec<_>>();
    assert_eq!(starts, [0, 59_000, 119_000]);
    assert_eq!((range.id.as_str(), range.expr.as_str()), ("x.test:6", "up offset 1m"));
    assert_eq!(range.tags, ["exp", "nh"]);
    assert!(range.no_info && matches!(range.warn.as_slice(), [TextTest::Equal(text)] if text == "text"));
    assert!(matches!(range.when, Some(When::Range(grid)) if grid.len() == 3) && range.series[0].1.len() == 3);
    assert_eq!(scalar.scalar, Some(2.0));
    assert_eq!(matrix.range_vector.map(StepGrid::len), Some(2));
    for wrong in ["evil", "eval instant up", "eval instant at 1m up\n  expect love", "load\n  up 1", "load 1m\n  up{ 1"]
    {
        assert!(read("x.test", wrong).is_err(), "{wrong:?} is no script");
    }
}
