//! The store through a view: every read gets the view's matchers beside its own, and only the common part of both
//! time ranges.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::Labels;
use crate::model::{METRIC_NAME, Matcher, TimeRange};
use crate::store::{ExemplarSeries, LaneView, MetricMetadata, SampleSource, SeriesSet, StoreError, Wanted};

use super::caller::View;

/// A store of which only a part is seen.
pub struct ScopedSource {
    whole: Arc<dyn SampleSource>,
    view: View,
}

impl ScopedSource {
    /// The part of `whole` that lies inside `view`.
    pub fn new(whole: Arc<dyn SampleSource>, view: View) -> Self {
        ScopedSource { whole, view }
    }

    /// What is left of a wish; `None` where nothing is.
    fn narrowed(&self, matchers: &[Matcher], range: TimeRange) -> Option<(Vec<Matcher>, TimeRange)> {
        let range = self.view.range?.intersect(range)?;
        Some((self.and_own(matchers), range))
    }

    fn and_own(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        matchers.iter().chain(self.view.matchers.iter()).cloned().collect()
    }
}

impl SampleSource for ScopedSource {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        match self.narrowed(matchers, range) {
            Some((matchers, range)) => self.whole.select(&matchers, range),
            None => Ok(SeriesSet::default()),
        }
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        match self.narrowed(matchers, range) {
            Some((matchers, range)) => self.whole.series(&matchers, range),
            None => Ok(Vec::new()),
        }
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        match self.narrowed(matchers, range) {
            Some((matchers, range)) => self.whole.label_names(&matchers, range),
            None => Ok(Vec::new()),
        }
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        match self.narrowed(matchers, range) {
            Some((matchers, range)) => self.whole.label_values(name, &matchers, range),
            None => Ok(Vec::new()),
        }
    }

    /// Metadata belongs to metrics and not to series: what is seen is that of metrics with a series in the view. A
    /// histogram's or summary's is kept under its family's name, which none of its series carries.
    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        let seen: HashSet<String> = self.label_values(METRIC_NAME, &[], TimeRange::ALL)?.into_iter().collect();
        let is_seen = |family: &str| {
            const SUFFIXES: [&str; 8] = ["", "_bucket", "_sum", "_count", "_total", "_created", "_gsum", "_gcount"];
            SUFFIXES.iter().any(|suffix| seen.contains(&format!("{family}{suffix}")))
        };
        let mut found = self.whole.metadata(metric)?;
        found.retain(|(family, _)| is_seen(family));
        Ok(found)
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        let Some(range) = self.view.range.and_then(|own| own.intersect(range)) else { return Ok(Vec::new()) };
        let selectors: Vec<Vec<Matcher>> = selectors.iter().map(|matchers| self.and_own(matchers)).collect();
        self.whole.exemplars(&selectors, range)
    }

    fn with_lanes(&self, lanes: &LaneView) -> Option<Arc<dyn SampleSource>> {
        let whole = self.whole.with_lanes(lanes)?;
        Some(Arc::new(ScopedSource { whole, view: self.view.clone() }))
    }

    fn while_wanted(&self, wanted: &Wanted) -> Option<Arc<dyn SampleSource>> {
        let whole = self.whole.while_wanted(wanted)?;
        Some(Arc::new(ScopedSource { whole, view: self.view.clone() }))
    }
}
