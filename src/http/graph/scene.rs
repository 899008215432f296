//! What is drawn where: a list of shapes in pixels, from the back to the front.

use jiff::tz::TimeZone;

use crate::model::labels::Quoted;
use crate::model::{Labels, METRIC_NAME, StepGrid, Timestamp};

use super::axis;
use super::unit::Unit;

/// A colour: red, green, blue, and how much it covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) f32);

/// Something to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A filled box.
    Box { x: f64, y: f64, width: f64, height: f64, fill: Colour },
    /// A line through points.
    Line { points: Vec<(f64, f64)>, stroke: Colour, width: f64 },
    /// A filled outline.
    Area { points: Vec<(f64, f64)>, fill: Colour },
    /// A text whose middle line is at `y`.
    Text { x: f64, y: f64, text: String, fill: Colour, anchor: Anchor, bold: bool },
}

/// Where a text stands beside its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What it shows, for those who cannot see it.
    pub(super) title: String,
    pub(super) shapes: Vec<Shape>,
}

/// Colours of paper and ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Light,
    Dark,
}

/// How a picture shall look.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) theme: Theme,
    pub(super) legend: bool,
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) y_min: Option<f64>,
    pub(super) y_max: Option<f64>,
    pub(super) stacked: bool,
    pub(super) zone: TimeZone,
}

/// A curve.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(Timestamp, f64)>,
    /// On which height each point stands; empty where curves are not stacked.
    pub(super) bases: Vec<f64>,
}

/// Colours of curves, told apart by people who see few of them, on paper of either theme.
const CURVES: [(u8, u8, u8); 10] = [
    (51, 117, 187),
    (224, 121, 32),
    (62, 150, 81),
    (204, 64, 66),
    (132, 98, 178),
    (26, 161, 161),
    (197, 90, 146),
    (148, 139, 61),
    (110, 120, 135),
    (146, 96, 62),
];

/// Letters are about so wide and lines so high, in pixels; the raster's font is exactly that.
pub(super) const LETTER: f64 = 7.0;
const LINE: f64 = 18.0;

/// Lines of the legend; the rest is counted.
const LEGEND_LINES_MAX: usize = 6;
/// Letters of a name in the legend.
const NAME_MAX: usize = 80;

struct Inks {
    paper: Colour,
    text: Colour,
    faint: Colour,
    grid: Colour,
}

impl Theme {
    fn inks(self) -> Inks {
        match self {
            Theme::Light => Inks {
                paper: Colour(255, 255, 255, 1.0),
                text: Colour(36, 41, 46, 1.0),
                faint: Colour(98, 104, 111, 1.0),
                grid: Colour(229, 232, 235, 1.0),
            },
            Theme::Dark => Inks {
                paper: Colour(24, 27, 31, 1.0),
                text: Colour(220, 222, 228, 1.0),
                faint: Colour(150, 155, 165, 1.0),
                grid: Colour(48, 52, 59, 1.0),
            },
        }
    }
}

/// The name of a curve: `format` with each `{{label}}` replaced, or the series itself.
pub(super) fn name(labels: &Labels, format: &str) -> String {
    let mut text = String::new();
    if format.is_empty() {
        let rest = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        let pairs: Vec<String> = rest.map(|(name, value)| format!("{name}={}", Quoted(value))).collect();
        text.push_str(labels.metric_name().unwrap_or(""));
        if !pairs.is_empty() || text.is_empty() {
            text.push_str(&format!("{{{}}}", pairs.join(", ")));
        }
    } else {
        let mut rest = format;
        while let Some((plain, tail)) = rest.split_once("{{") {
            text.push_str(plain);
            let Some((label, tail)) = tail.split_once("}}") else { break };
            text.push_str(labels.get(label.trim()).unwrap_or(""));
            rest = tail;
        }
        text.push_str(rest);
    }
    match text.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The part of a picture where curves are.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    grid: StepGrid,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, at: Timestamp) -> f64 {
        let part =
            (at - self.grid.start()).as_millis() as f64 / (self.grid.end() - self.grid.start()).as_millis() as f64;
        self.left + part * (self.right - self.left)
    }

    /// What lies outside is drawn on the edge.
    fn y(&self, value: f64) -> f64 {
        let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.bottom - part * (self.bottom - self.top)
    }
}

impl Scene {
    /// Draws curves over `grid`; `notes` stand below them.
    pub(super) fn new(look: &Look, grid: StepGrid, mut series: Vec<Series>, notes: &[String]) -> Self {
        let inks = look.theme.inks();
        let last: Vec<Option<f64>> = series.iter().map(|one| one.points.last().map(|(_, value)| *value)).collect();
        if look.stacked {
            stack(&mut series, grid);
        }
        let mut scene = Scene { width: look.width, height: look.height, title: look.title.clone(), shapes: Vec::new() };
        scene.fill(0.0, 0.0, look.width, look.height, inks.paper);

        let top = if look.title.is_empty() { 12.0 } else { 34.0 };
        let names = if look.legend { legend_lines(&series, look, &last) } else { Vec::new() };
        let notes = &notes[..notes.len().min(2)];
        let below = names.len().min(LEGEND_LINES_MAX + 1) as f64 * LINE + notes.len() as f64 * LINE;
        let bottom = (look.height - 26.0 - if below > 0.0 { below + 6.0 } else { 0.0 }).max(top + 30.0);
        let (low, high) = axis::value_bounds(lowest(&series), highest(&series, look.stacked), (look.y_min, look.y_max));
        let step = axis::value_step(low, high, ((bottom - top) / 45.0).max(2.0), look.unit.is_binary());
        let low = look.y_min.unwrap_or((low / step + 1e-9).floor() * step);
        let high = look.y_max.unwrap_or((high / step - 1e-9).ceil() * step);
        let ticks: Vec<f64> = (0..)
            .map(|index: i32| ((low / step - 1e-9).ceil() + f64::from(index)) * step)
            .take_while(|tick| *tick <= high + step * 1e-6)
            .take(100)
            .collect();
        let labels: Vec<String> = ticks.iter().map(|tick| look.unit.format(*tick, step)).collect();
        let letters = labels.iter().map(|label| label.chars().count()).max().unwrap_or(1);
        let frame =
            Frame { left: 14.0 + letters as f64 * LETTER, right: look.width - 16.0, top, bottom, grid, low, high };

        if !look.title.is_empty() {
            scene.text(frame.left, 18.0, clipped(&look.title, look.width - frame.left), inks.text, Anchor::Start, true);
        }
        for (tick, label) in ticks.iter().zip(labels) {
            let y = frame.y(*tick);
            scene.line(vec![(frame.left, y), (frame.right, y)], inks.grid, 1.0);
            scene.text(frame.left - 6.0, y, label, inks.faint, Anchor::End, false);
        }
        for (at, label) in axis::time_labels(grid.start(), grid.end(), (frame.right - frame.left) / 80.0, &look.zone) {
            let x = frame.x(at);
            scene.line(vec![(x, frame.top), (x, frame.bottom)], inks.grid, 1.0);
            let half = label.chars().count() as f64 * LETTER / 2.0;
            let x = x.clamp(half + 2.0, look.width - half - 2.0);
            scene.text(x, frame.bottom + 13.0, label, inks.faint, Anchor::Middle, false);
        }
        scene.curves(&frame, &series, look.stacked);
        if series.is_empty() {
            let (x, y) = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
            scene.text(x, y, "no data".to_owned(), inks.faint, Anchor::Middle, false);
        }
        scene.below(&frame, &names, notes, &inks);
        scene
    }

    fn curves(&mut self, frame: &Frame, series: &[Series], stacked: bool) {
        // Two steps without a point are a gap: what is not known is not drawn.
        let gap = frame.grid.step().times(2);
        for (index, one) in series.iter().enumerate().rev() {
            let colour = curve_colour(index);
            let (mut run, mut base) = (Vec::new(), Vec::new());
            let mut before: Option<Timestamp> = None;
            for (row, (at, value)) in one.points.iter().enumerate() {
                if before.is_some_and(|before| *at - before >= gap) || value.is_nan() {
                    let filled = (stacked || series.len() == 1).then(|| std::mem::take(&mut base));
                    self.run(std::mem::take(&mut run), filled, colour);
                }
                if !value.is_nan() {
                    run.push((frame.x(*at), frame.y(*value)));
                    base.push((frame.x(*at), frame.y(one.bases.get(row).copied().unwrap_or(0.0))));
                    before = Some(*at);
                }
            }
            self.run(run, (stacked || series.len() == 1).then_some(base), colour);
        }
    }

    /// One unbroken stretch of a curve, filled down to its base if it has one.
    fn run(&mut self, points: Vec<(f64, f64)>, base: Option<Vec<(f64, f64)>>, colour: Colour) {
        let Some(first) = points.first().copied() else { return };
        if points.len() == 1 {
            self.fill(first.0 - 1.5, first.1 - 1.5, 3.0, 3.0, colour);
            return;
        }
        if let Some(base) = base {
            let outline = points.iter().copied().chain(base.into_iter().rev()).collect();
            self.shapes.push(Shape::Area { points: outline, fill: Colour(colour.0, colour.1, colour.2, 0.18) });
        }
        self.line(points, colour, 1.6);
    }

    fn below(&mut self, frame: &Frame, names: &[Vec<(usize, String)>], notes: &[String], inks: &Inks) {
        let mut y = frame.bottom + 38.0;
        for line in names.iter().take(LEGEND_LINES_MAX) {
            let column = (self.width - 20.0) / names[0].len().max(1) as f64;
            for (place, (index, name)) in line.iter().enumerate() {
                let x = 10.0 + column * place as f64;
                self.fill(x, y - 5.0, 10.0, 10.0, curve_colour(*index));
                self.text(x + 16.0, y, clipped(name, column - 22.0), inks.text, Anchor::Start, false);
            }
            y += LINE;
        }
        let left_out: usize = names.iter().skip(LEGEND_LINES_MAX).map(Vec::len).sum();
        if left_out > 0 {
            self.text(26.0, y, format!("and {left_out} more"), inks.faint, Anchor::Start, false);
            y += LINE;
        }
        for note in notes {
            self.text(10.0, y, clipped(note, self.width - 20.0), inks.faint, Anchor::Start, false);
            y += LINE;
        }
    }

    fn fill(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Colour) {
        self.shapes.push(Shape::Box { x, y, width, height, fill });
    }

    fn line(&mut self, points: Vec<(f64, f64)>, stroke: Colour, width: f64) {
        self.shapes.push(Shape::Line { points, stroke, width });
    }

    fn text(&mut self, x: f64, y: f64, text: String, fill: Colour, anchor: Anchor, bold: bool) {
        self.shapes.push(Shape::Text { x, y, text, fill, anchor, bold });
    }
}

fn curve_colour(index: usize) -> Colour {
    let (red, green, blue) = CURVES[index % CURVES.len()];
    Colour(red, green, blue, 1.0)
}

/// Names with last values, in as many columns as there is room for.
fn legend_lines(series: &[Series], look: &Look, last: &[Option<f64>]) -> Vec<Vec<(usize, String)>> {
    let name = |(index, one): (usize, &Series)| {
        let value = last[index].map(|value| look.unit.format(value, value.abs() / 100.0));
        (index, format!("{}  {}", one.name, value.unwrap_or_default()))
    };
    let names: Vec<(usize, String)> = series.iter().enumerate().map(name).collect();
    let longest = names.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(1);
    let columns = ((look.width - 20.0) / (longest as f64 * LETTER + 30.0)).floor().clamp(1.0, 8.0) as usize;
    names.chunks(columns).map(<[(usize, String)]>::to_vec).collect()
}

fn clipped(text: &str, width: f64) -> String {
    let letters = (width / LETTER).floor().max(1.0) as usize;
    match text.chars().count() > letters {
        true => text.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Each curve on top of those before it.
fn stack(series: &mut [Series], grid: StepGrid) {
    let mut sums = vec![0.0; grid.len()];
    for one in series {
        one.bases = vec![0.0; one.points.len()];
        for ((at, value), base) in one.points.iter_mut().zip(&mut one.bases) {
            let row = (*at - grid.start()).as_millis() / grid.step().as_millis().max(1);
            let Some(sum) = usize::try_from(row).ok().and_then(|row| sums.get_mut(row)) else { continue };
            if value.is_finite() {
                *base = *sum;
                *sum += *value;
                *value = *sum;
            }
        }
    }
}

fn finite(series: &[Series]) -> impl Iterator<Item = f64> {
    series.iter().flat_map(|one| one.points.iter().map(|(_, value)| *value)).filter(|value| value.is_finite())
}

fn lowest(series: &[Series]) -> f64 {
    finite(series).reduce(f64::min).unwrap_or(0.0)
}

fn highest(series: &[Series], stacked: bool) -> f64 {
    let highest = finite(series).reduce(f64::max).unwrap_or(1.0);
    if stacked { highest.max(0.0) } else { highest }
}
