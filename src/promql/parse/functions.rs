//! The functions: what they take, what they return, whether they are experimental.
//!
//! A fact table and nothing else; what the functions compute is the engine's business. (Prometheus 3.14:
//! `promql/parser/functions.go`; checked against the parse trees it answers.)

use crate::promql::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// What a call must look like.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// The function's name.
    pub name: &'static str,
    /// The type of each argument; the last one's holds for all that follow it.
    pub arguments: &'static [ValueType],
    /// 0: exactly as many arguments as `arguments`. Positive: the last may be missing, and this many may stand in
    /// its place. Negative: it may be missing or repeated without end.
    pub variadic: i32,
    /// What it evaluates to.
    pub returns: ValueType,
    /// Whether `promql-experimental-functions` must be on.
    pub experimental: bool,
}

const fn stable(name: &'static str, arguments: &'static [ValueType], variadic: i32, returns: ValueType) -> Signature {
    Signature { name, arguments, variadic, returns, experimental: false }
}

const fn vector(name: &'static str, arguments: &'static [ValueType]) -> Signature {
    stable(name, arguments, 0, Vector)
}

const fn trial(name: &'static str, arguments: &'static [ValueType], variadic: i32, returns: ValueType) -> Signature {
    Signature { name, arguments, variadic, returns, experimental: true }
}

/// All functions, sorted by name.
pub static FUNCTIONS: [Signature; 90] = [
    vector("abs", &[Vector]),
    vector("absent", &[Vector]),
    vector("absent_over_time", &[Matrix]),
    vector("acos", &[Vector]),
    vector("acosh", &[Vector]),
    vector("asin", &[Vector]),
    vector("asinh", &[Vector]),
    vector("atan", &[Vector]),
    vector("atanh", &[Vector]),
    vector("avg_over_time", &[Matrix]),
    vector("ceil", &[Vector]),
    vector("changes", &[Matrix]),
    vector("clamp", &[Vector, Scalar, Scalar]),
    vector("clamp_max", &[Vector, Scalar]),
    vector("clamp_min", &[Vector, Scalar]),
    vector("cos", &[Vector]),
    vector("cosh", &[Vector]),
    vector("count_over_time", &[Matrix]),
    stable("day_of_month", &[Vector], 1, Vector),
    stable("day_of_week", &[Vector], 1, Vector),
    stable("day_of_year", &[Vector], 1, Vector),
    stable("days_in_month", &[Vector], 1, Vector),
    vector("deg", &[Vector]),
    vector("delta", &[Matrix]),
    vector("deriv", &[Matrix]),
    trial("double_exponential_smoothing", &[Matrix, Scalar, Scalar], 0, Vector),
    trial("end", &[], 0, Scalar),
    vector("exp", &[Vector]),
    vector("first_over_time", &[Matrix]),
    vector("floor", &[Vector]),
    vector("histogram_avg", &[Vector]),
    vector("histogram_count", &[Vector]),
    vector("histogram_fraction", &[Scalar, Scalar, Vector]),
    vector("histogram_quantile", &[Scalar, Vector]),
    trial("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9, Vector),
    vector("histogram_stddev", &[Vector]),
    vector("histogram_stdvar", &[Vector]),
    vector("histogram_sum", &[Vector]),
    stable("hour", &[Vector], 1, Vector),
    vector("idelta", &[Matrix]),
    vector("increase", &[Matrix]),
    trial("info", &[Vector, Vector], 1, Vector),
    vector("irate", &[Matrix]),
    stable("label_join", &[Vector, String, String, String], -1, Vector),
    vector("label_replace", &[Vector, String, String, String, String]),
    vector("last_over_time", &[Matrix]),
    vector("ln", &[Vector]),
    vector("log10", &[Vector]),
    vector("log2", &[Vector]),
    trial("mad_over_time", &[Matrix], 0, Vector),
    trial("max_of", &[Scalar, Scalar], 0, Scalar),
    vector("max_over_time", &[Matrix]),
    trial("min_of", &[Scalar, Scalar], 0, Scalar),
    vector("min_over_time", &[Matrix]),
    stable("minute", &[Vector], 1, Vector),
    stable("month", &[Vector], 1, Vector),
    stable("pi", &[], 0, Scalar),
    vector("predict_linear", &[Matrix, Scalar]),
    vector("present_over_time", &[Matrix]),
    vector("quantile_over_time", &[Scalar, Matrix]),
    vector("rad", &[Vector]),
    trial("range", &[], 0, Scalar),
    vector("rate", &[Matrix]),
    vector("resets", &[Matrix]),
    stable("round", &[Vector, Scalar], 1, Vector),
    stable("scalar", &[Vector], 0, Scalar),
    vector("sgn", &[Vector]),
    vector("sin", &[Vector]),
    vector("sinh", &[Vector]),
    vector("sort", &[Vector]),
    trial("sort_by_label", &[Vector, String], -1, Vector),
    trial("sort_by_label_desc", &[Vector, String], -1, Vector),
    vector("sort_desc", &[Vector]),
    vector("sqrt", &[Vector]),
    trial("start", &[], 0, Scalar),
    trial("start_timestamp", &[Vector], 0, Vector),
    vector("stddev_over_time", &[Matrix]),
    vector("stdvar_over_time", &[Matrix]),
    trial("step", &[], 0, Scalar),
    vector("sum_over_time", &[Matrix]),
    vector("tan", &[Vector]),
    vector("tanh", &[Vector]),
    stable("time", &[], 0, Scalar),
    vector("timestamp", &[Vector]),
    trial("ts_of_first_over_time", &[Matrix], 0, Vector),
    trial("ts_of_last_over_time", &[Matrix], 0, Vector),
    trial("ts_of_max_over_time", &[Matrix], 0, Vector),
    trial("ts_of_min_over_time", &[Matrix], 0, Vector),
    vector("vector", &[Scalar]),
    stable("year", &[Vector], 1, Vector),
];

/// The function with this name. Case matters.
pub fn signature(name: &str) -> Option<&'static Signature> {
    let index = FUNCTIONS.binary_search_by(|signature| signature.name.cmp(name)).ok()?;
    Some(&FUNCTIONS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_sorted_and_found_by_name() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for function in &FUNCTIONS {
            assert_eq!(signature(function.name), Some(function));
        }
        assert_eq!(signature("RATE"), None);
    }
}
