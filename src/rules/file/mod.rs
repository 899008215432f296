//! Rule files: patterns become files, files become groups of checked rules, or a list of everything that is wrong.
//!
//! The format is the union of what Prometheus, vmalert, Mimir and Thanos read. A key that none of them knows is
//! refused with its place, expressions and templates are parsed here, and the problems of all files are reported at
//! once: nothing that loads can fail later for a typing error. What is loaded is plain data; it is made to run in
//! [`group`](super::group).
//!
//! Read next: [`spec`] for the words, [`read`] for what each key means; `yaml` alone knows the YAML crate.

mod glob;
mod read;
pub mod spec;
mod yaml;

use std::fmt;
use std::path::Path;

pub use spec::{Engine, GroupSpec, RuleKind, RuleSpec};
pub use yaml::Place;

use crate::model::Span;
use crate::promql::Features;

/// Largest rule file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Something wrong with a rule file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Where in it; line 0 where the file as a whole is meant.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.line {
            0 => write!(out, "{}: {}", self.file, self.message),
            line => write!(out, "{}:{line}:{}: {}", self.file, self.place.column, self.message),
        }
    }
}

/// The groups of one file.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// The file, as the pattern named it.
    pub path: String,
    /// Its groups, in order.
    pub groups: Vec<GroupSpec>,
}

/// What files leave open.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The interval of groups that name none.
    pub interval: Span,
    /// The PromQL that expressions may use.
    pub features: Features,
}

/// Reads all files that the patterns name, sorted by path, each once.
///
/// # Errors
/// Everything that is wrong in all of them.
pub fn load(patterns: &[String], defaults: &Defaults) -> Result<Vec<RuleFile>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut paths = Vec::new();
    for pattern in patterns {
        match glob::expand(pattern) {
            Ok(found) => paths.extend(found),
            Err(refused) => problems.push(whole(pattern, format!("list files: {refused}"))),
        }
    }
    paths.sort();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.display().to_string();
        match read_text(&path) {
            Ok(text) => match parse(&name, &text, defaults) {
                Ok(file) => files.push(file),
                Err(found) => problems.extend(found),
            },
            Err(refused) => problems.push(whole(&name, format!("read: {refused}"))),
        }
    }
    match problems.is_empty() {
        true => Ok(files),
        false => Err(problems),
    }
}

/// Reads the text of one file.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(path: &str, text: &str, defaults: &Defaults) -> Result<RuleFile, Vec<Problem>> {
    read::file(path, text, defaults)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path)
}

fn whole(file: &str, message: String) -> Problem {
    Problem { file: file.to_owned(), place: Place::default(), message }
}
