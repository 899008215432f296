//! Rules with the real engine: what real files ask can be answered, and what it answers is what they step by.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::model::{Column, Labels, Matcher, Sample, Span, TimeRange, Timestamp};
use crate::promql::{Engine, Settings};
use crate::rules::World;
use crate::rules::file;
use crate::rules::group::{Group, Inheritance};
use crate::rules::query_with;
use crate::rules::status::{Health, RuleState};
use crate::store::{ExemplarSeries, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet, StoreError};

use super::files::{real_files, real_rules};
use super::world::{Outside, Samples, defaults};

struct Rows(Vec<Sample>);

impl ReadSamples for Rows {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        self.0.iter().for_each(|sample| into.push(*sample));
        Ok(())
    }
}

impl SampleSource for Samples {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let mut found: std::collections::BTreeMap<Labels, Vec<Sample>> = Default::default();
        for (labels, at, value) in self.0.lock().iter() {
            if range.contains(*at) && Matcher::all_match(matchers, labels) {
                let rows = found.entry(labels.clone()).or_default();
                rows.retain(|row| row.at != *at);
                rows.push(Sample { at: *at, value: *value });
            }
        }
        let series = found.into_iter().map(|(labels, mut rows)| {
            rows.sort_by_key(|row| row.at);
            SelectedSeries { labels, samples: Arc::new(Rows(rows)) }
        });
        Ok(SeriesSet { series: series.collect(), ..SeriesSet::default() })
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Ok(self.select(matchers, range)?.series.into_iter().map(|series| series.labels).collect())
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(Vec::new())
    }

    fn exemplars(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        Ok(Vec::new())
    }
}

fn world(outside: &Outside, runtime: &Runtime) -> World {
    let engine = Arc::new(Engine::new(Settings { features: defaults().features, ..Settings::default() }));
    let (register, now) = (Arc::default(), outside.now.clone());
    let clock = Arc::new(move || *now.lock());
    let query =
        query_with(engine, outside.samples.clone(), Span::MINUTE, Arc::clone(&register), clock, runtime.handle());
    World { query, ..outside.world() }
}

fn rules(groups: &[Group]) -> Vec<RuleState> {
    groups.iter().map(Group::status).flat_map(|group| group.rules).collect()
}

#[test]
fn a_chain_of_rules_asks_the_engine() {
    let (runtime, outside) = (Runtime::new().unwrap(), Outside::default());
    let world = world(&outside, &runtime);
    let text = r#"
groups:
- name: g
  rules:
  - record: job:requests:rate2m
    expr: sum by (job) (rate(requests_total[2m]))
  - record: job:requests:share
    expr: job:requests:rate2m / scalar(sum(job:requests:rate2m))
  - alert: Unfair
    expr: job:requests:share > 0.5
    for: 1m
    annotations:
      summary: "{{ $labels.job }} takes {{ $value | humanizePercentage }} of
        {{ with query \"sum(job:requests:rate2m)\" }}{{ . | first | value }}{{ end }}/s"
"#;
    let file = file::parse("a.yml", text, &defaults()).unwrap();
    let mut groups = Group::of_files(&[file], Span::ZERO, Inheritance::default());
    for minute in 0..6_i64 {
        let at = Timestamp::EPOCH + Span::from_secs(60 * minute);
        for (job, rate) in [("a", 3.0), ("b", 1.0)] {
            let labels = Labels::from_pairs([("__name__", "requests_total"), ("job", job)]);
            outside.samples.put(&labels, at, rate * 60.0 * minute as f64);
        }
        groups.iter_mut().for_each(|group| group.tick(at, &world));
    }
    let rules = rules(&groups);
    assert!(rules.iter().all(|rule| rule.health == Health::Ok), "{rules:#?}");
    let alerts = &rules[2].alerting.as_ref().unwrap().alerts;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].annotations.get("summary"), Some("a takes 75% of 4/s"));
}

#[test]
fn real_rules_can_be_evaluated() {
    let Some(folder) = real_rules() else {
        eprintln!("SKIPPED: no shared/data/rules beside the repository");
        return;
    };
    let (runtime, outside) = (Runtime::new().unwrap(), Outside::default());
    let world = world(&outside, &runtime);
    let (mut evaluated, mut failed) = (0, Vec::new());
    for path in real_files(&folder).into_iter().filter(|path| !path.contains("bad") && !path.contains("rules3")) {
        let files = file::load(std::slice::from_ref(&path), &defaults()).unwrap();
        let mut groups = Group::of_files(&files, Span::ZERO, Inheritance::default());
        groups.iter_mut().for_each(|group| group.tick(Timestamp::from_millis(1_700_000_000_000), &world));
        for rule in rules(&groups) {
            evaluated += 1;
            if rule.health != Health::Ok {
                failed.push(format!("{path}: {}: {}", rule.name, rule.last_error));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {evaluated}\n{}", failed.len(), failed.join("\n"));
    assert!(evaluated > 700, "{evaluated} rules were evaluated");
}
