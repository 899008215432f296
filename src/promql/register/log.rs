//! The query log: a JSON object a line, with the fields of Prometheus' own query log and, beside them, who asked.

use serde_json::{Map, Value, json};

use crate::model::{Span, Timestamp};
use crate::promql::{Answer, QueryError};
use crate::store::LaneView;

use super::{Asker, Question};

/// The line for a query that ended.
pub(super) fn line(
    question: &Question,
    now: Timestamp,
    queued: Span,
    took: Span,
    outcome: &Result<Answer, QueryError>,
) -> String {
    let grid = &question.grid;
    let step = if grid.len() == 1 { 0 } else { grid.step().as_millis() / 1000 };
    let mut line = Map::new();
    line.insert("time".into(), date(now).into());
    line.insert("level".into(), "INFO".into());
    line.insert("msg".into(), "promql query logged".into());
    line.insert(
        "params".into(),
        json!({"query": &*question.text, "start": date(grid.start()), "end": date(grid.end()), "step": step}),
    );
    match &question.lanes {
        LaneView::Merged => None,
        LaneView::Raw => line.insert("lanes".into(), "raw".into()),
        LaneView::Replica(name) => line.insert("lanes".into(), format!("replica {name}").into()),
    };
    if let Err(error) = outcome {
        line.insert("error".into(), error.to_string().into());
    }
    line.insert("stats".into(), stats(queued, took, outcome.as_ref().ok()));
    match &question.asker {
        Asker::Program => {}
        Asker::Rule(rule) => {
            line.insert("ruleGroup".into(), json!({"file": rule.file, "name": rule.group, "rule": rule.rule}));
        }
        Asker::Http(asker) => {
            let mut request = Map::new();
            let address = asker.address.map(|address| address.to_string()).unwrap_or_default();
            let said = [
                ("clientIP", Some(&address)),
                ("method", Some(&asker.method)),
                ("path", Some(&asker.path)),
                ("userAgent", asker.user_agent.as_ref()),
                ("dashboardUid", asker.dashboard.as_ref()),
                ("panelId", asker.panel.as_ref()),
            ];
            for (name, text) in said.into_iter().filter_map(|(name, text)| Some((name, text?))) {
                request.insert(name.into(), text.as_str().into());
            }
            line.insert("httpRequest".into(), request.into());
        }
    }
    Value::Object(line).to_string()
}

fn stats(queued: Span, took: Span, answer: Option<&Answer>) -> Value {
    let counts = answer.map(|answer| &answer.stats);
    json!({
        "timings": {
            "evalTotalTime": took.as_seconds(),
            "execQueueTime": queued.as_seconds(),
            "execTotalTime": (queued + took).as_seconds(),
        },
        "samples": {
            "totalQueryableSamples": counts.map_or(0, |counts| counts.total_queryable_samples),
            "peakSamples": counts.map_or(0, |counts| counts.peak_samples),
            "samplesRead": counts.map_or(0, |counts| counts.samples_read),
        },
        "series": counts.map_or(0, |counts| counts.series_fetched),
        "peakBytes": counts.map_or(0, |counts| counts.peak_bytes),
    })
}

/// As Go writes it in the query log: always with three decimals.
fn date(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => at.to_string(),
    }
}
