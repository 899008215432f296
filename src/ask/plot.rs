//! A range drawn in the terminal: braille dots, four high and two wide in each letter.

use anyhow::bail;

use crate::model::{Span, Timestamp};

use super::answer::{Answer, Data, Labels, Paint, Point, name_of, time_of};

/// Lines of the drawing.
const HEIGHT: usize = 16;
/// Letters for the numbers at its left.
const SCALE_WIDTH: usize = 10;
/// Series that the legend names.
const NAMED_MAX: usize = 12;

/// Draws all series over each other, with a legend below.
///
/// # Errors
/// Where the answer is no range.
pub(super) fn draw(answer: &Answer, width: usize, paint: Paint) -> anyhow::Result<String> {
    let Data::Matrix(all) = &answer.data else { bail!("only the answer of `weir query range` can be drawn") };
    let drawn = || all.iter().flat_map(|(_, points)| points).filter_map(|point| Some((point.at, point.number()?)));
    let Some(frame) = Frame::around(drawn()) else { return Ok(format!("{}\n", paint.dim("nothing to draw"))) };
    let columns = width.saturating_sub(SCALE_WIDTH + 2).max(20);
    let mut canvas = Canvas::new(columns);
    for (number, (_, points)) in all.iter().enumerate() {
        canvas.line(number, points, &frame);
    }
    let mut text = String::new();
    for line in 0..HEIGHT {
        let share = 1.0 - line as f64 / (HEIGHT - 1) as f64;
        let label = if line % 3 == 0 { short(frame.low + share * (frame.high - frame.low)) } else { String::new() };
        let edge = if line % 3 == 0 { '┤' } else { '│' };
        text.push_str(&paint.dim(&format!("{label:>SCALE_WIDTH$} {edge}")));
        text.push_str(&canvas.row(line, paint));
        text.push('\n');
    }
    text.push_str(&paint.dim(&axis(&frame, columns)));
    text.push_str(&legend(all, paint));
    Ok(text)
}

/// What part of time and value is seen.
struct Frame {
    start: Timestamp,
    end: Timestamp,
    low: f64,
    high: f64,
}

impl Frame {
    fn around(points: impl Iterator<Item = (Timestamp, f64)>) -> Option<Self> {
        let mut frame: Option<Frame> = None;
        for (at, value) in points {
            let known = frame.get_or_insert(Frame { start: at, end: at, low: value, high: value });
            (known.start, known.end) = (known.start.min(at), known.end.max(at));
            (known.low, known.high) = (known.low.min(value), known.high.max(value));
        }
        let mut frame = frame?;
        // What is nearly zero is drawn from zero; what never changes lies in the middle.
        if frame.low > 0.0 && frame.low < 0.3 * frame.high {
            frame.low = 0.0;
        }
        if frame.high - frame.low <= f64::EPSILON * frame.high.abs() {
            let around = if frame.high == 0.0 { 1.0 } else { 0.5 * frame.high.abs() };
            (frame.low, frame.high) = (frame.low - around, frame.high + around);
        }
        Some(frame)
    }
}

/// Dots, and which series has drawn in each letter last.
struct Canvas {
    columns: usize,
    letters: Vec<(u8, usize)>,
}

impl Canvas {
    fn new(columns: usize) -> Self {
        Canvas { columns, letters: vec![(0, 0); columns * HEIGHT] }
    }

    fn dot(&mut self, number: usize, x: usize, y: usize) {
        // The bits of a braille letter, by its column and line of dots.
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let (x, y) = (x.min(2 * self.columns - 1), y.min(4 * HEIGHT - 1));
        let letter = &mut self.letters[y / 4 * self.columns + x / 2];
        letter.0 |= BITS[x % 2][y % 4];
        letter.1 = number;
    }

    /// Draws the points of a series; neighbours are joined.
    fn line(&mut self, number: usize, points: &[Point], frame: &Frame) {
        let (width, height) = ((2 * self.columns - 1) as f64, (4 * HEIGHT - 1) as f64);
        let length = (frame.end - frame.start).as_millis().max(1) as f64;
        let place = |point: &Point| {
            let x = (point.at - frame.start).as_millis() as f64 / length * width;
            let y = (frame.high - point.number()?) / (frame.high - frame.low) * height;
            Some((x.round() as usize, y.round() as usize))
        };
        let mut before: Option<(usize, usize)> = None;
        for (x, y) in points.iter().filter_map(place) {
            match before.filter(|(before_x, _)| x - before_x <= JOINED_DOTS) {
                Some((before_x, before_y)) => {
                    let steps = (x - before_x).max(y.abs_diff(before_y)).max(1);
                    for step in 1..=steps {
                        let along = |from: usize, to: usize| {
                            let share = step as f64 / steps as f64;
                            (from as f64 + share * (to as f64 - from as f64)).round() as usize
                        };
                        self.dot(number, along(before_x, x), along(before_y, y));
                    }
                }
                None => self.dot(number, x, y),
            }
            before = Some((x, y));
        }
    }

    fn row(&self, line: usize, paint: Paint) -> String {
        let letters = &self.letters[line * self.columns..(line + 1) * self.columns];
        let mut text = String::new();
        for run in letters.chunk_by(|left, right| left.1 == right.1) {
            let drawn: String = run
                .iter()
                .map(|(bits, _)| char::from_u32(0x2800 + u32::from(*bits)).filter(|_| *bits > 0).unwrap_or(' '))
                .collect();
            text.push_str(&paint.series(run[0].1, &drawn));
        }
        match paint.colours {
            true => text,
            false => text.trim_end().to_owned(),
        }
    }
}

/// Points that lie further apart than this, in dots, have a gap between them.
const JOINED_DOTS: usize = 8;

/// The line below, with the times at its ends and in its middle.
fn axis(frame: &Frame, columns: usize) -> String {
    let margin = " ".repeat(SCALE_WIDTH + 1);
    let middle = frame.start + Span::from_millis((frame.end - frame.start).as_millis() / 2);
    let same_day = frame.start.day() == frame.end.day();
    let shown = |at: Timestamp| {
        let text = time_of(at);
        let text = text.split('.').next().unwrap_or_default().to_owned();
        match same_day {
            true => text.split(' ').next_back().unwrap_or_default().to_owned(),
            false => text.trim_end_matches(":00").to_owned(),
        }
    };
    let (left, centre, right) = (shown(frame.start), shown(middle), shown(frame.end));
    let gap = (columns + 1).saturating_sub(left.len() + centre.len() + right.len());
    let date = if same_day {
        format!("  {}", time_of(frame.start).split(' ').next().unwrap_or_default())
    } else {
        String::new()
    };
    format!(
        "{margin}└{}\n{margin}{left}{}{centre}{}{right}{date}\n",
        "─".repeat(columns),
        " ".repeat((gap / 2).max(1)),
        " ".repeat((gap - gap / 2).max(1)),
    )
}

fn legend(all: &[(Labels, Vec<Point>)], paint: Paint) -> String {
    let mut text = String::new();
    for (number, (labels, points)) in all.iter().enumerate().take(NAMED_MAX) {
        let numbers: Vec<f64> = points.iter().filter_map(Point::number).collect();
        let Some(last) = numbers.last() else { continue };
        let (least, most) = numbers.iter().fold((*last, *last), |(least, most), one| (least.min(*one), most.max(*one)));
        let said = format!("last {}  min {}  max {}", short(*last), short(least), short(most));
        text.push_str(&format!("{} {}  {}\n", paint.series(number, "━━"), name_of(labels), paint.dim(&said)));
    }
    if all.len() > NAMED_MAX {
        text.push_str(&paint.dim(&format!("   and {} more\n", all.len() - NAMED_MAX)));
    }
    text
}

/// Four digits and a unit of thousands: `1.234k`, `56.7M`, `0.01234`.
pub(super) fn short(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.2e}");
    }
    let (unit, name) = UNITS.iter().copied().find(|(unit, _)| size >= *unit).unwrap_or((1.0, ""));
    let scaled = value / unit;
    let whole = if scaled.abs() < 1.0 { 0 } else { scaled.abs().log10().floor() as usize + 1 };
    let text = format!("{scaled:.*}", 4_usize.saturating_sub(whole), scaled = scaled);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{}{name}", if text == "-0" { "0" } else { text })
}
