//! The answer to a query, in pieces: a few hundred points at a time, and each series is let go once it is written.

use crate::model::{Histogram, Timestamp};
use crate::promql::value::Stats;
use crate::promql::{Answer, Point, RangeSeries, Value, VectorSample};

use super::matrix::{self, OpenSeries, Stamps};
use super::pages::Pieces;
use super::{Json, histogram, trace};

/// What stands around a query's value.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// `data.stats` as Prometheus gives it, if asked for.
    pub stats: Option<QueryStats>,
    /// How many series were read, for vmalert's top-level `stats.seriesFetched`; `None` leaves it out.
    pub series_fetched: Option<u64>,
}

/// What a query took, with times in seconds.
#[derive(Clone, Debug, Default)]
pub struct QueryStats {
    /// What the engine counted.
    pub counts: Stats,
    /// Whether to list samples step by step.
    pub per_step: bool,
    /// Waiting for a place to run.
    pub queued_seconds: f64,
    /// Running.
    pub running_seconds: f64,
}

/// A query's answer as pieces of JSON.
pub struct AnswerPieces {
    rest: Rest,
    written: usize,
    stamps: Stamps,
    tail: Option<String>,
}

enum Rest {
    Head(Value),
    Vector(std::vec::IntoIter<VectorSample>),
    Matrix { waiting: std::vec::IntoIter<RangeSeries>, open: Option<OpenSeries> },
    Tail,
}

impl AnswerPieces {
    /// Prepares `answer`; nothing of its points is written yet.
    pub fn new(answer: Answer, frame: &Frame) -> Self {
        let mut tail = Json::default();
        write_tail(&mut tail, &answer, frame);
        let tail = Some(tail.into_string());
        AnswerPieces { rest: Rest::Head(answer.value), written: 0, stamps: Stamps::default(), tail }
    }
}

/// What stands behind the value of `answer`, and the end of everything.
pub(super) fn write_tail(json: &mut Json, answer: &Answer, frame: &Frame) {
    if let Some(stats) = &frame.stats {
        write_stats(json, stats);
    }
    json.raw("}");
    write_notes(json, "warnings", &answer.warnings);
    write_notes(json, "infos", &answer.infos);
    if let Some(fetched) = frame.series_fetched {
        // vmalert reads a string here, outside of data; Prometheus has no such field.
        json.raw(",\"stats\":{\"seriesFetched\":\"").integer(fetched).raw("\"}");
    }
    if let Some(root) = &answer.trace {
        json.raw(",\"trace\":");
        trace::write(json, root);
    }
    json.raw("}");
}

impl Pieces for AnswerPieces {
    fn write_next(&mut self, json: &mut Json) -> bool {
        match &mut self.rest {
            Rest::Head(value) => {
                let value = std::mem::take(value);
                self.rest = write_head(json, value);
            }
            Rest::Vector(samples) => match samples.next() {
                Some(sample) => {
                    separate(json, &mut self.written);
                    write_sample(json, &sample);
                }
                None => self.rest = close(json),
            },
            Rest::Matrix { waiting, open } => {
                if let Some(series) = open {
                    if series.write_points(json, &mut self.stamps) {
                        *open = None;
                    }
                } else if let Some(series) = waiting.next() {
                    separate(json, &mut self.written);
                    *open = Some(OpenSeries::begin(json, series));
                } else {
                    self.rest = close(json);
                }
            }
            Rest::Tail => match self.tail.take() {
                Some(tail) => {
                    json.raw(&tail);
                }
                None => return false,
            },
        }
        true
    }
}

fn write_head(json: &mut Json, value: Value) -> Rest {
    json.raw(HEAD);
    match value {
        Value::Scalar(at, value) => {
            json.raw("\"scalar\",\"result\":");
            write_point(json, at, value);
            Rest::Tail
        }
        Value::String(at, text) => {
            json.raw("\"string\",\"result\":[").time(at).raw(",").string(&text).raw("]");
            Rest::Tail
        }
        Value::Vector(samples) => {
            json.raw("\"vector\",\"result\":[");
            Rest::Vector(samples.into_iter())
        }
        Value::Matrix(series) => {
            json.raw(matrix::HEAD);
            Rest::Matrix { waiting: series.into_iter(), open: None }
        }
    }
}

/// How every answer to a query begins.
pub(super) const HEAD: &str = "{\"status\":\"success\",\"data\":{\"resultType\":";

pub(super) fn separate(json: &mut Json, written: &mut usize) {
    if *written > 0 {
        json.raw(",");
    }
    *written += 1;
}

fn close(json: &mut Json) -> Rest {
    json.raw("]");
    Rest::Tail
}

fn write_sample(json: &mut Json, sample: &VectorSample) {
    json.raw("{\"metric\":").labels(&sample.labels);
    match &sample.point {
        Point::Float(value) => {
            json.raw(",\"value\":");
            write_point(json, sample.at, *value);
        }
        Point::Histogram(point) => {
            json.raw(",\"histogram\":");
            write_histogram(json, sample.at, point);
        }
    }
    json.raw("}");
}

fn write_point(json: &mut Json, at: Timestamp, value: f64) {
    json.raw("[").time(at).raw(",").value(value).raw("]");
}

pub(super) fn write_histogram(json: &mut Json, at: Timestamp, point: &Histogram) {
    json.raw("[").time(at).raw(",");
    histogram::write(json, point);
    json.raw("]");
}

/// Most warnings, and most infos, that an answer carries. (Prometheus: 10 of each.)
pub const NOTES_MAX: usize = 10;

/// `,"warnings":[...]`, or nothing where there are none.
pub fn write_notes(json: &mut Json, name: &str, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    json.raw(",").string(name).raw(":");
    let left_out = notes.len().saturating_sub(NOTES_MAX);
    let summary = (left_out > 0).then(|| {
        let kind = if name == "infos" { "info" } else { "warning" };
        format!("{left_out} more {kind} annotations omitted")
    });
    json.array(notes.iter().take(NOTES_MAX).chain(&summary), |json, note| {
        json.string(note);
    });
}

/// `,"stats":{...}` with the fields of Prometheus 3.14. One clock reading at each end is all there is, so the whole
/// run stands as evaluation.
fn write_stats(json: &mut Json, stats: &QueryStats) {
    json.raw(",\"stats\":{\"timings\":{\"evalTotalTime\":").number(stats.running_seconds);
    json.raw(",\"resultSortTime\":0,\"queryPreparationTime\":0,\"innerEvalTime\":").number(stats.running_seconds);
    json.raw(",\"execQueueTime\":").number(stats.queued_seconds);
    json.raw(",\"execTotalTime\":").number(stats.queued_seconds + stats.running_seconds);
    json.raw("},\"samples\":{");
    if stats.per_step {
        json.raw("\"totalQueryableSamplesPerStep\":").array(&stats.counts.per_step, |json, (at, samples)| {
            json.raw("[").time(*at).raw(",").integer(*samples).raw("]");
        });
        json.raw(",");
    }
    json.raw("\"totalQueryableSamples\":").integer(stats.counts.total_queryable_samples);
    json.raw(",\"peakSamples\":").integer(stats.counts.peak_samples);
    json.raw(",\"samplesRead\":").integer(stats.counts.samples_read).raw("}}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Labels;

    fn rendered(answer: Answer, frame: &Frame) -> String {
        let mut pieces = AnswerPieces::new(answer, frame);
        let mut json = Json::default();
        while pieces.write_next(&mut json) {}
        json.into_string()
    }

    #[track_caller]
    fn check(value: Value, expected_data: &str) {
        let answer = Answer { value, ..Answer::default() };
        let expected = format!("{{\"status\":\"success\",\"data\":{{{expected_data}}}}}");
        assert_eq!(rendered(answer, &Frame::default()), expected);
    }

    #[test]
    fn each_kind_of_value_has_its_form() {
        let at = Timestamp::from_millis(1_435_781_430_781);
        let up = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        check(Value::Scalar(at, 0.333), r#""resultType":"scalar","result":[1435781430.781,"0.333"]"#);
        check(Value::String(at, "é\n".into()), r#""resultType":"string","result":[1435781430.781,"é\n"]"#);
        check(Value::Vector(vec![]), r#""resultType":"vector","result":[]"#);
        check(Value::Matrix(vec![]), r#""resultType":"matrix","result":[]"#);
        let sample = |labels: &Labels, point| VectorSample { labels: labels.clone(), at: Timestamp::EPOCH, point };
        check(
            Value::Vector(vec![
                sample(&up, Point::Float(f64::NEG_INFINITY)),
                sample(&Labels::empty(), Point::Histogram(Arc::new(Histogram { count: 1.0, ..Histogram::default() }))),
            ]),
            r#""resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[0,"-Inf"]},{"metric":{},"histogram":[0,{"count":"1","sum":"0"}]}]"#,
        );
        let histogram = (Timestamp::from_millis(2000), Arc::new(Histogram::default()));
        check(
            Value::Matrix(vec![
                RangeSeries {
                    labels: up.clone(),
                    floats: vec![(Timestamp::EPOCH, f64::NAN), (at, 1e21)],
                    histograms: vec![],
                },
                RangeSeries {
                    labels: Labels::empty(),
                    floats: vec![(at, -0.0)],
                    histograms: vec![histogram.clone(), histogram],
                },
            ]),
            r#""resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[0,"NaN"],[1435781430.781,"1e+21"]]},{"metric":{},"values":[[1435781430.781,"-0"]],"histograms":[[2,{"count":"0","sum":"0"}],[2,{"count":"0","sum":"0"}]]}]"#,
        );
    }

    #[test]
    fn many_points_make_one_array() {
        let floats = (0..1000).map(|second| (Timestamp::from_millis(second * 1000), 1.5)).collect();
        let value = Value::Matrix(vec![RangeSeries { floats, ..RangeSeries::default() }]);
        let text = rendered(Answer { value, ..Answer::default() }, &Frame::default());
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let values = read["data"]["result"][0]["values"].as_array().unwrap();
        assert_eq!((values.len(), &values[999]), (1000, &serde_json::json!([999, "1.5"])));
    }

    #[test]
    fn series_with_other_times_have_their_own() {
        let series = |seconds: &[i64], value: f64| RangeSeries {
            floats: seconds.iter().map(|second| (Timestamp::from_millis(second * 500), value)).collect(),
            ..RangeSeries::default()
        };
        check(
            Value::Matrix(vec![series(&[2, 4], 1.5), series(&[1, 3, 4, 7], 2.0), series(&[4, 7], f64::NAN)]),
            concat!(
                r#""resultType":"matrix","result":[{"metric":{},"values":[[1,"1.5"],[2,"1.5"]]},"#,
                r#"{"metric":{},"values":[[0.500,"2"],[1.500,"2"],[2,"2"],[3.500,"2"]]},"#,
                r#"{"metric":{},"values":[[2,"NaN"],[3.500,"NaN"]]}]"#,
            ),
        );
    }

    #[test]
    fn warnings_infos_and_stats_stand_behind_the_result() {
        let answer = Answer {
            warnings: vec!["w".into()],
            infos: (0..12).map(|info| info.to_string()).collect(),
            ..Answer::default()
        };
        let stats = QueryStats { per_step: true, running_seconds: 0.25, ..QueryStats::default() };
        assert_eq!(
            rendered(answer, &Frame { stats: Some(stats), series_fetched: Some(12) }),
            concat!(
                r#"{"status":"success","data":{"resultType":"vector","result":[],"stats":{"timings":{"evalTotalTime":0.25,"#,
                r#""resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0.25,"execQueueTime":0,"execTotalTime":0.25},"#,
                r#""samples":{"totalQueryableSamplesPerStep":[],"totalQueryableSamples":0,"peakSamples":0,"samplesRead":0}}},"#,
                r#""warnings":["w"],"infos":["0","1","2","3","4","5","6","7","8","9","2 more info annotations omitted"],"#,
                r#""stats":{"seriesFetched":"12"}}"#,
            )
        );
    }
}
