//! `/rules`, `/alerts`, `/alertmanagers` as Prometheus has them, and what vmalert has beside: one group, rule or alert,
//! and the notifiers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::access::Caller;
use crate::model::{Labels, Matcher};
use crate::rules::alerting::alert_id;
use crate::rules::status::{AlertStatus, GroupStatus, RuleState};

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::{NEVER, Params, rfc3339};
use super::rule_json::{Shown, rule_state};
use super::{Http, answer, json_response, series};

/// `/api/v1/rules`
pub(super) async fn rules(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&params)?;
    let page = Page::read(&params)?;
    let mut groups = seen(&http, &caller);
    for group in &mut groups {
        let mut rules = std::mem::take(&mut group.rules);
        rules.retain(|rule| wanted.rule(rule) && wanted.found(group, rule));
        group.rules = rules;
    }
    // A group of which nothing is left is not shown. (Prometheus 3.14)
    groups.retain(|group| wanted.group(group) && !group.rules.is_empty());
    let (total_groups, total_rules) = (groups.len(), groups.iter().map(|group| group.rules.len()).sum::<usize>());
    let (groups, next) = page.cut(groups)?;
    let files = http.services.rules.files();
    let shown = Shown::of(&http, wanted.alerts);
    Ok(answer(|json| {
        json.raw("{\"groups\":").array(&groups, |json, group| shown.group(json, group));
        if let Some(next) = &next {
            json.raw(",\"groupNextToken\":").string(next);
        }
        if let (Some(number), Some(size)) = (page.number, page.groups_max) {
            json.raw(",\"page\":").integer(number).raw(",\"total_pages\":").integer(total_groups.div_ceil(size));
            json.raw(",\"total_groups\":").integer(total_groups).raw(",\"total_rules\":").integer(total_rules);
        }
        json.raw(",\"reload\":{\"ok\":").raw(if files.problems.is_empty() { "true" } else { "false" });
        json.raw(",\"at\":").string(&files.loaded_at.map_or_else(|| NEVER.to_owned(), rfc3339));
        json.raw(",\"problems\":").array(&files.problems, |json, problem| {
            json.string(problem);
        });
        json.raw("}}");
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
                rule.updates.clear();
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
    /// vmalert: states, and a part of a name.
    states: Vec<&'a str>,
    search: String,
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
            states: ["state", "state[]", "filter"].iter().flat_map(|name| params.all(name)).collect(),
            search: params.first("search").to_lowercase(),
            alerts: !exclude_alerts,
        })
    }

    fn group(&self, group: &GroupStatus) -> bool {
        let among = |wanted: &[&str], name: &str| wanted.is_empty() || wanted.contains(&name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    /// Whether the words searched for stand in the name of group, file or rule.
    fn found(&self, group: &GroupStatus, rule: &RuleState) -> bool {
        let in_name = |name: &str| name.to_lowercase().contains(&self.search);
        self.search.is_empty() || in_name(&group.name) || in_name(&group.file) || in_name(&rule.name)
    }

    fn rule(&self, rule: &RuleState) -> bool {
        let kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let name = self.names.is_empty() || self.names.contains(&rule.name.as_str());
        let labels = self.matchers.is_empty() || self.matchers.iter().any(|set| Matcher::all_match(set, &rule.labels));
        let (state, health) = rule_state(rule);
        let states = self.states.is_empty() || self.states.iter().any(|wanted| *wanted == state || *wanted == health);
        kind && name && labels && states
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
    /// vmalert's way of paging: the page's number, from 1.
    number: Option<usize>,
}

impl<'a> Page<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let from = params.first("group_next_token");
        let text = params.first("group_limit");
        if text.is_empty() {
            return match from {
                "" => Ok(Page { groups_max: None, from, number: None }),
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
            Ok(limit @ 1..) => {
                let number = params.number("page_num")?.map(|number| usize::try_from(number).unwrap_or(1).max(1));
                Ok(Page { groups_max: Some(limit), from, number })
            }
            _ => Err(ApiError::parameter("group_limit", "group_limit needs to be greater than 0")),
        }
    }

    /// The groups of this page, and the token of the next one if there is one.
    fn cut(&self, mut groups: Vec<GroupStatus>) -> Result<(Vec<GroupStatus>, Option<String>), ApiError> {
        let Some(limit) = self.groups_max else { return Ok((groups, None)) };
        if let Some(number) = self.number {
            groups.drain(..groups.len().min((number - 1).saturating_mul(limit)));
            groups.truncate(limit);
            return Ok((groups, None));
        }
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

/// `/api/v1/alerts`
pub(super) async fn alerts(State(http): State<Arc<Http>>, caller: Caller) -> Response {
    let groups = seen(&http, &caller);
    let shown = Shown::of(&http, true);
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let alerts = rules.flat_map(|(group, rule)| {
        let alerts = rule.alerting.iter().flat_map(|alerting| &alerting.alerts);
        alerts.map(move |alert| (group, rule, alert))
    });
    answer(|json| {
        json.raw("{\"alerts\":").array(alerts, |json, (group, rule, alert)| shown.alert(json, group, rule, alert));
        json.raw("}");
    })
}

/// `/api/v1/group?group_id=`
pub(super) async fn group(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let group = find_group(&http, &caller, &params)?;
    Ok(plain(|json| Shown::of(&http, true).group(json, &group)))
}

/// `/api/v1/rule?group_id=&rule_id=`
pub(super) async fn rule(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let group = find_group(&http, &caller, &params)?;
    let rule = find_rule(&group, &params)?;
    Ok(plain(|json| Shown::of(&http, true).with_updates().rule(json, &group, rule)))
}

/// `/api/v1/alert?group_id=&alert_id=`
pub(super) async fn alert(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let group = find_group(&http, &caller, &params)?;
    let wanted = params.first("alert_id");
    let named = |(_, alert): &(&RuleState, &AlertStatus)| alert_id(&alert.labels) == wanted;
    let mut alerts = group.rules.iter().flat_map(|rule| {
        let alerts = rule.alerting.iter().flat_map(|alerting| &alerting.alerts);
        alerts.map(move |alert| (rule, alert))
    });
    let found = alerts.find(named).ok_or_else(|| missing("alert", wanted))?;
    Ok(plain(|json| Shown::of(&http, true).alert(json, &group, found.0, found.1)))
}

pub(super) fn find_group(http: &Http, caller: &Caller, params: &Params) -> Result<GroupStatus, ApiError> {
    let wanted = params.first("group_id");
    let found = seen(http, caller).into_iter().find(|group| group.id == wanted);
    found.ok_or_else(|| missing("group", wanted))
}

pub(super) fn find_rule<'g>(group: &'g GroupStatus, params: &Params) -> Result<&'g RuleState, ApiError> {
    let wanted = params.first("rule_id");
    group.rules.iter().find(|rule| rule.id == wanted).ok_or_else(|| missing("rule", wanted))
}

fn missing(what: &str, id: &str) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("there is no {what} with the id {id:?}"))
}

/// An object without the API's envelope, as vmalert gives it.
fn plain(write: impl FnOnce(&mut Json)) -> Response {
    let mut json = Json::default();
    write(&mut json);
    json_response(Body::from(json.into_bytes()))
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

/// `/api/v1/notifiers`
pub(super) async fn notifiers(State(http): State<Arc<Http>>) -> Response {
    let mut states = http.services.rules.notifier_states();
    states.sort_by(|left, right| left.kind.cmp(&right.kind));
    answer(|json| {
        json.raw("{\"notifiers\":").array(states.chunk_by(|left, right| left.kind == right.kind), |json, kind| {
            json.raw("{\"kind\":").string(&kind[0].kind).raw(",\"targets\":").array(kind, |json, state| {
                json.raw("{\"address\":").string(&state.url).raw(",\"labels\":{},\"lastError\":");
                json.string(&state.last_error).raw(",\"waiting\":").integer(state.waiting);
                json.raw(",\"sent\":").integer(state.sent).raw(",\"failed\":").integer(state.failed);
                json.raw(",\"dropped\":").integer(state.dropped).raw("}");
            });
            json.raw("}");
        });
        json.raw("}");
    })
}
