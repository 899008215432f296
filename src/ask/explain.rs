//! The trace of a query as a tree, with what each part took beside it.

use serde_json::Value;

use super::answer::Paint;

/// Letters that a part of the query takes at least.
const TEXT_MIN: usize = 30;

/// A line for each part, the parts it works on below it.
pub(super) fn tree(trace: &Value, width: usize, paint: Paint) -> String {
    let mut lines = Vec::new();
    walk(trace, "", "", &mut lines);
    let total = trace["duration_msec"].as_f64().unwrap_or(0.0);
    // Five columns of numbers stand behind the text.
    let text_width = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or(0);
    let text_width = text_width.min(width.saturating_sub(58)).max(TEXT_MIN);
    let head = format!(
        "{:<text_width$}  {:>10}  {:>10}  {:>8}  {:>9}  {:>11}",
        "PART", "TIME", "OWN", "SERIES", "POINTS", "SAMPLES"
    );
    let mut text = format!("{}\n", paint.bold(&head));
    for Line { text: part, took, own, series, points, samples } in lines {
        let hot = total > 0.0 && own / total >= 0.3;
        let numbers = format!(
            "  {:>10}  {:>10}  {series:>8}  {:>9}  {:>11}",
            milliseconds(took),
            milliseconds(own),
            unless_zero(points),
            unless_zero(samples)
        );
        let (part, numbers) = (cut(&part, text_width), numbers.trim_end());
        let numbers = if hot { paint.bold(numbers) } else { numbers.to_owned() };
        text.push_str(&format!("{part:<text_width$}{numbers}\n"));
    }
    text
}

struct Line {
    text: String,
    /// Milliseconds, with and without what lies below.
    took: f64,
    own: f64,
    series: u64,
    points: u64,
    samples: u64,
}

fn walk(node: &Value, first: &str, rest: &str, lines: &mut Vec<Line>) {
    let number = |name: &str| node[name].as_u64().unwrap_or(0);
    let took = node["duration_msec"].as_f64().unwrap_or(0.0);
    let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
    let is_fetch = |node: &Value| node["operator"] == "fetch";
    // Fetches come before all else, and are no part of the time of whoever reads what they found.
    let below: f64 =
        children.iter().filter(|child| !is_fetch(child)).filter_map(|child| child["duration_msec"].as_f64()).sum();
    let operator = node["operator"].as_str().unwrap_or("");
    let query = node["query"].as_str().or(node["message"].as_str()).unwrap_or("").split_whitespace();
    let shared = number("sharedBy");
    let shared = if shared > 1 { format!(" once for {shared}") } else { String::new() };
    lines.push(Line {
        text: format!("{first}{operator}{shared}  {}", query.collect::<Vec<_>>().join(" ")),
        took,
        own: (took - below).max(0.0),
        series: number("series"),
        points: number("points"),
        samples: number("samplesRead"),
    });
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        walk(child, &format!("{rest}{branch}"), &format!("{rest}{trunk}"), lines);
    }
}

fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() > letters {
        true => text.chars().take(letters - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn milliseconds(took: f64) -> String {
    format!("{took:.3} ms")
}

fn unless_zero(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}
