//! Groups, rules and alerts as JSON: the fields of Prometheus first and in its order, then vmalert's and our own.

use crate::model::{Labels, Timestamp, number};
use crate::rules::alerting::alert_id;
use crate::rules::status::{AlertPhase, AlertStatus, AlertingState, GroupStatus, Health, RuleState, Update};

use super::Http;
use super::json::Json;
use super::params::{NEVER, rfc3339};

/// How groups are shown.
pub(super) struct Shown {
    alerts: bool,
    updates: bool,
    /// Where people reach this server.
    external_url: String,
    /// Where silences are made, if anywhere.
    alertmanager: Option<String>,
}

/// The state of a rule and its health, in vmalert's words.
pub(super) fn rule_state(rule: &RuleState) -> (&'static str, &'static str) {
    let last = rule.updates.first();
    let nothing = last.is_some_and(|last| last.series_fetched == 0 && last.samples == 0);
    let health = match rule.health {
        Health::Err => "unhealthy",
        _ if nothing => "nomatch",
        Health::Unknown | Health::Ok => "ok",
    };
    match &rule.alerting {
        Some(alerting) => (alerting_state(alerting).as_str(), health),
        None => (health, health),
    }
}

fn alerting_state(alerting: &AlertingState) -> AlertPhase {
    alerting.alerts.iter().map(|alert| alert.phase).max().unwrap_or(AlertPhase::Inactive)
}

impl Shown {
    pub(super) fn of(http: &Http, alerts: bool) -> Self {
        let rules = &http.services.rules;
        let alertmanager = rules.notifiers().into_iter().next();
        let alertmanager =
            alertmanager.map(|url| url.trim_end_matches('/').trim_end_matches("/api/v2/alerts").to_owned());
        Shown { alerts, updates: false, external_url: rules.external_url(), alertmanager }
    }

    /// The same with what became of the last evaluations.
    pub(super) fn with_updates(self) -> Self {
        Shown { updates: true, ..self }
    }

    pub(super) fn group(&self, json: &mut Json, group: &GroupStatus) {
        json.raw("{\"name\":").string(&group.name).raw(",\"file\":").string(&group.file);
        json.raw(",\"rules\":").array(&group.rules, |json, rule| self.rule(json, group, rule));
        json.raw(",\"interval\":").number(group.interval.as_seconds()).raw(",\"limit\":").integer(group.limit);
        json.raw(",\"evaluationTime\":").number(group.evaluation_seconds);
        json.raw(",\"lastEvaluation\":").string(&when(group.last_evaluation));
        json.raw(",\"id\":").string(&group.id).raw(",\"type\":\"prometheus\"");
        json.raw(",\"queryOffset\":").number(group.query_offset.as_seconds());
        json.raw(",\"concurrency\":").integer(group.concurrency).raw(",\"labels\":").labels(&group.labels);
        json.raw(",\"missed\":").integer(group.missed);
        json.raw(",\"nextEvaluation\":").string(&when(group.next_evaluation));
        json.raw(",\"inputWait\":").number(group.input.waited.as_seconds());
        let seen_at = group.last_evaluation.unwrap_or(Timestamp::EPOCH);
        json.raw(",\"inputBehind\":").array(&group.input.behind, |json, behind| {
            json.raw("{\"source\":").string(&behind.cluster).raw(",\"upTo\":").string(&rfc3339(behind.up_to));
            json.raw(",\"behind\":").number((seen_at - behind.up_to).as_seconds()).raw("}");
        });
        let states = ["firing", "pending", "inactive", "ok", "nomatch", "unhealthy"];
        let count = |wanted: &str| {
            let is = |rule: &&RuleState| rule_state(rule).0 == wanted || rule_state(rule).1 == wanted;
            match wanted {
                // "ok" is said of recording rules alone.
                "ok" => group.rules.iter().filter(|rule| rule.alerting.is_none() && is(rule)).count(),
                _ => group.rules.iter().filter(is).count(),
            }
        };
        json.raw(",\"states\":").object(states.map(|state| (state, count(state))), |json, count| {
            json.integer(count);
        });
        json.raw("}");
    }

    pub(super) fn rule(&self, json: &mut Json, group: &GroupStatus, rule: &RuleState) {
        match &rule.alerting {
            Some(alerting) => {
                json.raw("{\"state\":").string(alerting_state(alerting).as_str());
                json.raw(",\"name\":").string(&rule.name).raw(",\"query\":").string(&rule.query);
                json.raw(",\"duration\":").number(alerting.hold.as_seconds());
                json.raw(",\"keepFiringFor\":").number(alerting.keep_firing.as_seconds());
                json.raw(",\"labels\":").labels(&rule.labels).raw(",\"annotations\":").labels(&alerting.annotations);
                let alerts = if self.alerts { alerting.alerts.as_slice() } else { &[] };
                json.raw(",\"alerts\":").array(alerts, |json, alert| self.alert(json, group, rule, alert));
                outcome(json, rule);
                json.raw(",\"type\":\"alerting\"");
                if alerting.alerts.iter().any(|alert| alert.input_stale) {
                    json.raw(",\"stale\":true");
                }
            }
            None => {
                json.raw("{\"name\":").string(&rule.name).raw(",\"query\":").string(&rule.query);
                json.raw(",\"labels\":").labels(&rule.labels);
                outcome(json, rule);
                json.raw(",\"type\":\"recording\",\"state\":").string(rule_state(rule).0);
            }
        }
        json.raw(",\"id\":").string(&rule.id).raw(",\"group_id\":").string(&group.id);
        json.raw(",\"group_name\":").string(&group.name).raw(",\"file\":").string(&group.file);
        json.raw(",\"datasourceType\":\"prometheus\"");
        if let Some(last) = rule.updates.first() {
            json.raw(",\"lastSamples\":").integer(last.samples);
            json.raw(",\"lastSeriesFetched\":").integer(last.series_fetched);
        }
        if rule_state(rule).1 == "nomatch" {
            json.raw(",\"hint\":").string(&format!("no series match what this rule selects: {}", rule.query));
        }
        json.raw(",\"max_updates_entries\":").integer(rule.updates_max);
        if self.updates {
            json.raw(",\"updates\":").array(&rule.updates, |json, update| self.update(json, rule, update));
        }
        json.raw("}");
    }

    fn update(&self, json: &mut Json, rule: &RuleState, update: &Update) {
        json.raw("{\"time\":").string(&rfc3339(update.ran_at)).raw(",\"at\":").string(&rfc3339(update.at));
        json.raw(",\"duration\":").number(update.seconds).raw(",\"samples\":").integer(update.samples);
        json.raw(",\"series_fetched\":").integer(update.series_fetched);
        json.raw(",\"error\":").string(&update.error).raw(",\"curl\":").string(&self.curl(rule, update)).raw("}");
    }

    /// A command that asks the same once more.
    fn curl(&self, rule: &RuleState, update: &Update) -> String {
        // In a shell, a single quote ends the text, stands escaped, and begins it again.
        let query = rule.query.replace('\'', "'\\''");
        let (url, at) = (&self.external_url, update.at);
        format!("curl -s --data-urlencode 'query={query}' --data-urlencode 'time={at}' '{url}/api/v1/query'")
    }

    pub(super) fn alert(&self, json: &mut Json, group: &GroupStatus, rule: &RuleState, alert: &AlertStatus) {
        json.raw("{\"labels\":").labels(&alert.labels).raw(",\"annotations\":").labels(&alert.annotations);
        json.raw(",\"state\":").string(alert.phase.as_str());
        json.raw(",\"activeAt\":").string(&rfc3339(alert.active_at));
        if let Some(since) = alert.keep_firing_since {
            json.raw(",\"keepFiringSince\":").string(&rfc3339(since));
        }
        // Unlike everywhere else, always with an exponent.
        let mut value = String::new();
        number::write_exponent(&mut value, alert.value);
        json.raw(",\"value\":").string(&value);
        json.raw(",\"id\":").string(&alert_id(&alert.labels)).raw(",\"rule_id\":").string(&rule.id);
        json.raw(",\"group_id\":").string(&group.id).raw(",\"name\":").string(&rule.name);
        json.raw(",\"expression\":").string(&rule.query);
        let source = format!("{}/graph?g0.expr={}&g0.tab=1", self.external_url, encoded(&rule.query));
        json.raw(",\"source\":").string(&source);
        if alert.input_stale {
            json.raw(",\"inputStale\":true");
        }
        if let Some(alertmanager) = &self.alertmanager {
            let filter = encoded(&matchers(&alert.labels));
            json.raw(",\"silence\":").string(&format!("{alertmanager}/#/silences/new?filter={filter}"));
        }
        json.raw("}");
    }
}

fn outcome(json: &mut Json, rule: &RuleState) {
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

fn when(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// Labels as Alertmanager's silences are filtered by: `{alertname="Down",job="node"}`.
fn matchers(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}
