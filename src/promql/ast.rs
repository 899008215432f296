//! A parsed query: a tree of expressions, each with the place in the text it came from.
//!
//! The tree says what was written, not how to evaluate it: nothing is folded or rewritten here, so that the printer
//! and the API's parse tree can show the query back. `parse` fills it and checks types; `plan` turns it into work.

use super::parse::functions::signature;
use crate::model::{Matcher, Span, Timestamp};

/// A stretch of query text in bytes, `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it stands in the query's text.
    pub position: Position,
    /// What it is.
    pub kind: ExprKind,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x2A`, `1h30m` (a duration stands for its seconds; the printer shows it as written).
    Number {
        /// The number; seconds for a duration.
        value: f64,
        /// Whether it was written as a duration.
        duration: bool,
    },
    /// `"text"`, unescaped. Bytes that are no UTF-8 (`"\xff"`) are held as `parse::text` says.
    String(String),
    /// `up{job="node"} offset 5m @ end()`
    Selector(Selector),
    /// `selector[5m]`
    Range {
        /// A [`ExprKind::Selector`]; its offset and `@` are written behind the brackets.
        selector: Box<Expr>,
        /// How far it reaches back.
        length: DurationExpr,
    },
    /// `expr[1h:5m]`
    Subquery(Box<Subquery>),
    /// `(expr)`
    Paren(Box<Expr>),
    /// `-expr`, `+expr`
    Unary {
        /// Whether the sign is minus.
        negative: bool,
        /// What it applies to.
        expr: Box<Expr>,
    },
    /// `left + on (job) group_left right`
    Binary(Box<Binary>),
    /// `sum by (job) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(x[5m])`
    Call(Call),
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// One sample a series.
    Vector,
    /// A window of samples a series.
    Matrix,
}

impl ValueType {
    /// As error messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }

    /// As the API's parse tree and a few error messages name it.
    pub fn short_name(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
        }
    }
}

/// A vector selector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// The metric name written outside the braces; a name inside them, quoted or not, is only a matcher.
    pub name: Option<String>,
    /// All conditions as written; the one on `name`, if there is one, comes last.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub shift: Shift,
    /// `anchored` or `smoothed` (experimental).
    pub extension: Option<Extension>,
}

/// Where in time a selector or subquery looks, relative to the evaluation time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// `offset 5m`: how far back. `offset 0s` is no offset.
    pub offset: Option<DurationExpr>,
    /// `@ 1600000000`, `@ start()`, `@ end()`.
    pub at: Option<AtModifier>,
}

/// `@`
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AtModifier {
    /// A fixed time.
    Time(Timestamp),
    /// The first evaluation time.
    Start,
    /// The last evaluation time.
    End,
}

/// How a range selector treats the samples around its window (experimental).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// The last sample before the window counts as its start.
    Anchored,
    /// Values at both edges are interpolated.
    Smoothed,
}

impl Extension {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Extension::Anchored => "anchored",
            Extension::Smoothed => "smoothed",
        }
    }
}

/// A length of time that may be an expression: `5m`, `-step()`, `min_of(1h, range())`.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A duration or number, known when parsed; cut to whole milliseconds.
    Literal(Span),
    /// An expression over durations; see `parse::duration`.
    Computed(Box<DurationNode>),
}

/// A node of a duration expression.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationNode {
    /// Where it stands.
    pub position: Position,
    /// What it is.
    pub kind: DurationKind,
}

/// The forms of a duration expression.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// Seconds, and whether they were written as a duration (`5m`) rather than a number (`300`).
    Number {
        /// The seconds.
        seconds: f64,
        /// Written with units.
        duration: bool,
    },
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `min_of(a, b)`
    MinOf(Box<DurationNode>, Box<DurationNode>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationNode>, Box<DurationNode>),
    /// `-a`, `+a`
    Sign {
        /// Whether the sign is minus.
        negative: bool,
        /// What it applies to.
        node: Box<DurationNode>,
    },
    /// `a + b` and its siblings `- * / % ^`
    Arithmetic(BinaryOp, Box<DurationNode>, Box<DurationNode>),
    /// `(a)`
    Paren(Box<DurationNode>),
}

/// `expr[range:step]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How far it reaches back.
    pub range: DurationExpr,
    /// The resolution; `None` takes the default evaluation interval.
    pub step: Option<DurationExpr>,
    /// `offset` and `@`.
    pub shift: Shift,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the operator it is named after")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
    /// `</`: keep the observations below a bound (native histograms).
    TrimUpper,
    /// `>/`: keep the observations above a bound (native histograms).
    TrimLower,
}

impl Expr {
    /// What it evaluates to; says nothing about whether its parts fit (the parser has checked that).
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range { .. } | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => expr.value_type(),
            ExprKind::Binary(binary) => match (binary.left.value_type(), binary.right.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Call(call) => call.value_type(),
        }
    }
}

impl BinaryOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Greater => ">",
            BinaryOp::Less => "<",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::LessEqual => "<=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    /// `== != > < >= <=`
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    /// `and or unless`
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

/// `left op right`
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left of it.
    pub left: Expr,
    /// Right of it.
    pub right: Expr,
    /// `bool`: comparisons give 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of both sides find each other; `None` where a side is a scalar.
    pub matching: Option<Matching>,
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// How many of each side may meet.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` are those of `on`.
    pub on: bool,
    /// The labels that `group_left` or `group_right` takes over from the "one" side.
    pub include: Vec<String>,
    /// `fill(x)`, `fill_left(x)`: stands for a missing left side (experimental).
    pub fill_left: Option<f64>,
    /// `fill(x)`, `fill_right(x)`: stands for a missing right side (experimental).
    pub fill_right: Option<f64>,
}

/// How many series of each side may meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One with one.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// As error messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        }
    }
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the aggregation it is named after")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Group,
    Count,
    CountValues,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Group => "group",
            AggregateOp::Count => "count",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// Whether a parameter stands before the expression: `topk(5, x)`.
    pub fn has_parameter(self) -> bool {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        matches!(self, CountValues | Topk | Bottomk | Quantile | Limitk | LimitRatio)
    }
}

/// `op by (labels) (parameter, expr)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The aggregation.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// `5` in `topk(5, x)`.
    pub parameter: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether `grouping` is that of `without`.
    pub without: bool,
}

/// `name(arguments)`
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's name; the parser has checked that it exists and that the arguments fit.
    pub function: &'static str,
    /// Its arguments as written; defaults are not filled in.
    pub arguments: Vec<Expr>,
}

impl Call {
    /// What the function returns.
    pub fn value_type(&self) -> ValueType {
        signature(self.function).map_or(ValueType::Vector, |signature| signature.returns)
    }
}
