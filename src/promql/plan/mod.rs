//! A query as work to do: every time is resolved, every name looked up, every constant folded.
//!
//! [`lower`] makes a [`Plan`] out of a parsed query and the grid it is asked for. Here, and nowhere else, offsets, `@`
//! and the lookback become ranges of absolute time; parts that are the same at each step are marked to be evaluated
//! once; selectors with equal matchers and ranges are fetched once. What does *not* happen here: no series is looked up
//! and no sample read.
//!
//! Read next: [`lower`], `call` for what is a call of a function, then `exec`.

pub(crate) mod duration;
pub(crate) mod lower;
mod call;
mod walk;
mod project;

use crate::model::{Labels, Matcher, Span, StepGrid, TimeRange, Timestamp};

use super::ast::{AggregateOp, BinaryOp, Extension, Matching, Position, ValueType};
use super::functions::date::DatePart;
use super::functions::histogram_number::HistogramNumber;
use super::functions::label::{Join, Replace};
use super::functions::range::RangeFunction;

pub(crate) use lower::{Times, lower};

/// What is to be fetched, and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is to be done.
    pub(crate) root: Node,
    /// What kind of value it gives.
    pub(crate) value_type: ValueType,
    /// What is asked of storage; [`Select`] and [`Source`] name these by number.
    pub(crate) fetches: Vec<Fetch>,
}

/// One question to storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fetch {
    pub(crate) matchers: Vec<Matcher>,
    /// `None` where the range is empty: nothing can be found.
    pub(crate) range: Option<TimeRange>,
    /// The labels that are needed of the series; `None`: all.
    pub(crate) labels: Option<Vec<String>>,
}

/// A step of the work.
#[derive(Debug)]
pub(crate) struct Node {
    /// What annotations about this point at.
    pub(crate) position: Position,
    pub(crate) kind: Kind,
}

/// The forms of work. Scalars first, then vectors, then matrices.
#[derive(Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    Time,
    ScalarOf(Box<Node>),
    ScalarBinary {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    ScalarNegate(Box<Node>),
    /// `max_of`, `min_of`.
    ScalarExtreme {
        largest: bool,
        left: Box<Node>,
        right: Box<Node>,
    },

    /// Evaluated at the first step alone, and the same at all others.
    Invariant(Box<Node>),
    Select(Select),
    VectorOf(Box<Node>),
    Negate(Box<Node>),
    /// `abs`, `ceil`, ...: a function of each float.
    Math {
        function: fn(f64) -> f64,
        of: Box<Node>,
    },
    Round {
        of: Box<Node>,
        to_nearest: Option<Box<Node>>,
    },
    Clamp {
        of: Box<Node>,
        min: Option<Box<Node>>,
        max: Option<Box<Node>>,
    },
    Date {
        part: DatePart,
        of: Option<Box<Node>>,
    },
    /// `timestamp` of what is no selector: the step's own time.
    StepTime(Box<Node>),
    Absent {
        of: Box<Node>,
        labels: Labels,
    },
    Sort {
        of: Box<Node>,
        order: SortOrder,
    },
    LabelReplace {
        of: Box<Node>,
        replace: Box<Replace>,
    },
    LabelJoin {
        of: Box<Node>,
        join: Join,
    },
    Info {
        of: Box<Node>,
        info: Info,
    },
    HistogramNumber {
        number: HistogramNumber,
        of: Box<Node>,
    },
    HistogramQuantile {
        quantile: Box<Node>,
        of: Box<Node>,
    },
    HistogramQuantiles {
        of: Box<Node>,
        label: String,
        quantiles: Vec<Node>,
    },
    HistogramFraction {
        lower: Box<Node>,
        upper: Box<Node>,
        of: Box<Node>,
    },
    Rollup(Rollup),
    AbsentOverTime {
        of: Range,
        labels: Labels,
    },
    Aggregate(Aggregate),
    /// A vector and a scalar.
    Broadcast {
        op: BinaryOp,
        vector: Box<Node>,
        scalar: Box<Node>,
        scalar_left: bool,
        return_bool: bool,
    },
    Match {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
        return_bool: bool,
        matching: Matching,
    },

    /// A range by itself: the answer to an instant query for `x[5m]`.
    Samples(Range),
}

/// An instant selector.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) fetch: usize,
    pub(crate) shift: Shift,
    pub(crate) reading: Reading,
    pub(crate) smoothed: bool,
}

/// What of the found sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Value,
    Timestamp,
    StartTimestamp,
}

/// Where in time something looks from a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shift {
    pub(crate) at: Option<Timestamp>,
    pub(crate) offset: Span,
}

impl Shift {
    /// The time that is looked at from `step`.
    pub(crate) fn apply(self, step: Timestamp) -> Timestamp {
        self.at.unwrap_or(step) - self.offset
    }
}

/// Samples in a window that ends at each step.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) position: Position,
    pub(crate) source: Source,
    pub(crate) shift: Shift,
    pub(crate) length: Span,
    pub(crate) extension: Option<Extension>,
}

/// Where the samples of a range come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Storage.
    Fetched(usize),
    /// A query over its own grid; `None` where that has no point.
    Subquery { inner: Box<Node>, grid: Option<StepGrid> },
}

/// A function over a range.
#[derive(Debug)]
pub(crate) struct Rollup {
    pub(crate) function: RangeFunction,
    pub(crate) range: Range,
    pub(crate) parameters: Vec<Node>,
    /// What notes about the function's first argument point at.
    pub(crate) first_argument: Position,
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) of: Box<Node>,
    pub(crate) parameter: Option<Box<Node>>,
    /// Sorted.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

/// The orders of `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.
#[derive(Clone, Debug)]
pub(crate) enum SortOrder {
    ByValue { descending: bool },
    ByLabels { names: Vec<String>, descending: bool },
}

/// What `info` adds.
#[derive(Debug)]
pub(crate) struct Info {
    /// Conditions on info series; `None` where there is no second argument.
    pub(crate) matchers: Option<Vec<Matcher>>,
    /// Where info series are looked for in time.
    pub(crate) shift: Shift,
}
