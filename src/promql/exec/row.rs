//! One series' values over the steps of a grid: the unit that flows between operators.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::model::Histogram;

/// Which steps have a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bits(SmallVec<[u64; 1]>);

impl Bits {
    /// None of `steps`.
    pub(crate) fn none(steps: usize) -> Self {
        Bits(smallvec![0; steps.div_ceil(64)])
    }

    /// All of `steps`.
    pub(crate) fn all(steps: usize) -> Self {
        let mut words: SmallVec<[u64; 1]> = smallvec![u64::MAX; steps.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), steps % 64) {
            *last = (1 << rest) - 1;
        }
        Bits(words)
    }

    pub(crate) fn get(&self, step: usize) -> bool {
        self.0[step / 64] >> (step % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, step: usize) {
        self.0[step / 64] |= 1 << (step % 64);
    }

    pub(crate) fn clear(&mut self, step: usize) {
        self.0[step / 64] &= !(1 << (step % 64));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn overlaps(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).any(|(left, right)| left & right != 0)
    }

    /// Keeps the steps that `other` has too.
    pub(crate) fn intersect(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(left, right)| *left &= right);
    }

    /// Keeps the steps that `other` lacks.
    pub(crate) fn subtract(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(left, right)| *left &= !right);
    }

    /// Adds the steps of `other`.
    pub(crate) fn unite(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(left, right)| *left |= right);
    }

    /// The steps, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest.checked_sub(1)?;
                Some(index * 64 + bit)
            })
        })
    }
}

/// The value of one step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// One series' values: `values[i]` counts where `present` has `i`; where the side column has a histogram, that is the
/// value instead. The side column exists only in rows that hold a histogram, or once did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    values: SmallVec<[f64; 1]>,
    present: Bits,
    histograms: Option<Box<[Option<Arc<Histogram>>]>>,
}

impl Row {
    /// No value at any of `steps`.
    pub(crate) fn absent(steps: usize) -> Self {
        Row { values: smallvec![0.0; steps], present: Bits::none(steps), histograms: None }
    }

    /// A float at every step.
    pub(crate) fn full(values: impl Into<SmallVec<[f64; 1]>>) -> Self {
        let values = values.into();
        Row { present: Bits::all(values.len()), values, histograms: None }
    }

    /// Floats at the steps of `present`.
    pub(crate) fn floats(values: impl Into<SmallVec<[f64; 1]>>, present: Bits) -> Self {
        Row { values: values.into(), present, histograms: None }
    }

    pub(crate) fn steps(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Whether each step has a float.
    pub(crate) fn is_full(&self) -> bool {
        self.histograms.is_none() && self.present.count() == self.values.len()
    }

    pub(crate) fn present(&self) -> &Bits {
        &self.present
    }

    pub(crate) fn has(&self, step: usize) -> bool {
        self.present.get(step)
    }

    /// Whether some step may hold a histogram.
    pub(crate) fn may_have_histograms(&self) -> bool {
        self.histograms.is_some()
    }

    /// The histogram at `step`, if that is what it holds.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.as_ref()?[step].as_ref()
    }

    /// The float at `step`, if that is what it holds.
    pub(crate) fn float(&self, step: usize) -> Option<f64> {
        (self.has(step) && self.histogram(step).is_none()).then(|| self.values[step])
    }

    pub(crate) fn cell(&self, step: usize) -> Option<Cell> {
        if !self.has(step) {
            return None;
        }
        Some(match self.histogram(step) {
            Some(histogram) => Cell::Histogram(Arc::clone(histogram)),
            None => Cell::Float(self.values[step]),
        })
    }

    /// Present steps with their values, rising.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, Cell)> + '_ {
        self.present.iter().filter_map(|step| Some((step, self.cell(step)?)))
    }

    /// The floats of all steps; those of absent and histogram steps mean nothing.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    pub(crate) fn present_mut(&mut self) -> &mut Bits {
        &mut self.present
    }

    pub(crate) fn set_float(&mut self, step: usize, value: f64) {
        self.values[step] = value;
        self.present.set(step);
        if let Some(histograms) = &mut self.histograms {
            histograms[step] = None;
        }
    }

    pub(crate) fn set_histogram(&mut self, step: usize, histogram: Arc<Histogram>) {
        let steps = self.values.len();
        self.histograms.get_or_insert_with(|| vec![None; steps].into())[step] = Some(histogram);
        self.values[step] = 0.0;
        self.present.set(step);
    }

    pub(crate) fn set(&mut self, step: usize, cell: Cell) {
        match cell {
            Cell::Float(value) => self.set_float(step, value),
            Cell::Histogram(histogram) => self.set_histogram(step, histogram),
        }
    }

    pub(crate) fn remove(&mut self, step: usize) {
        self.present.clear(step);
        if let Some(histograms) = &mut self.histograms {
            histograms[step] = None;
        }
    }

    /// Takes away the steps that hold histograms; says whether there was one.
    pub(crate) fn drop_histograms(&mut self) -> bool {
        let Some(histograms) = self.histograms.take() else { return false };
        let mut found = false;
        for step in histograms.iter().enumerate().filter(|(_, held)| held.is_some()).map(|(step, _)| step) {
            found |= self.present.get(step);
            self.present.clear(step);
        }
        found
    }

    /// Replaces each float; histogram steps stay as they are.
    pub(crate) fn map_floats(&mut self, f: impl Fn(f64) -> f64) {
        self.values.iter_mut().for_each(|value| *value = f(*value));
    }

    /// Takes over the steps of `other`. `false` if one is present in both.
    pub(crate) fn merge(&mut self, other: &Row) -> bool {
        if self.present.overlaps(&other.present) {
            return false;
        }
        for (step, cell) in other.cells() {
            self.set(step, cell);
        }
        true
    }

    /// How many bytes this takes.
    pub(crate) fn bytes(&self) -> u64 {
        let words = self.values.len() + self.values.len() / 64;
        // A histogram's weight in samples is its bytes over those of a sample.
        let histograms = match &self.histograms {
            Some(histograms) => histograms.iter().flatten().map(|held| 16 * histogram_samples(held)).sum(),
            None => 0,
        };
        (size_of::<Row>() + 8 * words) as u64 + histograms
    }

    /// How many samples this holds, as limits count them.
    pub(crate) fn samples(&self) -> u64 {
        let histograms: u64 = match &self.histograms {
            Some(histograms) => histograms.iter().flatten().map(|held| histogram_samples(held) - 1).sum(),
            None => 0,
        };
        self.present.count() as u64 + histograms
    }
}

/// What a histogram weighs in limits and statistics: its bytes over the 16 of a float sample, as Prometheus counts.
pub(crate) fn histogram_samples(histogram: &Histogram) -> u64 {
    const FIXED_BYTES: usize = 164;
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let floats = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
    (((FIXED_BYTES + 8 * spans + 8 * floats + 8) / 16) as u64).max(1)
}
