//! What counts as equal: order, labels, times, values up to rounding, texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;

use crate::model::{Histogram, Labels, StepGrid, Timestamp};
use crate::promql::histogram::{compact, notation};
use crate::promql::series_text::SeriesValue;
use crate::promql::{Answer, Point, RangeSeries, Value, VectorSample};

use super::read::{Eval, TextTest, When};

/// Values may differ by this share. (Prometheus' promqltest.)
const ROUNDING_SHARE_MAX: f64 = 1e-6;

/// What is wrong.
pub(super) type Wrong = String;

/// Compares an answer with what the script expects, annotations excepted.
pub(super) fn check_value(eval: &Eval, answer: &Answer) -> Result<(), Wrong> {
    match &answer.value {
        Value::Scalar(_, found) => check_scalar(eval, *found),
        Value::String(_, found) => match &eval.string {
            Some(expected) if expected == found => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {found:?}")),
        },
        Value::Vector(samples) => check_vector(eval, samples, eval.ordered),
        Value::Matrix(series) => check_matrix(eval, series),
    }
}

/// Compares the middle of a range query with what an instant query must give.
pub(super) fn check_middle(eval: &Eval, at: Timestamp, answer: &Answer) -> Result<(), Wrong> {
    let Value::Matrix(series) = &answer.value else {
        return Err(format!("a range query gave no matrix but {:?}", answer.value));
    };
    check_sorted(series)?;
    let mut samples = Vec::new();
    for RangeSeries { labels, floats, histograms } in series {
        let floats = floats.iter().map(|(at, value)| (*at, Point::Float(*value)));
        let histograms = histograms.iter().map(|(at, value)| (*at, Point::Histogram(Arc::clone(value))));
        let points = floats.chain(histograms).filter(|(point_at, _)| *point_at == at);
        samples.extend(points.map(|(at, point)| VectorSample { labels: labels.clone(), at, point }));
    }
    match (eval.scalar, samples.as_slice()) {
        (None, samples) => check_vector(eval, samples, false),
        (Some(_), [VectorSample { point: Point::Float(found), .. }]) => check_scalar(eval, *found),
        (Some(expected), found) => Err(format!("expected scalar {expected}, got {found:?}")),
    }
}

fn check_scalar(eval: &Eval, found: f64) -> Result<(), Wrong> {
    match eval.scalar {
        Some(expected) if almost_equal(expected, found) => Ok(()),
        expected => Err(format!("expected scalar {expected:?}, got {found}")),
    }
}

fn check_vector(eval: &Eval, samples: &[VectorSample], ordered: bool) -> Result<(), Wrong> {
    if eval.scalar.is_some() || eval.string.is_some() {
        return Err("expected a scalar or string, got a vector".to_owned());
    }
    let mut seen = BTreeSet::new();
    for (position, VectorSample { labels, point, .. }) in samples.iter().enumerate() {
        let Some((place, values)) = expected_series(eval, labels) else {
            return Err(format!("unexpected series {labels} with {}", shown(point)));
        };
        if !seen.insert(labels) {
            return Err(format!("series {labels} stands twice"));
        }
        if ordered && place != position {
            return Err(format!("{labels} is at position {position} instead of {place}"));
        }
        let expected = values.first().unwrap_or(&SeriesValue::Float(0.0));
        check_point(expected, point).map_err(|wrong| format!("{labels}: {wrong}"))?;
    }
    match eval.series.iter().find(|(labels, _)| !seen.contains(labels)) {
        Some((labels, _)) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

fn expected_series<'a>(eval: &'a Eval, labels: &Labels) -> Option<(usize, &'a [SeriesValue])> {
    let place = eval.series.iter().rposition(|(expected, _)| expected == labels)?;
    Some((place, &eval.series[place].1))
}

fn check_matrix(eval: &Eval, series: &[RangeSeries]) -> Result<(), Wrong> {
    if eval.scalar.is_some() || eval.string.is_some() || eval.ordered {
        return Err("expected a scalar, a string or an order, got a matrix".to_owned());
    }
    let grid: StepGrid = match (eval.range_vector, eval.when) {
        (Some(grid), _) | (None, Some(When::Range(grid))) => grid,
        _ => return Err("expected a vector, got a matrix".to_owned()),
    };
    if eval.range_vector.is_none() {
        check_sorted(series)?;
    }
    let mut seen = BTreeSet::new();
    for found in series {
        let labels = &found.labels;
        let Some((_, values)) = expected_series(eval, labels) else {
            return Err(format!("unexpected series {labels}"));
        };
        if !seen.insert(labels) {
            return Err(format!("series {labels} stands twice"));
        }
        check_points(grid, values, found).map_err(|wrong| format!("{labels}: {wrong}"))?;
    }
    let has_points = |values: &[SeriesValue]| values.iter().any(|value| *value != SeriesValue::Omitted);
    match eval.series.iter().find(|(labels, values)| !seen.contains(labels) && has_points(values)) {
        Some((labels, _)) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

fn check_points(grid: StepGrid, values: &[SeriesValue], found: &RangeSeries) -> Result<(), Wrong> {
    let mut floats = found.floats.iter();
    let mut histograms = found.histograms.iter();
    for (step, expected) in values.iter().enumerate() {
        let at = grid.start() + grid.step().times(step as i64);
        let next = match expected {
            SeriesValue::Omitted => continue,
            SeriesValue::Histogram(..) => {
                histograms.next().map(|(at, histogram)| (*at, Point::Histogram(Arc::clone(histogram))))
            }
            SeriesValue::Float(_) | SeriesValue::Stale => floats.next().map(|(at, value)| (*at, Point::Float(*value))),
        };
        let Some((found_at, point)) = next else { return Err(format!("no point at {at}; got {found:?}")) };
        if found_at != at {
            return Err(format!("{} at {found_at} instead of {at}", shown(&point)));
        }
        check_point(expected, &point).map_err(|wrong| format!("at {at}: {wrong}; got {found:?}"))?;
    }
    match (floats.next(), histograms.next()) {
        (None, None) => Ok(()),
        (float, histogram) => Err(format!("unexpected points {float:?} {histogram:?}")),
    }
}

fn check_sorted(series: &[RangeSeries]) -> Result<(), Wrong> {
    match series.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        Some(pair) => Err(format!("the matrix is not sorted: {} before {}", pair[0].labels, pair[1].labels)),
        None => Ok(()),
    }
}

fn check_point(expected: &SeriesValue, found: &Point) -> Result<(), Wrong> {
    match (expected, found) {
        (SeriesValue::Float(expected), Point::Float(found)) if almost_equal(*expected, *found) => Ok(()),
        (SeriesValue::Histogram(histogram, hint_given), Point::Histogram(found)) => {
            let wrong =
                |what: &str| format!("{what}: expected {}, got {}", shown_histogram(histogram), shown_histogram(found));
            if !almost_equal_histograms(histogram, found) {
                return Err(wrong("histograms differ"));
            }
            // A hint that was not written out is not compared.
            match *hint_given && histogram.reset_hint != found.reset_hint {
                true => Err(format!("expected hint {:?}, got {:?}", histogram.reset_hint, found.reset_hint)),
                false => Ok(()),
            }
        }
        (expected, found) => Err(format!("expected {expected:?}, got {}", shown(found))),
    }
}

fn shown(point: &Point) -> String {
    match point {
        Point::Float(value) => value.to_string(),
        Point::Histogram(histogram) => shown_histogram(histogram),
    }
}

fn shown_histogram(histogram: &Histogram) -> String {
    format!("{{{{{}}}}}", notation::print(histogram))
}

fn almost_equal_histograms(expected: &Histogram, found: &Histogram) -> bool {
    let compacted = |histogram: &Histogram| {
        let mut histogram = histogram.clone();
        compact(&mut histogram);
        histogram
    };
    let (expected, found) = (compacted(expected), compacted(found));
    let near = |left: &[f64], right: &[f64]| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| almost_equal(*left, *right))
    };
    expected.schema == found.schema
        && near(&[expected.count, expected.sum, expected.zero_count], &[found.count, found.sum, found.zero_count])
        && (found.has_custom_buckets() || expected.zero_threshold == found.zero_threshold)
        && expected.custom_values == found.custom_values
        && expected.positive_spans == found.positive_spans
        && expected.negative_spans == found.negative_spans
        && near(&expected.positive_buckets, &found.positive_buckets)
        && near(&expected.negative_buckets, &found.negative_buckets)
}

/// Prometheus' `almost.Equal`.
pub(in crate::promql::tests) fn almost_equal(left: f64, right: f64) -> bool {
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    if !left.is_finite() || !right.is_finite() {
        return false;
    }
    let (size, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || size < f64::MIN_POSITIVE {
        return difference < ROUNDING_SHARE_MAX * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < ROUNDING_SHARE_MAX
}

/// Compares warnings and infos.
pub(super) fn check_annotations(eval: &Eval, answer: &Answer) -> Result<(), Wrong> {
    check_texts("warning", &eval.warn, eval.no_warn, &answer.warnings)?;
    check_texts("info", &eval.info, eval.no_info, &answer.infos)
}

fn check_texts(kind: &str, expected: &[TextTest], none: bool, found: &[String]) -> Result<(), Wrong> {
    if none && !found.is_empty() {
        return Err(format!("unexpected {kind}s {found:?}"));
    }
    for test in expected {
        if !found.iter().any(|text| text_passes(test, text)) {
            return Err(format!("expected {kind} {test:?}, got {found:?}"));
        }
    }
    match found.iter().find(|text| !expected.is_empty() && !expected.iter().any(|test| text_passes(test, text))) {
        Some(text) => Err(format!("unexpected {kind} {text:?}")),
        None => Ok(()),
    }
}

/// Compares the text of a failure.
pub(super) fn check_failure(eval: &Eval, text: &str) -> Result<(), Wrong> {
    match eval.fail.iter().find(|test| !text_passes(test, text)) {
        Some(test) => Err(format!("expected failure {test:?}, got {text:?}")),
        None => Ok(()),
    }
}

fn text_passes(test: &TextTest, text: &str) -> bool {
    match test {
        TextTest::Any => true,
        TextTest::Equal(expected) => expected == text,
        TextTest::Regex(pattern) => Regex::new(pattern).expect("patterns of scripts are valid").is_match(text),
    }
}
