//! From text to a checked [`Config`].

use std::fmt;
use std::path::Path;

use crate::ingest::relabel::RelabelConfig;

use super::Config;

/// Most problems of one file that are named.
const PROBLEMS_MAX: usize = 50;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `file:line:column`, or the file alone where the whole of it is meant.
    pub place: String,
    /// What is wrong, and what to write instead.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// All problems found, at least one.
pub fn read(path: &Path) -> Result<Config, Vec<Problem>> {
    let place = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => read_text(&place, &text),
        Err(error) => Err(vec![Problem { place, what: format!("read configuration: {error}") }]),
    }
}

/// A list of relabeling rules on its own, as in prometheus.yml.
///
/// # Errors
/// What is wrong, with line and column.
pub fn relabel_rules(text: &str) -> Result<Vec<RelabelConfig>, Problem> {
    if text.lines().all(is_blank) {
        return Ok(Vec::new());
    }
    serde_saphyr::from_str(text).map_err(|error| problem("relabel_configs", &error))
}

/// Reads and checks a configuration; `place` names it in problems.
///
/// # Errors
/// All problems found, at least one: of a text that is no YAML the first, of any other each key that is unknown, each
/// value that cannot be, and each relation that does not hold.
pub fn read_text(place: &str, text: &str) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut rest = text.to_owned();
    // The reader stops at the first problem. The entry it complains of is taken out and the rest is read again.
    let config = loop {
        if rest.lines().all(is_blank) {
            break Some(Config::default());
        }
        match serde_saphyr::from_str::<Config>(&rest) {
            Ok(config) => break Some(config),
            Err(error) => {
                problems.push(problem(place, &error));
                let is_yaml = serde_saphyr::from_str::<serde::de::IgnoredAny>(text).is_ok();
                let line = error.location().filter(|_| is_yaml && problems.len() < PROBLEMS_MAX).map(|at| at.line());
                match line.and_then(|line| without_entry(&rest, usize::try_from(line).ok()?.checked_sub(1)?)) {
                    Some(shorter) => rest = shorter,
                    None => break None,
                }
            }
        }
    };
    let wrong = config.as_ref().map(Config::check).unwrap_or_default();
    problems.extend(wrong.into_iter().map(|(key, what)| Problem { place: place_of(place, text, key), what }));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// Where `section.key` stands: `file:line:column`, or the file alone where it is not written down as a key of its own.
pub fn place_of(place: &str, text: &str, key: &str) -> String {
    let (section, key) = key.split_once('.').map_or((None, key), |(section, key)| (Some(section), key));
    let is_key = |line: &str, key: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    let mut inside = section.is_none();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !is_blank(line)) {
        if let Some(section) = section
            && indentation(line) == 0
        {
            inside = is_key(line, section);
        } else if inside && is_key(line, key) && (section.is_some() || indentation(line) == 0) {
            return format!("{place}:{}:{}", number + 1, indentation(line) + 1);
        }
    }
    place.to_owned()
}

/// The text with one entry made empty, so that what follows keeps its place: the line and what stands deeper below it.
/// A section that loses its only entry goes with it. `None` where there was nothing to take.
fn without_entry(text: &str, line: usize) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut first = line;
    while !lines.get(first).is_none_or(|line| is_blank(line)) {
        let depth = indentation(lines[first]);
        let below = lines[first + 1..].iter().take_while(|line| is_blank(line) || indentation(line) > depth).count();
        lines[first..=first + below].fill("");
        let next = lines[first..].iter().find(|line| !is_blank(line)).map_or(0, |line| indentation(line));
        let Some(parent) = lines[..first].iter().rposition(|line| !is_blank(line)) else { break };
        let lost_all = indentation(lines[parent]) < depth && next <= indentation(lines[parent]);
        if !lost_all {
            break;
        }
        first = parent;
    }
    let shorter = lines.join("\n");
    (shorter != text.trim_end_matches('\n')).then_some(shorter)
}

pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

pub(super) fn problem(place: &str, error: &serde_saphyr::Error) -> Problem {
    let place = match error.location() {
        Some(at) => format!("{place}:{}:{}", at.line(), at.column()),
        None => place.to_owned(),
    };
    // The reader prints "... at line 3, column 5" behind its message; the place already says so.
    let what = error.without_snippet().to_string();
    let what = what.split(" at line ").next().unwrap_or(&what);
    // Its own words for what stands there are those of its events.
    let what = match what {
        "expected sequence start" => "a list is expected, such as [a, b]",
        "expected mapping start" => "keys with values are expected here",
        "invalid u64" | "invalid usize" => "a whole number is expected",
        other => other,
    };
    let what = what.to_owned();
    Problem { place, what }
}
