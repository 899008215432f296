//! A native histogram in JSON: count, sum, and each bucket with something in it as `[rule, low, high, count]`.
//!
//! Rules say which bounds belong to a bucket: 0 the upper, 1 the lower, 2 none, 3 both. Buckets rise from the lowest
//! bound to the highest: negative ones backwards, the zero bucket, positive ones.

use crate::model::Histogram;
use crate::promql::histogram::{Bucket, ascending};

use super::Json;

/// Appends `histogram`.
pub fn write(json: &mut Json, histogram: &Histogram) {
    json.raw("{\"count\":").value(histogram.count).raw(",\"sum\":").value(histogram.sum);
    let mut buckets = ascending(histogram).filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        json.raw(",\"buckets\":").array(buckets, |json, bucket| {
            json.raw("[").integer(rule(&bucket)).raw(",").value(bucket.lower).raw(",").value(bucket.upper);
            json.raw(",").value(bucket.count).raw("]");
        });
    }
    json.raw("}");
}

fn rule(bucket: &Bucket) -> u8 {
    match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::BucketSpan;

    #[track_caller]
    fn check(histogram: &Histogram, expected: &str) {
        let mut json = Json::default();
        write(&mut json, histogram);
        assert_eq!(json.into_string(), expected);
    }

    #[test]
    fn buckets_rise_and_name_the_bounds_that_belong_to_them() {
        let span = |offset, length| BucketSpan { offset, length };
        check(
            &Histogram {
                zero_threshold: 0.001,
                zero_count: 2.0,
                count: 10.0,
                sum: 18.4,
                positive_spans: vec![span(0, 2), span(1, 1)],
                positive_buckets: vec![1.0, 2.0, 0.0],
                negative_spans: vec![span(1, 2)],
                negative_buckets: vec![4.0, 1.0],
                ..Histogram::default()
            },
            "{\"count\":\"10\",\"sum\":\"18.4\",\"buckets\":[[1,\"-4\",\"-2\",\"1\"],[1,\"-2\",\"-1\",\"4\"],\
             [3,\"-0.001\",\"0.001\",\"2\"],[0,\"0.5\",\"1\",\"1\"],[0,\"1\",\"2\",\"2\"]]}",
        );
        check(
            &Histogram {
                schema: -53,
                count: 6.0,
                sum: 30.0,
                positive_spans: vec![span(0, 3)],
                positive_buckets: vec![1.0, 2.0, 3.0],
                custom_values: vec![5.0, 10.0],
                ..Histogram::default()
            },
            "{\"count\":\"6\",\"sum\":\"30\",\"buckets\":[[3,\"-Inf\",\"5\",\"1\"],[0,\"5\",\"10\",\"2\"],\
             [0,\"10\",\"+Inf\",\"3\"]]}",
        );
        check(&Histogram { sum: f64::NAN, ..Histogram::default() }, "{\"count\":\"0\",\"sum\":\"NaN\"}");
    }
}
