//! Verdicts: as lines for people, with what was expected beside what was found, and as JUnit's XML for machines.

use std::fmt::{self, Write};

use crate::model::Labels;
use crate::model::number::format_float;
use crate::promql::Point;
use crate::rules::file::{Place, Problem};

use super::run::shown;

/// What became of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub path: String,
    /// What is wrong with it or with its rule files; no test ran then.
    pub problems: Vec<Problem>,
    /// What is odd, and no failure.
    pub warnings: Vec<String>,
    /// Its tests, in order.
    pub tests: Vec<TestReport>,
}

/// What became of one test.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// Its name, or its number.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What came out otherwise.
    pub failures: Vec<Failure>,
}

/// One thing that came out otherwise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where it is expected.
    pub place: Place,
    /// What was looked at, and when.
    pub what: String,
    /// What was expected beside what was found.
    pub lines: Vec<Line>,
}

/// A line of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Expected and found.
    Same(String),
    /// Expected and missing.
    Missing(String),
    /// Found and not expected.
    Extra(String),
    /// An error's text.
    Said(String),
}

impl FileReport {
    pub(super) fn new(path: &str) -> Self {
        FileReport { path: path.to_owned(), problems: Vec::new(), warnings: Vec::new(), tests: Vec::new() }
    }

    /// Whether all is as expected.
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.tests.iter().all(TestReport::passed)
    }
}

impl TestReport {
    /// Whether all is as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(out, "{}: warning: {warning}", self.path)?;
        }
        for problem in &self.problems {
            writeln!(out, "{problem}")?;
        }
        let failed: Vec<_> = self.tests.iter().filter(|test| !test.passed()).collect();
        for test in &failed {
            writeln!(out, "{}:{}:{}: {} fails", self.path, test.place.line, test.place.column, test.name)?;
            for failure in &test.failures {
                write!(out, "{failure}")?;
            }
        }
        match (self.passed(), self.problems.is_empty()) {
            (true, _) => writeln!(out, "{}: ok, {} tests", self.path, self.tests.len()),
            (false, true) => writeln!(out, "{}: {} of {} tests fail", self.path, failed.len(), self.tests.len()),
            (false, false) => writeln!(out, "{}: cannot be run", self.path),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  line {}: {}", self.place.line, self.what)?;
        for line in &self.lines {
            match line {
                Line::Same(text) => writeln!(out, "      {text}")?,
                Line::Missing(text) => writeln!(out, "    - {text}")?,
                Line::Extra(text) => writeln!(out, "    + {text}")?,
                Line::Said(text) => writeln!(out, "    {text}")?,
            }
        }
        if self.lines.iter().any(|line| matches!(line, Line::Missing(_) | Line::Extra(_))) {
            writeln!(out, "    (- expected and missing, + found and not expected)")?;
        }
        Ok(())
    }
}

/// Expected beside found, both sorted: equal pairs once, the rest as missing or extra.
pub(super) fn diff<T>(
    expected: &[T],
    found: &[T],
    same: impl Fn(&T, &T) -> bool,
    line: impl Fn(&T) -> String,
) -> Vec<Line> {
    let mut left: Vec<Option<&T>> = found.iter().map(Some).collect();
    let mut lines = Vec::new();
    for item in expected {
        match left.iter_mut().find(|other| other.is_some_and(|other| same(item, other))) {
            Some(place) => {
                *place = None;
                lines.push(Line::Same(line(item)));
            }
            None => lines.push(Line::Missing(line(item))),
        }
    }
    lines.extend(left.into_iter().flatten().map(|item| Line::Extra(line(item))));
    lines
}

pub(super) fn alert_line((labels, annotations): &(Labels, Labels)) -> String {
    match annotations.is_empty() {
        true => labels.to_string(),
        false => format!("{labels} annotations {annotations}"),
    }
}

pub(super) fn sample_line((labels, point): &(Labels, Point)) -> String {
    match point {
        Point::Float(value) => format!("{labels} {}", format_float(*value)),
        Point::Histogram(histogram) => format!("{labels} {{{{{}}}}}", shown(histogram)),
    }
}

/// The verdicts as JUnit's XML: a suite for each file, a case for each test.
pub fn junit(reports: &[FileReport]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failures = report.tests.iter().filter(|test| !test.passed()).count();
        let errors = usize::from(!report.problems.is_empty());
        let cases = report.tests.len() + errors;
        open(&mut xml, "  <testsuite", &[("name", &report.path)]);
        let _ = writeln!(xml, " tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\">");
        if errors > 0 {
            let said: String = report.problems.iter().map(|problem| format!("{problem}\n")).collect();
            open(&mut xml, "    <testcase", &[("name", "the file can be read"), ("classname", &report.path)]);
            let _ = writeln!(xml, "><error>{}</error></testcase>", escaped(&said));
        }
        for test in &report.tests {
            open(&mut xml, "    <testcase", &[("name", &test.name), ("classname", &report.path)]);
            match test.passed() {
                true => xml.push_str("/>\n"),
                false => {
                    let said: String = test.failures.iter().map(Failure::to_string).collect();
                    let _ = writeln!(xml, "><failure>{}</failure></testcase>", escaped(&said));
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn open(xml: &mut String, tag: &str, attributes: &[(&str, &str)]) {
    xml.push_str(tag);
    for (name, value) in attributes {
        let _ = write!(xml, " {name}=\"{}\"", escaped(value));
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(letter),
            // XML 1.0 cannot say other control characters at all.
            letter if letter.is_control() => safe.push('\u{FFFD}'),
            letter => safe.push(letter),
        }
    }
    safe
}
