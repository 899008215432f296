//! The series of a matrix, a few hundred points at a time: those of an answer that is there, and those of one that is
//! still being worked out.

use crate::model::Timestamp;
use crate::promql::{Answer, RangeSeries};

use super::Json;
use super::answer::{self, Frame, separate, write_histogram, write_tail};
use super::pages::Sheets;

/// Points in a piece: about 8 KiB of JSON.
const POINTS_A_PIECE: usize = 256;

/// How the value of a matrix begins.
pub(super) const HEAD: &str = "\"matrix\",\"result\":[";

/// Writes the answer to a range query while it is worked out.
#[derive(Default)]
pub struct MatrixWriter {
    stamps: Stamps,
    written: usize,
    begun: bool,
}

impl MatrixWriter {
    /// Writes the next series.
    ///
    /// # Errors
    /// Where nobody reads on.
    pub fn series<S: Sheets>(&mut self, sheets: &mut S, series: RangeSeries) -> Result<(), S::Stop> {
        self.begin(sheets.page());
        separate(sheets.page(), &mut self.written);
        let mut open = OpenSeries::begin(sheets.page(), series);
        while !open.write_points(sheets.page(), &mut self.stamps) {
            sheets.turn_page()?;
        }
        sheets.turn_page()
    }

    /// Writes what stands around the series; `answer` has everything but them.
    pub fn end(mut self, json: &mut Json, answer: &Answer, frame: &Frame) {
        self.begin(json);
        json.raw("]");
        write_tail(json, answer, frame);
    }

    /// How many series are written.
    pub fn written(&self) -> usize {
        self.written
    }

    fn begin(&mut self, json: &mut Json) {
        if !std::mem::replace(&mut self.begun, true) {
            json.raw(answer::HEAD).raw(HEAD);
        }
    }
}

/// A series of which some points are written.
pub(super) struct OpenSeries {
    series: RangeSeries,
    floats_written: usize,
    /// Where in the [`Stamps`] the next point's time should be.
    stamp: usize,
    histograms_written: usize,
}

impl OpenSeries {
    /// Writes the labels of `series`.
    pub(super) fn begin(json: &mut Json, series: RangeSeries) -> Self {
        json.raw("{\"metric\":").labels(&series.labels);
        OpenSeries { series, floats_written: 0, stamp: 0, histograms_written: 0 }
    }

    /// Writes the next points; `true` once there are no more.
    pub(super) fn write_points(&mut self, json: &mut Json, stamps: &mut Stamps) -> bool {
        let OpenSeries { series, floats_written, stamp, histograms_written } = self;
        if *floats_written < series.floats.len() {
            let points = &series.floats[*floats_written..];
            let points = &points[..points.len().min(POINTS_A_PIECE)];
            json.raw(if *floats_written == 0 { ",\"values\":[" } else { "," });
            // Many a gauge says the same for hours: its digits are worked out once.
            let mut last: Option<(u64, std::ops::Range<usize>)> = None;
            for (index, (at, value)) in points.iter().enumerate() {
                if index > 0 {
                    json.raw(",");
                }
                stamps.write(json, *at, stamp);
                match &last {
                    Some((bits, written)) if *bits == value.to_bits() => json.again(written.clone()),
                    _ => {
                        let start = json.len();
                        json.value(*value).raw("]");
                        last = Some((value.to_bits(), start..json.len()));
                    }
                }
            }
            *floats_written += points.len();
            if *floats_written == series.floats.len() {
                json.raw("]");
            }
        } else if let Some((at, point)) = series.histograms.get(*histograms_written) {
            json.raw(if *histograms_written == 0 { ",\"histograms\":[" } else { "," });
            write_histogram(json, *at, point);
            *histograms_written += 1;
            if *histograms_written == series.histograms.len() {
                json.raw("]");
            }
        }
        let ended = *floats_written == series.floats.len() && *histograms_written == series.histograms.len();
        if ended {
            json.raw("}");
        }
        ended
    }
}

/// The beginnings of points, `[1435781430.781,`, as far as they are known: all series of a matrix have their points at
/// the same times, so that each time is put into digits once.
#[derive(Default)]
pub(super) struct Stamps {
    /// Each with the end of its text.
    known: Vec<(Timestamp, usize)>,
    texts: String,
}

/// How many times are kept: those of the longest answer that the API gives to a range query.
const STAMPS_MAX: usize = 11_001;

impl Stamps {
    /// Writes the beginning of a point; `next` is where its time should be, and then that of the next point.
    fn write(&mut self, json: &mut Json, at: Timestamp, next: &mut usize) {
        while self.known.get(*next).is_some_and(|(known, _)| *known < at) {
            *next += 1;
        }
        match self.known.get(*next) {
            Some((known, end)) if *known == at => {
                let start = next.checked_sub(1).map_or(0, |before| self.known[before].1);
                json.raw(&self.texts[start..*end]);
                *next += 1;
            }
            // Only behind the last, so that times stay in order.
            None if self.known.len() < STAMPS_MAX => {
                let start = json.len();
                json.raw("[").time(at).raw(",");
                self.texts.push_str(json.written_from(start));
                self.known.push((at, self.texts.len()));
                *next += 1;
            }
            _ => {
                json.raw("[").time(at).raw(",");
            }
        }
    }
}
