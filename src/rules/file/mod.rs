//! Rule files: patterns become files, files become groups of checked rules, or a list of everything that is wrong.
//!
//! The format is the union of what Prometheus, vmalert, Mimir and Thanos read. A key that none of them knows is
//! refused with its place, expressions and templates are parsed here, and the problems of all files are reported at
//! once: nothing that loads can fail later for a typing error. What is loaded is plain data; it is made to run in
//! [`group`](super::group).
//!
//! Read next: [`spec`] for the words, `source` for where texts come from, `read` for what each key means; `yaml` alone
//! knows the YAML crate.

mod dialect;
mod environment;
pub(in crate::rules) mod glob;
mod notifiers;
mod read;
mod s3;
mod source;
pub mod spec;
pub(in crate::rules) mod walk;
pub(in crate::rules) mod yaml;

use std::fmt;

pub use environment::Environment;
pub use spec::{Engine, GroupSpec, RuleKind, RuleSpec};
pub use yaml::Place;

use crate::model::{Span, Timestamp};
use crate::promql::Features;
use crate::rules::notify::config::{NotifierFile, TargetGroup};
use crate::rules::template::Template;

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
    /// What works here, and what other programs that read rule files would refuse.
    pub notes: Vec<Problem>,
}

/// What files leave open, and what they may lean on.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The interval of groups that name none.
    pub interval: Span,
    /// The PromQL that expressions may use.
    pub features: Features,
    /// What `%{NAME}` stands for.
    pub environment: Environment,
    /// Whether each alert gets the label `alertgroup`, as vmalert does it.
    pub alertgroup: bool,
    /// Patterns of files whose templates (`{{ define "name" }}`) all rules may call.
    pub templates: Vec<String>,
    /// Tells the time, which requests to object stores are signed with.
    pub now: fn() -> Timestamp,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            interval: Span::MINUTE,
            features: Features::default(),
            environment: Environment::default(),
            alertgroup: false,
            templates: Vec::new(),
            now: || Timestamp::EPOCH,
        }
    }
}

/// Reads all files that the patterns and URLs name, sorted by name, each once.
///
/// # Errors
/// Everything that is wrong in all of them.
pub fn load(patterns: &[String], defaults: &Defaults) -> Result<Vec<RuleFile>, Vec<Problem>> {
    Texts::read(patterns, defaults).parse(defaults)
}

/// Rule files and template files as they stand, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    rules: Vec<source::Text>,
    templates: Vec<source::Text>,
    unread: Vec<Problem>,
}

impl Texts {
    /// Fetches what the patterns name. What cannot be read is a problem of [`parse`](Self::parse).
    pub fn read(patterns: &[String], defaults: &Defaults) -> Texts {
        let ((rules, mut unread), (templates, more)) =
            (source::read(patterns, defaults), source::read(&defaults.templates, defaults));
        unread.extend(more);
        Texts { rules, templates, unread }
    }

    /// A number that tells one state of all files from another.
    pub fn digest(&self) -> u128 {
        let mut digest = xxhash_rust::xxh3::Xxh3::new();
        for file in self.rules.iter().chain(&self.templates) {
            digest.update(file.name.as_bytes());
            digest.update(&[0]);
            digest.update(file.text.as_bytes());
            digest.update(&[0]);
        }
        for problem in &self.unread {
            digest.update(problem.to_string().as_bytes());
        }
        digest.digest128()
    }

    /// What they say.
    ///
    /// # Errors
    /// Everything that is wrong in all of them.
    pub fn parse(&self, defaults: &Defaults) -> Result<Vec<RuleFile>, Vec<Problem>> {
        let (mut files, mut problems) = (Vec::with_capacity(self.rules.len()), self.unread.clone());
        let shared: Vec<String> = self.templates.iter().map(|file| file.text.clone()).collect();
        for file in &self.templates {
            if let Err(refusal) = Template::parse(&file.text) {
                let place = Place { line: refusal.line as u64, column: refusal.column as u64 };
                problems.push(Problem { file: file.name.clone(), place, message: refusal.what });
            }
        }
        // A template file that is wrong would make every rule wrong.
        let shared = if problems.len() == self.unread.len() { shared.as_slice() } else { &[] };
        for file in &self.rules {
            match read::file(&file.name, &file.text, defaults, shared) {
                Ok(file) => files.push(file),
                Err(found) => problems.extend(found),
            }
        }
        problems.sort();
        match problems.is_empty() {
            true => Ok(files),
            false => Err(problems),
        }
    }
}

/// Reads the text of one file.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(path: &str, text: &str, defaults: &Defaults) -> Result<RuleFile, Vec<Problem>> {
    read::file(path, text, defaults, &[])
}

/// Reads the text of one group, as Mimir's ruler API takes it; the file is named `path`.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse_group(path: &str, text: &str, defaults: &Defaults) -> Result<RuleFile, Vec<Problem>> {
    read::group(path, text, defaults)
}

/// Reads a notifier file: vmalert's `-notifier.config`, or a file with Prometheus' `alerting` block.
///
/// # Errors
/// Everything that is wrong in it.
pub fn notifiers(path: &str) -> Result<NotifierFile, Vec<Problem>> {
    match std::fs::read_to_string(path) {
        Ok(text) => notifiers::file(path, &text),
        Err(refused) => Err(vec![whole(path, format!("read: {refused}"))]),
    }
}

/// Target groups as a YAML file of `file_sd_configs` has them; `None` where the text has none.
pub(in crate::rules) fn target_groups(text: &str) -> Option<Vec<TargetGroup>> {
    notifiers::target_groups(text)
}

fn whole(file: &str, message: String) -> Problem {
    Problem { file: file.to_owned(), place: Place::default(), message }
}
