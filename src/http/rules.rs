//! `/rules`, `/alerts`, `/alertmanagers`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::access::Caller;
use crate::model::{Labels, Matcher, Timestamp, number};
use crate::rules::status::{AlertPhase, AlertStatus, AlertingState, GroupStatus, Health, RuleState};

use super::error::ApiError;
use super::json::Json;
use super::params::{NEVER, Params, rfc3339};
use super::{Http, answer, series};

/// `/api/v1/rules`
pub(super) async fn rules(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&params)?;
    let page = Page::read(&params)?;
    let mut groups = seen(&http, &caller);
    for group in &mut groups {
        group.rules.retain(|rule| wanted.rule(rule));
    }
    // A group of which nothing is left is not shown. (Prometheus 3.14)
    groups.retain(|group| wanted.group(group) && !group.rules.is_empty());
    let (groups, next) = page.cut(groups)?;
    Ok(answer(|json| {
        json.raw("{\"groups\":").array(&groups, |json, group| write_group(json, group, wanted.alerts));
        if let Some(next) = &next {
            json.raw(",\"groupNextToken\":").string(next);
        }
        json.raw("}");
    }))
}

/// The groups as this caller sees them. Who sees a part of the store sees the alerts that lie in it, and the rules whose
/// own labels do; of a rule that is shown for its alerts alone, neither expression nor annotations as written, since
/// they may speak of others.
fn seen(http: &Http, caller: &Caller) -> Vec<GroupStatus> {
    let mut groups = http.services.rules.groups();
    if caller.view.is_none() {
        return groups;
    }
    for group in &mut groups {
        group.rules.retain_mut(|rule| {
            let is_own = caller.sees_labels(&rule.labels);
            let mut has_alerts = false;
            if let Some(alerting) = &mut rule.alerting {
                alerting.alerts.retain(|alert| caller.sees_labels(&alert.labels));
                has_alerts = !alerting.alerts.is_empty();
                if !is_own {
                    alerting.annotations = Labels::empty();
                }
            }
            if !is_own {
                (rule.query, rule.labels, rule.last_error) = (String::new(), Labels::empty(), String::new());
            }
            is_own || has_alerts
        });
    }
    groups.retain(|group| !group.rules.is_empty());
    groups
}

/// Which groups and rules are asked for; an empty list asks for all.
struct Wanted<'a> {
    recording: bool,
    alerting: bool,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    matchers: Vec<Vec<Matcher>>,
    alerts: bool,
}

impl<'a> Wanted<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let kind = params.first("type").to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(ApiError::parameter("type", format_args!("not supported value {kind:?}")));
        }
        let exclude_alerts = match params.first("exclude_alerts") {
            "" => false,
            text => parse_bool(text).ok_or_else(|| {
                let why =
                    format!("error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid syntax");
                ApiError::parameter("exclude_alerts", why)
            })?,
        };
        Ok(Wanted {
            recording: kind != "alert",
            alerting: kind != "record",
            names: params.all("rule_name[]").collect(),
            groups: params.all("rule_group[]").collect(),
            files: params.all("file[]").collect(),
            matchers: series::matcher_sets(params).map_err(ApiError::bad_data)?,
            alerts: !exclude_alerts,
        })
    }

    fn group(&self, group: &GroupStatus) -> bool {
        let among = |wanted: &[&str], name: &str| wanted.is_empty() || wanted.contains(&name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn rule(&self, rule: &RuleState) -> bool {
        let kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let name = self.names.is_empty() || self.names.contains(&rule.name.as_str());
        let labels = self.matchers.is_empty() || self.matchers.iter().any(|set| Matcher::all_match(set, &rule.labels));
        kind && name && labels
    }
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Which stretch of the groups is asked for.
struct Page<'a> {
    groups_max: Option<usize>,
    from: &'a str,
}

impl<'a> Page<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let from = params.first("group_next_token");
        let text = params.first("group_limit");
        if text.is_empty() {
            return match from {
                "" => Ok(Page { groups_max: None, from }),
                _ => Err(ApiError::parameter(
                    "group_next_token",
                    "group_limit needs to be present in order to paginate over the groups",
                )),
            };
        }
        let limit: i64 = text.parse().map_err(|_| {
            let why =
                format!("group_limit needs to be a valid number: strconv.ParseInt: parsing {text:?}: invalid syntax");
            ApiError::parameter("group_limit", why)
        })?;
        match usize::try_from(limit) {
            Ok(limit @ 1..) => Ok(Page { groups_max: Some(limit), from }),
            _ => Err(ApiError::parameter("group_limit", "group_limit needs to be greater than 0")),
        }
    }

    /// The groups of this page, and the token of the next one if there is one.
    fn cut(&self, mut groups: Vec<GroupStatus>) -> Result<(Vec<GroupStatus>, Option<String>), ApiError> {
        let Some(limit) = self.groups_max else { return Ok((groups, None)) };
        if !self.from.is_empty() {
            let at = groups.iter().position(|group| token(group) == self.from).ok_or_else(|| {
                let why = format!("invalid group_next_token '{}'. were rule groups changed?", self.from);
                ApiError::parameter("group_next_token", why)
            })?;
            groups.drain(..at);
        }
        let next = groups.get(limit).map(token);
        groups.truncate(limit);
        Ok((groups, next))
    }
}

/// Names a group for paging; opaque to clients, the same as long as the program runs.
fn token(group: &GroupStatus) -> String {
    let mut hasher = DefaultHasher::new();
    (&group.file, &group.name).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn write_group(json: &mut Json, group: &GroupStatus, with_alerts: bool) {
    json.raw("{\"name\":").string(&group.name).raw(",\"file\":").string(&group.file);
    json.raw(",\"rules\":").array(&group.rules, |json, rule| match &rule.alerting {
        Some(alerting) => write_alerting(json, rule, alerting, with_alerts),
        None => write_recording(json, rule),
    });
    json.raw(",\"interval\":").number(group.interval.as_seconds()).raw(",\"limit\":").integer(group.limit);
    json.raw(",\"evaluationTime\":").number(group.evaluation_seconds);
    json.raw(",\"lastEvaluation\":").string(&when(group.last_evaluation)).raw("}");
}

fn write_alerting(json: &mut Json, rule: &RuleState, alerting: &AlertingState, with_alerts: bool) {
    let state = alerting.alerts.iter().map(|alert| alert.phase).max().unwrap_or(AlertPhase::Inactive);
    json.raw("{\"state\":").string(state.as_str());
    json.raw(",\"name\":").string(&rule.name).raw(",\"query\":").string(&rule.query);
    json.raw(",\"duration\":").number(alerting.hold.as_seconds());
    json.raw(",\"keepFiringFor\":").number(alerting.keep_firing.as_seconds());
    json.raw(",\"labels\":").labels(&rule.labels).raw(",\"annotations\":").labels(&alerting.annotations);
    let alerts = if with_alerts { alerting.alerts.as_slice() } else { &[] };
    json.raw(",\"alerts\":").array(alerts, write_alert);
    write_outcome(json, rule);
    json.raw(",\"type\":\"alerting\"}");
}

fn write_recording(json: &mut Json, rule: &RuleState) {
    json.raw("{\"name\":").string(&rule.name).raw(",\"query\":").string(&rule.query);
    json.raw(",\"labels\":").labels(&rule.labels);
    write_outcome(json, rule);
    json.raw(",\"type\":\"recording\"}");
}

fn write_outcome(json: &mut Json, rule: &RuleState) {
    json.raw(",\"health\":").string(match rule.health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    });
    if !rule.last_error.is_empty() {
        json.raw(",\"lastError\":").string(&rule.last_error);
    }
    json.raw(",\"evaluationTime\":").number(rule.evaluation_seconds);
    json.raw(",\"lastEvaluation\":").string(&when(rule.last_evaluation));
}

fn write_alert(json: &mut Json, alert: &AlertStatus) {
    json.raw("{\"labels\":").labels(&alert.labels).raw(",\"annotations\":").labels(&alert.annotations);
    json.raw(",\"state\":").string(alert.phase.as_str());
    json.raw(",\"activeAt\":").string(&rfc3339(alert.active_at));
    if let Some(since) = alert.keep_firing_since {
        json.raw(",\"keepFiringSince\":").string(&rfc3339(since));
    }
    // Unlike everywhere else, always with an exponent.
    let mut value = String::new();
    number::write_exponent(&mut value, alert.value);
    json.raw(",\"value\":").string(&value).raw("}");
}

fn when(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// `/api/v1/alerts`
pub(super) async fn alerts(State(http): State<Arc<Http>>, caller: Caller) -> Response {
    let groups = seen(&http, &caller);
    let alerts = groups.iter().flat_map(|group| &group.rules).filter_map(|rule| rule.alerting.as_ref());
    answer(|json| {
        json.raw("{\"alerts\":").array(alerts.flat_map(|alerting| &alerting.alerts), write_alert).raw("}");
    })
}

/// `/api/v1/alertmanagers`
pub(super) async fn alertmanagers(State(http): State<Arc<Http>>) -> Response {
    answer(|json| {
        json.raw("{\"activeAlertmanagers\":").array(http.services.rules.notifiers(), |json, url| {
            json.raw("{\"url\":").string(&url).raw("}");
        });
        json.raw(",\"droppedAlertmanagers\":[]}");
    })
}
