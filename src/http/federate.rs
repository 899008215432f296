//! `/federate`: the newest sample of each selected series, in the form that the Prometheus asks for that scrapes us.
//!
//! Times are the samples' own, so that the scraping side keeps them. What becomes of native histograms is up to the form:
//! see [`exposition`](super::exposition).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{Column, Labels, Matcher, ResetHint, Span, TimeRange, Timestamp, number, sample};
use crate::promql::Point;
use crate::store::{SampleSource, StoreError};

use super::error::ApiError;
use super::exposition::{Form, Wanted, write_histogram, write_name, write_series};
use super::families::{self, Kind};
use super::params::Params;
use super::{Http, series};

/// How far back a series' newest sample may lie. (Prometheus: the lookback delta.)
const LOOKBACK: Span = Span::from_secs(5 * 60);

/// `/federate`
pub(super) async fn federate(
    State(http): State<Arc<Http>>,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Response> {
    let sets = series::matcher_sets(&params).map_err(|why| ApiError::bad_data(why).text())?;
    let now = http.now();
    // The left end is open, as that of an instant selector is.
    let range = TimeRange::new(now - LOOKBACK + Span::from_millis(1), now).expect("the lookback is positive");
    let source = http.source(&caller);
    let work = move || newest(source.as_ref(), &sets, range);
    let found = http.lookups.run(work).await.map_err(|error| error.text())?;
    let found = found.map_err(|error| ApiError::from(error).text())?;
    let wanted = Wanted::by(&headers);
    let body = match wanted.form {
        Form::Protobuf => in_protobuf(&found, wanted),
        Form::Text | Form::OpenMetrics => in_text(&found, wanted).into_bytes(),
    };
    Ok(([(header::CONTENT_TYPE, wanted.content_type())], body).into_response())
}

/// The newest sample of a series.
type Newest = (Labels, Timestamp, Point);

/// The series of one metric and one kind.
fn families(found: &[Newest]) -> impl Iterator<Item = (&str, Kind, &[Newest])> {
    fn kind((_, _, point): &Newest) -> Kind {
        match point {
            Point::Float(_) => Kind::Untyped,
            Point::Histogram(histogram) if histogram.reset_hint == ResetHint::Gauge => Kind::GaugeHistogram,
            Point::Histogram(_) => Kind::Histogram,
        }
    }
    let same =
        |left: &Newest, right: &Newest| left.0.metric_name() == right.0.metric_name() && kind(left) == kind(right);
    found.chunk_by(same).map(|family| (family[0].0.metric_name().unwrap_or(""), kind(&family[0]), family))
}

fn in_protobuf(found: &[Newest], wanted: Wanted) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, kind, family) in families(found) {
        families::write(&mut body, name, kind, family.iter(), wanted.escaping);
    }
    body
}

fn in_text(found: &[Newest], wanted: Wanted) -> String {
    let mut text = String::new();
    let open_metrics = wanted.form == Form::OpenMetrics;
    for (name, kind, family) in families(found) {
        text.push_str("# TYPE ");
        write_name(&mut text, name, wanted.escaping);
        text.push_str(match (kind, open_metrics) {
            (Kind::Untyped, true) => " unknown\n",
            (Kind::Untyped, false) => " untyped\n",
            (Kind::GaugeHistogram, true) => " gaugehistogram\n",
            (Kind::Histogram | Kind::GaugeHistogram, _) => " histogram\n",
        });
        for (labels, at, point) in family {
            // OpenMetrics counts in seconds.
            let time = if open_metrics { at.to_string() } else { at.as_millis().to_string() };
            match point {
                Point::Float(value) => {
                    write_series(&mut text, labels, wanted.escaping);
                    text.push(' ');
                    number::write_float(&mut text, *value);
                    text.push(' ');
                    text.push_str(&time);
                    text.push('\n');
                }
                Point::Histogram(histogram) => write_histogram(&mut text, labels, histogram, &time, wanted),
            }
        }
    }
    if open_metrics {
        text.push_str("# EOF\n");
    }
    text
}

/// The newest sample of each selected series that has not ended, sorted by metric, then by labels.
fn newest(source: &dyn SampleSource, sets: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<Newest>, StoreError> {
    let (mut found, mut column) = (Vec::new(), Column::default());
    for matchers in sets {
        for series in source.select(matchers, range)?.series {
            series.samples.read(&mut column)?;
            let Some(last) = column.at.len().checked_sub(1) else { continue };
            let histogram = column.histograms.last().filter(|(row, _)| *row == last);
            let point = match histogram {
                Some((_, histogram)) if histogram.is_stale() => continue,
                Some((_, histogram)) => Point::Histogram(Arc::clone(histogram)),
                None if sample::is_stale(column.values[last]) => continue,
                None => Point::Float(column.values[last]),
            };
            found.push((series.labels, column.at[last], point));
        }
    }
    found.sort_by(|(left, ..), (right, ..)| (left.metric_name(), left).cmp(&(right.metric_name(), right)));
    found.dedup_by(|(left, ..), (right, ..)| left == right);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::wire;
    use crate::ingest::wire::proto::metrics as proto;
    use crate::model::Histogram;
    use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

    use super::super::exposition::Escaping;

    fn found() -> Vec<Newest> {
        let labels = |name: &str| Labels::from_pairs([("__name__", name), ("a.b", "c")]);
        let span = |offset, length| BucketSpan { offset, length };
        let exponential = Histogram {
            schema: 3,
            zero_threshold: 0.5,
            zero_count: 1.0,
            count: 6.0,
            sum: 9.5,
            positive_spans: vec![span(1, 2)],
            positive_buckets: vec![3.0, 2.0],
            integer: true,
            ..Histogram::default()
        };
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 7.5,
            sum: 3.0,
            positive_spans: vec![span(1, 2)],
            positive_buckets: vec![4.0, 3.5],
            custom_values: vec![1.0, 2.5],
            ..Histogram::default()
        };
        let gauge = Histogram { reset_hint: ResetHint::Gauge, count: 2.0, ..Histogram::default() };
        let at = Timestamp::from_millis(1500);
        let one = |histogram| Point::Histogram(Arc::new(histogram));
        vec![
            (labels("custom"), at, one(custom)),
            (labels("exponential"), at, one(exponential)),
            (labels("gauge"), at, one(gauge)),
            (labels("plain"), at, Point::Float(1.0)),
        ]
    }

    #[test]
    fn text_shows_of_histograms_what_it_has_a_form_for() {
        let wanted = Wanted { form: Form::Text, escaping: Escaping::Underscores };
        let expected = "\
# TYPE custom histogram
custom_bucket{a_b=\"c\",le=\"1\"} 0 1500
custom_bucket{a_b=\"c\",le=\"2.5\"} 4 1500
custom_bucket{a_b=\"c\",le=\"+Inf\"} 7.5 1500
custom_sum{a_b=\"c\"} 3 1500
custom_count{a_b=\"c\"} 7.5 1500
# TYPE exponential histogram
exponential_bucket{a_b=\"c\",le=\"+Inf\"} 6 1500
exponential_sum{a_b=\"c\"} 9.5 1500
exponential_count{a_b=\"c\"} 6 1500
# TYPE gauge histogram
gauge_bucket{a_b=\"c\",le=\"+Inf\"} 2 1500
gauge_sum{a_b=\"c\"} 0 1500
gauge_count{a_b=\"c\"} 2 1500
# TYPE plain untyped
plain{a_b=\"c\"} 1 1500
";
        assert_eq!(in_text(&found(), wanted), expected);
        let open_metrics = in_text(&found(), Wanted { form: Form::OpenMetrics, escaping: Escaping::AllowUtf8 });
        assert!(open_metrics.contains("custom_bucket{\"a.b\"=\"c\",le=\"1.0\"} 0 1.500\n"), "{open_metrics}");
        assert!(open_metrics.contains("# TYPE gauge gaugehistogram\ngauge_bucket"), "{open_metrics}");
        assert!(open_metrics.contains("gauge_gcount{\"a.b\"=\"c\"} 2 1.500\n"), "{open_metrics}");
    }

    #[test]
    fn protobuf_carries_histograms_whole() {
        let body = in_protobuf(&found(), Wanted { form: Form::Protobuf, escaping: Escaping::AllowUtf8 });
        let (mut rest, mut families) = (body.as_slice(), Vec::new());
        while !rest.is_empty() {
            families.push(wire::next_delimited::<proto::MetricFamily>(&mut rest));
        }
        let kinds: Vec<_> = families.iter().map(|family| (family.name.as_str(), family.r#type())).collect();
        use proto::MetricType as Type;
        let expected = [
            ("custom", Type::Histogram),
            ("exponential", Type::Histogram),
            ("gauge", Type::GaugeHistogram),
            ("plain", Type::Untyped),
        ];
        assert_eq!(kinds, expected);
        let histogram = |family: usize| families[family].metric[0].histogram.clone().unwrap();
        let buckets: Vec<_> =
            histogram(0).bucket.iter().map(|one| (one.upper_bound, one.cumulative_count_float)).collect();
        assert_eq!(buckets, [(1.0, 0.0), (2.5, 4.0), (f64::INFINITY, 7.5)]);
        let exponential = histogram(1);
        assert_eq!((exponential.sample_count, exponential.zero_count, exponential.schema), (6, 1, 3));
        assert_eq!((exponential.positive_span[0].offset, exponential.positive_delta), (1, vec![3, -1]));
        assert_eq!(histogram(2).positive_span.len(), 1, "a span says that it is a native one");
        let plain = &families[3].metric[0];
        assert_eq!((plain.untyped, plain.timestamp_ms), (Some(proto::Untyped { value: 1.0 }), 1500));
        assert_eq!((plain.label[0].name.as_str(), plain.label[0].value.as_str()), ("a.b", "c"));
    }
}
