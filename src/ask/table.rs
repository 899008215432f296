//! Answers as columns: aligned for eyes, or separated by commas.

use std::collections::BTreeSet;

use super::answer::{Answer, Data, Labels, Paint, Point, name_of, time_of};

/// Series whose values over time stand side by side; more stand below each other.
const SIDE_BY_SIDE: usize = 6;

/// Columns for eyes.
pub(super) fn table(answer: &Answer, paint: Paint) -> String {
    match &answer.data {
        Data::Single(point) => format!("{}\n", point.text),
        Data::Texts(texts) => texts.iter().flat_map(|text| [text.as_str(), "\n"]).collect(),
        Data::Series(all) => {
            let names = columns(all);
            let rows = all.iter().map(|labels| cells(labels, &names)).collect();
            Columns { head: heads(&names), rows, numbers_from: usize::MAX }.aligned(paint)
        }
        Data::Vector(all) if all.is_empty() => nothing(paint),
        Data::Vector(all) => {
            let names = columns(all.iter().map(|(labels, _)| labels));
            let mut head = heads(&names);
            head.push("VALUE".into());
            let row = |(labels, point): &(Labels, Point)| {
                let mut row = cells(labels, &names);
                row.push(point.text.clone());
                row
            };
            Columns { numbers_from: names.len(), head, rows: all.iter().map(row).collect() }.aligned(paint)
        }
        Data::Matrix(all) if all.is_empty() => nothing(paint),
        Data::Matrix(all) if all.len() <= SIDE_BY_SIDE => side_by_side(all, paint),
        Data::Matrix(all) => {
            let mut text = String::new();
            for (labels, points) in all {
                text.push_str(&format!("{}\n", paint.bold(&name_of(labels))));
                for point in points {
                    text.push_str(&format!("  {}  {}\n", paint.dim(&time_of(point.at)), point.text));
                }
            }
            text
        }
    }
}

fn nothing(paint: Paint) -> String {
    format!("{}\n", paint.dim("no series"))
}

/// A column for each series and a row for each time at which one of them has a value.
fn side_by_side(all: &[(Labels, Vec<Point>)], paint: Paint) -> String {
    let times: BTreeSet<_> = all.iter().flat_map(|(_, points)| points.iter().map(|point| point.at)).collect();
    let mut head = vec!["TIME".to_owned()];
    let mut text = String::new();
    match all {
        [(labels, _)] => head.push(name_of(labels)),
        _ => {
            for (number, (labels, _)) in all.iter().enumerate() {
                head.push(format!("[{}]", number + 1));
                text.push_str(&paint.series(number, &format!("[{}] {}\n", number + 1, name_of(labels))));
            }
            text.push('\n');
        }
    }
    let mut next = vec![0; all.len()];
    let rows = times.iter().map(|at| {
        let mut row = vec![time_of(*at)];
        for ((_, points), next) in all.iter().zip(&mut next) {
            match points.get(*next).filter(|point| point.at == *at) {
                Some(point) => {
                    row.push(point.text.clone());
                    *next += 1;
                }
                None => row.push(String::new()),
            }
        }
        row
    });
    let rows = rows.collect();
    text.push_str(&Columns { head, rows, numbers_from: 1 }.aligned(paint));
    text
}

/// The label names of all series: the metric first, then by name.
fn columns<'a>(all: impl IntoIterator<Item = &'a Labels>) -> Vec<String> {
    let names: BTreeSet<&String> = all.into_iter().flatten().map(|(name, _)| name).collect();
    let metric = names.iter().filter(|name| **name == "__name__");
    metric.chain(names.iter().filter(|name| **name != "__name__")).map(|name| (*name).clone()).collect()
}

fn heads(names: &[String]) -> Vec<String> {
    names.iter().map(|name| if name == "__name__" { "METRIC".into() } else { name.to_uppercase() }).collect()
}

fn cells(labels: &Labels, names: &[String]) -> Vec<String> {
    let value = |name| labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    names.iter().map(|name| value(name).to_owned()).collect()
}

struct Columns {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns from this one on are numbers, which stand to the right.
    numbers_from: usize,
}

impl Columns {
    fn aligned(&self, paint: Paint) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]).chain([&self.head[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |row: &[String]| {
            let cells =
                row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column >= self.numbers_from {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut text = format!("{}\n", paint.bold(&line(&self.head)));
        for row in &self.rows {
            text.push_str(&line(row));
            text.push('\n');
        }
        text
    }
}

/// A line a sample, with the labels in columns; quoted where it must be.
pub(super) fn csv(answer: &Answer) -> String {
    let mut lines = Vec::new();
    match &answer.data {
        Data::Single(point) => {
            lines.push(vec!["time".to_owned(), "value".to_owned()]);
            lines.push(vec![point.at.to_string(), point.text.clone()]);
        }
        Data::Texts(texts) => lines.extend(texts.iter().map(|text| vec![text.clone()])),
        Data::Series(all) => {
            let names = columns(all);
            lines.push(names.clone());
            lines.extend(all.iter().map(|labels| cells(labels, &names)));
        }
        Data::Vector(all) => {
            let samples = all.iter().map(|(labels, point)| (labels, std::slice::from_ref(point)));
            long(samples, &mut lines);
        }
        Data::Matrix(all) => long(all.iter().map(|(labels, points)| (labels, points.as_slice())), &mut lines),
    }
    let quoted = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    lines.iter().map(|line| format!("{}\n", line.iter().map(quoted).collect::<Vec<_>>().join(","))).collect()
}

fn long<'a>(series: impl Iterator<Item = (&'a Labels, &'a [Point])> + Clone, lines: &mut Vec<Vec<String>>) {
    let names = columns(series.clone().map(|(labels, _)| labels));
    let mut head = names.clone();
    head.extend(["time".to_owned(), "value".to_owned()]);
    lines.push(head);
    for (labels, points) in series {
        for point in points {
            let mut line = cells(labels, &names);
            line.extend([point.at.to_string(), point.text.clone()]);
            lines.push(line);
        }
    }
}
