//! `/api/v1/status/ha` for eyes.

use serde_json::Value;

use crate::cli::columns;
use crate::model::{Span, Timestamp};

/// Targets of one replica alone that are named.
const NAMED_MAX: usize = 10;

/// All groups, one below the other.
pub(super) fn text(data: &Value, now: Timestamp) -> String {
    let groups = data["groups"].as_array().map_or(&[][..], Vec::as_slice);
    if groups.is_empty() {
        return "no HA groups: no sender has named a replica (external_labels: { cluster: dc1, __replica__: a })\n"
            .into();
    }
    groups.iter().map(|group| of_group(group, now)).collect::<Vec<_>>().join("\n")
}

fn of_group(group: &Value, now: Timestamp) -> String {
    let mut lines = vec![headline(group)];
    let lanes = group["lanes"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = lanes.iter().map(|lane| of_lane(lane, now)).collect();
    let head =
        ["RANK", "REPLICA", "STATE", "NEWEST", "ARRIVED", "LAG", "CLOCK", "RECEIVED", "COVERED", "KEPT", "CONFLICTS"];
    let table = columns::table(&head, &rows, &[0, 3, 4, 5, 6, 7, 8, 9, 10]);
    lines.extend(table.into_iter().map(|line| format!("  {line}")));
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<12} {text}"));
    let percent = group["fillRatio"].as_f64().unwrap_or(0.0) * 100.0;
    let (holes, unit) = (number(&group["gapsFilled"]), plural(&group["gapsFilled"], "hole", "holes"));
    say("filled in", format!("{percent:.2} % of the last hour's samples of `up`, {holes} {unit}"));
    if let Some(at) = instant(&group["lastSwitch"]["at"]) {
        let switch = &group["lastSwitch"];
        let (from, to, why) = (name(&switch["from"]), name(&switch["to"]), switch["why"].as_str().unwrap_or(""));
        say("last switch", format!("{} ({}): from {from} to {to}, {why}", time(&switch["at"]), ago(now - at)));
    }
    for change in group["preference"].as_array().into_iter().flatten() {
        let by = change["by"].as_str().unwrap_or("");
        say("preferred", format!("{} since {}, by {by}", names(&change["order"]), time(&change["from"])));
    }
    let alone = group["targets"]["oneReplicaOnly"].as_array().map_or(&[][..], Vec::as_slice);
    for target in alone.iter().take(NAMED_MAX) {
        say("one replica", format!("only {} scrapes {}", name(&target["replica"]), series(&target["labels"])));
    }
    let count = group["targets"]["oneReplicaOnlyCount"].as_u64().unwrap_or(0);
    if let Some(more) = count.checked_sub(alone.len().min(NAMED_MAX) as u64).filter(|more| *more > 0) {
        say("one replica", format!("and {more} more"));
    }
    for warning in group["warnings"].as_array().into_iter().flatten() {
        say("warning", warning["text"].as_str().unwrap_or("").to_owned());
    }
    lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn headline(group: &Value) -> String {
    let leads = match group["leading"].as_str() {
        Some(leading) => format!("{leading} feeds it now"),
        None => "nobody feeds it now".to_owned(),
    };
    let (series, targets) = (number(&group["series"]), number(&group["targets"]["seen"]));
    let unit = plural(&group["targets"]["seen"], "target", "targets");
    let cluster = named(group["cluster"].as_str().unwrap_or(""));
    format!("{cluster}: {series} series, {targets} {unit}, order {}; {leads}", names(&group["order"]))
}

fn of_lane(lane: &Value, now: Timestamp) -> Vec<String> {
    let since = |field: &str| instant(&lane[field]).map_or_else(|| "-".to_owned(), |at| ago(now - at));
    let clock = match lane["clockSkew"].as_f64() {
        None => "-".to_owned(),
        Some(0.0) => "0 s".to_owned(),
        Some(ahead) => format!("{ahead:+.1} s"),
    };
    vec![
        number(&lane["rank"]),
        name(&lane["replica"]),
        lane["state"].as_str().unwrap_or("").to_owned(),
        since("newestSample"),
        since("lastArrival"),
        lane["lag"].as_f64().map_or_else(|| "-".to_owned(), |lag| format!("{lag:.1} s")),
        clock,
        number(&lane["received"]),
        number(&lane["covered"]),
        number(&lane["kept"]),
        number(&lane["conflicts"]),
    ]
}

/// A group without a cluster label has no name to show.
pub(super) fn named(cluster: &str) -> String {
    if cluster.is_empty() { "(no cluster label)".to_owned() } else { cluster.to_owned() }
}

/// A replica's name.
pub(super) fn name(replica: &Value) -> String {
    match replica.as_str() {
        Some("") => "(no name)".to_owned(),
        name => name.unwrap_or("-").to_owned(),
    }
}

fn names(order: &Value) -> String {
    order.as_array().into_iter().flatten().map(name).collect::<Vec<_>>().join(", ")
}

pub(super) fn plural<'t>(count: &Value, one: &'t str, many: &'t str) -> &'t str {
    if count.as_u64() == Some(1) { one } else { many }
}

/// A count with its thousands apart.
fn number(count: &Value) -> String {
    let digits = count.as_u64().unwrap_or(0).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Labels as PromQL writes them.
pub(super) fn series(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<(&str, &str)> = pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    crate::model::Labels::from_pairs(pairs).to_string()
}

/// An instant of the API: seconds.
pub(super) fn instant(seconds: &Value) -> Option<Timestamp> {
    seconds.as_f64().map(|seconds| Timestamp::from_millis((seconds * 1000.0).round() as i64))
}

/// An instant as text, or a dash.
pub(super) fn time(seconds: &Value) -> String {
    instant(seconds).map_or_else(|| "-".to_owned(), super::time_text)
}

/// How long ago something was.
fn ago(span: Span) -> String {
    let secs = span.as_millis() / 1000;
    match secs {
        ..-1 => format!("in {} s", -secs),
        -1..1 => "now".to_owned(),
        1..120 => format!("{secs} s ago"),
        120..7200 => format!("{} min ago", secs / 60),
        7200..172_800 => format!("{} h ago", secs / 3600),
        _ => format!("{} d ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_group_is_a_table_with_what_to_know_below_it() {
        let lane = |replica: &str, rank: u64, newest: f64, skew: Value| {
            json!({"replica": replica, "rank": rank, "state": if rank == 1 { "silent" } else { "live" },
                "newestSample": newest, "lastArrival": newest + 0.5, "lag": 0.5, "clockSkew": skew,
                "received": 1_234_567, "covered": 0, "kept": 1_234_567, "conflicts": 0})
        };
        let data = json!({"groups": [{
            "cluster": "eu1", "series": 1, "order": ["a", "b"], "leading": "b", "fillRatio": 0.0125, "gapsFilled": 1,
            "preference": [], "lastSwitch": {"at": 1_795_363_000, "from": "a", "to": "b", "why": "a sent nothing"},
            "lanes": [lane("a", 1, 1_795_362_990.0, json!(0.0)), lane("b", 2, 1_795_363_199.0, json!(20.04))],
            "targets": {"seen": 2, "oneReplicaOnly": [{"labels": {"job": "x"}, "replica": "b"}], "oneReplicaOnlyCount": 12},
            "warnings": [{"kind": "silent", "replica": "a", "text": "replica \"a\" sends nothing"}],
        }]});
        let expected = "\
eu1: 1 series, 2 targets, order a, b; b feeds it now
  RANK  REPLICA  STATE      NEWEST    ARRIVED    LAG    CLOCK   RECEIVED  COVERED       KEPT  CONFLICTS
     1  a        silent  3 min ago  3 min ago  0.5 s      0 s  1,234,567        0  1,234,567          0
     2  b        live      1 s ago        now  0.5 s  +20.0 s  1,234,567        0  1,234,567          0
  filled in    1.25 % of the last hour's samples of `up`, 1 hole
  last switch  2026-11-22 15:56:40 UTC (3 min ago): from a to b, a sent nothing
  one replica  only b scrapes {job=\"x\"}
  one replica  and 11 more
  warning      replica \"a\" sends nothing
";
        assert_eq!(text(&data, Timestamp::from_millis(1_795_363_200_000)), expected);
        assert!(text(&json!({"groups": []}), Timestamp::EPOCH).starts_with("no HA groups"));
    }
}
