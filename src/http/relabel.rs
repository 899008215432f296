//! `/api/v1/relabel_steps`: what relabeling makes of a series, rule by rule, before anybody rolls it out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::ingest::relabel::RelabelConfig;
use crate::model::MatcherTest;
use crate::promql::parse::parse_selector;

use super::error::ApiError;
use super::json::Json;
use super::params::Params;
use super::{Http, answer};

/// `/api/v1/relabel_steps`: `labels` as a JSON object or `metric` as text; `relabel_configs` as YAML, or those that hold.
pub(super) async fn steps(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let labels = labels(&params)?;
    let yaml = params.all("relabel_configs").next();
    let rules = http.services.relabeling.rules(yaml).map_err(|why| ApiError::parameter("relabel_configs", why))?;
    let rewritten = http.services.relabeling.rewrite(&rules, &labels);
    let rewritten = rewritten.map_err(|why| ApiError::parameter("relabel_configs", why))?;
    Ok(answer(|json| {
        json.raw("{\"steps\":").array(&rewritten.steps, |json, step| {
            json.raw("{\"rule\":");
            write_rule(json, &step.rule);
            json.raw(",\"output\":");
            write_labels(json, &step.labels);
            json.raw(",\"keep\":").raw(if step.kept { "true}" } else { "false}" });
        });
        json.raw(",\"keep\":").raw(if rewritten.stored.is_ok() { "true" } else { "false" }).raw(",\"output\":");
        match &rewritten.stored {
            Ok(labels) => write_labels(json, labels),
            Err(why) => write_labels(json.raw("{},\"why\":").string(why).raw(",\"sent\":"), &labels),
        }
        json.raw(",\"replica\":");
        match &rewritten.replica {
            Some(replica) => {
                json.raw("{\"cluster\":").string(&replica.cluster).raw(",\"name\":").string(&replica.name).raw("}")
            }
            None => json.raw("null"),
        };
        json.raw("}");
    }))
}

fn labels(params: &Params) -> Result<Vec<(String, String)>, ApiError> {
    let (object, text) = (params.first("labels"), params.first("metric"));
    if !object.is_empty() {
        let read = serde_json::from_str::<BTreeMap<String, String>>(object);
        return Ok(read.map_err(|error| ApiError::parameter("labels", error))?.into_iter().collect());
    }
    let matchers = parse_selector(text).map_err(|error| ApiError::parameter("metric", error))?;
    let pair = |matcher: crate::model::Matcher| match matcher.test {
        MatcherTest::Equal(value) => Ok((matcher.name, value)),
        _ => Err(ApiError::parameter("metric", "a series is named by labels with =")),
    };
    matchers.into_iter().map(pair).collect()
}

fn write_labels(json: &mut Json, labels: &[(String, String)]) {
    json.object(labels.iter().map(|(name, value)| (name, value)), |json, value| {
        json.string(value);
    });
}

fn write_rule(json: &mut Json, rule: &RelabelConfig) {
    let RelabelConfig { source_labels, separator, regex, modulus, target_label, replacement, action } = rule;
    json.raw("{\"source_labels\":").array(source_labels, |json, name| {
        json.string(name);
    });
    for (name, text) in [
        ("separator", separator),
        ("regex", regex),
        ("target_label", target_label),
        ("replacement", replacement),
        ("action", action),
    ] {
        json.raw(",\"").raw(name).raw("\":").string(text);
    }
    json.raw(",\"modulus\":").integer(*modulus).raw("}");
}
