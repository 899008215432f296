//! What rule files say: groups and rules, checked, before they run.

use std::sync::Arc;

use crate::model::{Labels, Span};
use crate::rules::template::Template;

/// A group as its file describes it.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// `name`: unique inside its file.
    pub name: String,
    /// `interval`, or the default: how often it is evaluated. Positive.
    pub interval: Span,
    /// `eval_offset` (vmalert): evaluate this long after each multiple of the interval; may be negative.
    pub eval_offset: Option<Span>,
    /// `query_offset` (Prometheus), `eval_delay` (vmalert): look this far back. `None` takes the default.
    pub query_offset: Option<Span>,
    /// `eval_alignment` (vmalert), `align_evaluation_time_on_interval` (Mimir): evaluate at multiples of the
    /// interval rather than spread over it.
    pub aligned: bool,
    /// `limit`: most results that a rule may give; 0 = any.
    pub limit: usize,
    /// `concurrency` (vmalert): how many rules may be evaluated at once; 0 = as many as the settings allow. Rules that
    /// read each other's results keep their order whatever it says.
    pub concurrency: usize,
    /// `type` (vmalert): who understands the expressions.
    pub engine: Engine,
    /// `debug` (vmalert): log each evaluation.
    pub debug: bool,
    /// `notifier_headers` (vmalert): what requests about this group's alerts say beside the usual.
    pub notifier_headers: Arc<[(String, String)]>,
    /// `labels`: added to each rule's own.
    pub labels: Labels,
    /// Its rules, in order.
    pub rules: Vec<RuleSpec>,
}

/// Who understands a group's expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// PromQL.
    #[default]
    Prometheus,
    /// `graphite`, `vlogs`: loaded, since vmalert's files have them, but every evaluation fails saying so.
    Foreign(String),
}

/// A rule as its file describes it.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// `record` or `alert`.
    pub name: String,
    /// `expr`, as PromQL prints it.
    pub expr: String,
    /// The group's labels, overridden by the rule's own, as written; an empty value takes a label of the result away.
    pub labels: Arc<[(String, String)]>,
    /// What tells recording and alerting rules apart.
    pub kind: RuleKind,
    /// `debug` (vmalert): log each evaluation.
    pub debug: bool,
    /// `update_entries_limit` (vmalert): how many evaluations are remembered.
    pub updates_max: usize,
}

/// How many evaluations of a rule are remembered where it does not say. (vmalert: `-rule.updateEntriesLimit`.)
pub const UPDATES_MAX_DEFAULT: usize = 20;

/// The two kinds of rule.
#[derive(Clone, Debug)]
pub enum RuleKind {
    /// `record`
    Recording,
    /// `alert`
    Alerting {
        /// `for`: how long the expression must hold before the alert fires.
        hold: Span,
        /// `keep_firing_for`: how long the alert fires on when the expression stopped holding.
        keep_firing: Span,
        /// The rule's labels as templates, in the order of [`RuleSpec::labels`].
        labels: Arc<[(String, Template)]>,
        /// `annotations` as templates.
        annotations: Arc<[(String, Template)]>,
        /// `annotations` as written.
        annotations_text: Labels,
    },
}

impl RuleSpec {
    /// The labels as written, without those that only take labels away.
    pub fn labels(&self) -> Labels {
        Labels::from_pairs(self.labels.iter().map(|(name, value)| (name, value)))
    }
}
