//! Go's text templates, as far as alert texts use them, with the functions of Prometheus and vmalert.
//!
//! A text is parsed once, when its rule file is loaded, and expanded for each alert. Values have Go's types where
//! they show (`float64`, `int`, `string`, `bool`, label maps whose missing keys are empty), since `{{ $value }}` of
//! 1234567.891 must read `1.234567891e+06` and `gt $value 5` must fail as it does in Go. Expansion is bounded in output,
//! steps and depth, and knows no clock: the evaluation time comes in with the data.
//!
//! ```text
//! text --lex--> tokens --parse--> nodes --exec (scope, functions, format)--> text
//! ```
//!
//! Read next: [`parse`] for the nodes, `exec` for their meaning, `functions` for what can be called.

mod exec;
mod format;
mod functions;
mod humanize;
mod lex;
mod parse;
mod time;
mod value;

use crate::model::{Labels, Timestamp};

pub use value::{TemplateSample, Value};

/// Most bytes one expansion may give.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Most actions one expansion may perform.
pub const STEPS_MAX: usize = 100_000;
/// Deepest nesting of blocks, parentheses and template calls.
pub const DEPTH_MAX: usize = 100;

/// Why a template cannot be read or expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {what}")]
pub struct TemplateError {
    /// Line of the action at fault, from 1.
    pub line: usize,
    /// Column of the action at fault, in bytes from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// Answers `{{ query "..." }}` at the alert's evaluation time.
pub trait Query {
    /// The instant vector that `expr` gives.
    ///
    /// # Errors
    /// The query's error text.
    fn query(&self, expr: &str) -> Result<Vec<TemplateSample>, String>;
}

/// What a template sees.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// `$labels`, `.Labels`
    pub labels: Labels,
    /// `$value`, `.Value`
    pub value: f64,
    /// `$externalLabels`, `.ExternalLabels`
    pub external_labels: Labels,
    /// `$externalURL`, `.ExternalURL`, and what `externalURL` and `pathPrefix` are made of.
    pub external_url: String,
    /// `now`, and vmalert's `$activeAt` where `active_at` is not known.
    pub at: Timestamp,
    /// vmalert's `$activeAt`, `.ActiveAt`
    pub active_at: Timestamp,
    /// vmalert's `$expr`, `.Expr`
    pub expr: String,
    /// vmalert's `$for`, `.For`, in seconds.
    pub for_seconds: f64,
    /// vmalert's `$alertID`, `.AlertID`: what names the alert in links.
    pub alert_id: String,
    /// vmalert's `$groupID`, `.GroupID`
    pub group_id: String,
    /// vmalert's `$interval`, `.Interval`, in seconds.
    pub interval_seconds: f64,
}

/// The variables that stand in every text, and the fields that they show.
const VARIABLES: [(&str, &str); 12] = [
    ("labels", "Labels"),
    ("externalLabels", "ExternalLabels"),
    ("externalURL", "ExternalURL"),
    ("value", "Value"),
    ("expr", "Expr"),
    ("activeAt", "ActiveAt"),
    ("for", "For"),
    ("alertID", "AlertID"),
    ("groupID", "GroupID"),
    ("type", "Type"),
    ("interval", "Interval"),
    ("isPartial", "IsPartial"),
];

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    tree: parse::Tree,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where it is no template, with the place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Template::parse_with(text, &[])
    }

    /// Reads a template that may call what `shared` texts define (`{{ define "name" }}`).
    ///
    /// # Errors
    /// As [`parse`](Self::parse), also for the shared texts.
    pub fn parse_with(text: &str, shared: &[String]) -> Result<Self, TemplateError> {
        let mut tree = parse::Tree::default();
        for file in shared {
            parse::parse(file, &mut tree)?;
        }
        tree.root = parse::parse(text, &mut tree)?;
        Ok(Template { source: text.to_owned(), tree })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it may ask queries: it says `query`, or calls texts that may.
    pub fn may_query(&self) -> bool {
        ["query", "template"].iter().any(|word| self.source.contains(word))
    }

    /// The text for one alert.
    ///
    /// # Errors
    /// What cannot be evaluated, with the place.
    pub fn expand(&self, data: &Data, query: &dyn Query) -> Result<String, TemplateError> {
        exec::expand(&self.tree, data, query)
    }
}

#[cfg(test)]
mod tests;
