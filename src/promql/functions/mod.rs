//! Every function of PromQL by name: one row each in the table of [`find`], one file for each family.
//!
//! What stands here is arithmetic: values in, values out. How series, steps and windows come about is told in `exec`;
//! which arguments a function takes is the parser's knowledge.
//!
//! To add a function: a row here, a function in its family's file, a script under `tests/promql`.

pub(crate) mod arithmetic;
pub(crate) mod date;
pub(crate) mod histogram_number;
pub(crate) mod kahan;
pub(crate) mod label;
pub(crate) mod math;
pub(crate) mod over_time;
pub(crate) mod quantile;
pub(crate) mod range;
pub(crate) mod rate;
pub(crate) mod extended;
pub(crate) mod regression;
pub(crate) mod changes;

use date::DatePart;
use histogram_number::HistogramNumber;
use range::RangeFunction;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    Date(DatePart),
    End,
    HistogramFraction,
    HistogramNumber(HistogramNumber),
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    Math(fn(f64) -> f64),
    MaxOf,
    MinOf,
    Pi,
    Range,
    Rollup(RangeFunction),
    Round,
    Scalar,
    Sort { descending: bool },
    SortByLabel { descending: bool },
    Start,
    StartTimestamp,
    Step,
    Time,
    Timestamp,
    Vector,
}

impl Function {
    /// Whether its value depends on the time of evaluation even where its arguments do not.
    pub(crate) fn depends_on_step(self) -> bool {
        use Function::{Date, StartTimestamp, Time, Timestamp};
        matches!(self, Date(_) | StartTimestamp | Time | Timestamp)
    }

    pub(crate) fn is_start_timestamp(self) -> bool {
        matches!(self, Function::StartTimestamp)
    }
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<Function> {
    use Function as F;
    use RangeFunction as R;
    Some(match name {
        "abs" => F::Math(f64::abs),
        "absent" => F::Absent,
        "absent_over_time" => F::AbsentOverTime,
        "acos" => F::Math(f64::acos),
        "acosh" => F::Math(f64::acosh),
        "asin" => F::Math(f64::asin),
        "asinh" => F::Math(f64::asinh),
        "atan" => F::Math(f64::atan),
        "atanh" => F::Math(f64::atanh),
        "avg_over_time" => F::Rollup(R::Avg),
        "ceil" => F::Math(f64::ceil),
        "changes" => F::Rollup(R::Changes),
        "clamp" => F::Clamp,
        "clamp_max" => F::ClampMax,
        "clamp_min" => F::ClampMin,
        "cos" => F::Math(f64::cos),
        "cosh" => F::Math(f64::cosh),
        "count_over_time" => F::Rollup(R::Count),
        "day_of_month" => F::Date(DatePart::DayOfMonth),
        "day_of_week" => F::Date(DatePart::DayOfWeek),
        "day_of_year" => F::Date(DatePart::DayOfYear),
        "days_in_month" => F::Date(DatePart::DaysInMonth),
        "deg" => F::Math(math::degrees),
        "delta" => F::Rollup(R::Delta),
        "deriv" => F::Rollup(R::Deriv),
        "double_exponential_smoothing" => F::Rollup(R::DoubleExponentialSmoothing),
        "end" => F::End,
        "exp" => F::Math(f64::exp),
        "first_over_time" => F::Rollup(R::First),
        "floor" => F::Math(f64::floor),
        "histogram_avg" => F::HistogramNumber(HistogramNumber::Avg),
        "histogram_count" => F::HistogramNumber(HistogramNumber::Count),
        "histogram_fraction" => F::HistogramFraction,
        "histogram_quantile" => F::HistogramQuantile,
        "histogram_quantiles" => F::HistogramQuantiles,
        "histogram_stddev" => F::HistogramNumber(HistogramNumber::Stddev),
        "histogram_stdvar" => F::HistogramNumber(HistogramNumber::Stdvar),
        "histogram_sum" => F::HistogramNumber(HistogramNumber::Sum),
        "hour" => F::Date(DatePart::Hour),
        "idelta" => F::Rollup(R::Idelta),
        "increase" => F::Rollup(R::Increase),
        "info" => F::Info,
        "irate" => F::Rollup(R::Irate),
        "label_join" => F::LabelJoin,
        "label_replace" => F::LabelReplace,
        "last_over_time" => F::Rollup(R::Last),
        "ln" => F::Math(f64::ln),
        "log10" => F::Math(f64::log10),
        "log2" => F::Math(f64::log2),
        "mad_over_time" => F::Rollup(R::Mad),
        "max_of" => F::MaxOf,
        "max_over_time" => F::Rollup(R::Max),
        "min_of" => F::MinOf,
        "min_over_time" => F::Rollup(R::Min),
        "minute" => F::Date(DatePart::Minute),
        "month" => F::Date(DatePart::Month),
        "pi" => F::Pi,
        "predict_linear" => F::Rollup(R::PredictLinear),
        "present_over_time" => F::Rollup(R::Present),
        "quantile_over_time" => F::Rollup(R::Quantile),
        "rad" => F::Math(math::radians),
        "range" => F::Range,
        "rate" => F::Rollup(R::Rate),
        "resets" => F::Rollup(R::Resets),
        "round" => F::Round,
        "scalar" => F::Scalar,
        "sgn" => F::Math(math::sign),
        "sin" => F::Math(f64::sin),
        "sinh" => F::Math(f64::sinh),
        "sort" => F::Sort { descending: false },
        "sort_by_label" => F::SortByLabel { descending: false },
        "sort_by_label_desc" => F::SortByLabel { descending: true },
        "sort_desc" => F::Sort { descending: true },
        "sqrt" => F::Math(f64::sqrt),
        "start" => F::Start,
        "start_timestamp" => F::StartTimestamp,
        "stddev_over_time" => F::Rollup(R::Stddev),
        "stdvar_over_time" => F::Rollup(R::Stdvar),
        "step" => F::Step,
        "sum_over_time" => F::Rollup(R::Sum),
        "tan" => F::Math(f64::tan),
        "tanh" => F::Math(f64::tanh),
        "time" => F::Time,
        "timestamp" => F::Timestamp,
        "ts_of_first_over_time" => F::Rollup(R::TimeOfFirst),
        "ts_of_last_over_time" => F::Rollup(R::TimeOfLast),
        "ts_of_max_over_time" => F::Rollup(R::TimeOfMax),
        "ts_of_min_over_time" => F::Rollup(R::TimeOfMin),
        "vector" => F::Vector,
        "year" => F::Date(DatePart::Year),
        _ => return None,
    })
}
