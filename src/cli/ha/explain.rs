//! `/api/v1/ha/explain` for eyes: a line a sample, a column a replica.

use serde_json::Value;

use crate::cli::columns;
use crate::model::Timestamp;

use super::status::{instant, name, named, plural, series};

/// All series, one below the other; lines of samples that are in the series are bold, where that can be shown.
pub(super) fn text(data: &Value, at: Timestamp, bold: bool) -> String {
    let all = data["series"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return "no series of an HA group has samples there\n".into();
    }
    let mut text = all.iter().map(|one| of_series(one, at, bold)).collect::<Vec<_>>().join("\n");
    if data["truncated"] == true {
        text.push_str("\nthere are more series: narrow the selector\n");
    }
    text
}

struct Row<'d> {
    at: Timestamp,
    lane: usize,
    row: &'d Value,
}

impl Row<'_> {
    fn is_in(&self) -> bool {
        self.row["kept"] == true
    }

    fn value(&self) -> String {
        match self.row["kind"].as_str() {
            Some("stale") => "stale".to_owned(),
            Some("histogram") => format!("histogram of {}", self.row["value"].as_str().unwrap_or("")),
            _ => self.row["value"].as_str().unwrap_or("").to_owned(),
        }
    }
}

fn of_series(one: &Value, at: Timestamp, bold: bool) -> String {
    let lanes = one["lanes"].as_array().map_or(&[][..], Vec::as_slice);
    let replicas: Vec<String> = lanes.iter().map(|lane| name(&lane["replica"])).collect();
    let mut rows = Vec::new();
    for (lane, own) in lanes.iter().enumerate() {
        let own = own["rows"].as_array().into_iter().flatten();
        rows.extend(own.filter_map(|row| Some(Row { at: instant(&row["at"])?, lane, row })));
    }
    rows.sort_by_key(|row| (row.at, row.lane));

    let (policy, cluster) = (one["policy"].as_str().unwrap_or(""), one["cluster"].as_str().unwrap_or(""));
    let counter = if one["counter"] == true { ", a counter" } else { "" };
    let mut text = format!("{}\ngroup {}, policy {policy}{counter}\n\n", series(&one["labels"]), named(cluster));

    let mut head = vec!["TIME (UTC)"];
    head.extend(replicas.iter().map(String::as_str));
    head.extend(["FEEDS", "WHY"]);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let mut cells = vec![clock_text(row.at)];
            cells.extend((0..replicas.len()).map(|lane| if lane == row.lane { row.value() } else { String::new() }));
            cells.push(if row.is_in() { "yes" } else { "no" }.to_owned());
            cells.push(row.row["why"].as_str().unwrap_or("").to_owned());
            cells
        })
        .collect();
    let numbers: Vec<usize> = (1..=replicas.len()).collect();
    let mut lines = columns::table(&head, &cells, &numbers).into_iter();
    text.extend(lines.next().map(|head| head + "\n"));
    for (row, line) in rows.iter().zip(lines) {
        text.push_str(&if bold && row.is_in() { format!("\x1b[1m{line}\x1b[0m\n") } else { format!("{line}\n") });
    }
    text.push('\n');
    for stretch in one["fedBy"].as_array().into_iter().flatten() {
        let time = |field: &str| instant(&stretch[field]).map_or_else(|| "-".to_owned(), clock_text);
        let (from, to) = (time("from"), time("to"));
        let (replica, rows) = (name(&stretch["replica"]), &stretch["rows"]);
        text.push_str(&format!("fed by {replica} from {from} to {to}: {rows} {}\n", plural(rows, "sample", "samples")));
    }
    text.push_str(&answer_at(&rows, &replicas, at));
    text
}

/// What a query at that time reads.
fn answer_at(rows: &[Row<'_>], replicas: &[String], at: Timestamp) -> String {
    let asked = clock_text(at);
    match rows.iter().rfind(|row| row.is_in() && row.at <= at) {
        None => format!("at {asked} there is no sample in what is shown\n"),
        Some(row) if row.row["kind"] == "stale" => {
            format!("at {asked} the series has ended: {} saw it end at {}\n", replicas[row.lane], clock_text(row.at))
        }
        Some(row) => {
            let (value, from) = (row.value(), &replicas[row.lane]);
            format!("at {asked} a query reads {value} of {from}, from {:.3} s before\n", (at - row.at).as_seconds())
        }
    }
}

fn clock_text(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis());
    time.map_or_else(|_| at.to_string(), |time| time.strftime("%F %T%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_sample_has_its_line_and_its_reason() {
        let row = |at: f64, value: &str, kept: bool, why: &str| {
            json!({"at": at, "value": value, "kind": if value == "NaN" { "stale" } else { "float" }, "kept": kept,
                "verdict": "x", "interval": 15, "why": why})
        };
        let noon = 1_795_348_800.0;
        let data = json!({"truncated": false, "series": [{
            "labels": {"__name__": "x_total", "job": "j"}, "cluster": "eu1", "policy": "prefer", "counter": true,
            "lanes": [
                {"replica": "a", "rows": [row(noon, "1", true, "preferred"), row(noon + 15.0, "NaN", false, "goes on")]},
                {"replica": "b", "rows": [row(noon + 7.25, "10", false, "covered"), row(noon + 22.25, "20", true, "fills")]},
            ],
            "fedBy": [{"from": noon, "to": noon, "replica": "a", "rows": 1},
                {"from": noon + 22.25, "to": noon + 22.25, "replica": "b", "rows": 1}],
        }]});
        let expected = "\
x_total{job=\"j\"}
group eu1, policy prefer, a counter

TIME (UTC)                   a   b  FEEDS  WHY
2026-11-22 12:00:00.000      1      yes    preferred
2026-11-22 12:00:07.250         10  no     covered
2026-11-22 12:00:15.000  stale      no     goes on
2026-11-22 12:00:22.250         20  yes    fills

fed by a from 2026-11-22 12:00:00.000 to 2026-11-22 12:00:00.000: 1 sample
fed by b from 2026-11-22 12:00:22.250 to 2026-11-22 12:00:22.250: 1 sample
at 2026-11-22 12:00:20.000 a query reads 1 of a, from 20.000 s before
";
        let at = |millis: i64| Timestamp::from_millis(1_795_348_800_000 + millis);
        assert_eq!(text(&data, at(20_000), false), expected);
        assert!(text(&data, at(30_000), true).ends_with("a query reads 20 of b, from 7.750 s before\n"));
        assert!(text(&data, at(-1), false).ends_with("there is no sample in what is shown\n"));
    }
}
