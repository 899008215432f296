//! Histograms as Prometheus prints them.

use std::fmt;

use crate::model::Histogram;
use crate::model::number::{format_float, write_exponent};

use super::buckets::{Bucket, negative, positive, zero};

/// Prints a histogram as `{count:3, sum:1.5, [-0.001,0.001]:1, (0.5,1]:2}`: count, sum, and the populated buckets from
/// the lowest to the highest. (Prometheus: `FloatHistogram.String`; `count_values` makes label values of it.)
pub struct Shown<'a>(pub &'a Histogram);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let histogram = self.0;
        write!(out, "{{count:{}, sum:{}", short(histogram.count), short(histogram.sum))?;
        let buckets = negative(histogram).rev().chain([zero(histogram)]).chain(positive(histogram));
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            let Bucket { lower, upper, lower_inclusive, upper_inclusive, count } = bucket;
            let (open, close) = (if lower_inclusive { '[' } else { '(' }, if upper_inclusive { ']' } else { ')' });
            write!(out, ", {open}{},{}{close}:{}", short(lower), short(upper), short(count))?;
        }
        out.write_str("}")
    }
}

/// A float in the shortest form: with an exponent below 1e-4 and from 1e6 on. (Go: `%g`, `%v`.)
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() || magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format_float(value);
    }
    let mut out = String::new();
    write_exponent(&mut out, value);
    out
}
