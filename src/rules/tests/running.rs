//! The door: start, reload and stop with real timers.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::model::{Labels, Span, Timestamp};
use crate::rules::status::{Health, RuleStatus};
use crate::rules::{Clock, Deps, Metrics, Rules, RulesError, Settings};
use crate::store::{Appended, MetricMetadata, SampleSink, SeriesBatch, StoreError};

use super::world::{Memory, Samples};

/// Far more than a tick takes; only a broken build waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store that tells of each write.
struct Telling(Arc<Samples>, Mutex<mpsc::Sender<Vec<String>>>);

impl SampleSink for Telling {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let names = batch.series.iter().map(|series| batch.naming.name(series.key).unwrap().labels.to_string());
        let names = names.collect();
        let appended = self.0.append(batch)?;
        // Nobody may listen any more.
        let _ = self.1.lock().send(names);
        Ok(appended)
    }

    fn append_metadata(&self, _: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn deps() -> (Deps, mpsc::Receiver<Vec<String>>) {
    let (tell, told) = mpsc::channel();
    let samples = Arc::new(Samples::default());
    let start = tokio::time::Instant::now();
    let clock: Clock = Arc::new(move || Timestamp::from_millis(1_700_000_000_000) + start.elapsed().into());
    samples.put(&Labels::from_pairs([("__name__", "x"), ("host", "a")]), clock(), 1.0);
    let read = samples.clone();
    let deps = Deps {
        query: Arc::new(move |expr, at, _| read.query(expr, at)),
        sink: Arc::new(Telling(samples, Mutex::new(tell))),
        journal: Arc::new(Memory::default()),
        clock,
        metrics: Metrics::default(),
        watermark: None,
    };
    (deps, told)
}

fn write(folder: &Path, rules: &str) {
    std::fs::write(folder.join("rules.yml"), format!("groups:\n- name: g\n  interval: 20ms\n  rules: {rules}\n"))
        .unwrap();
}

#[track_caller]
fn expect(told: &mpsc::Receiver<Vec<String>>, series: &str) {
    while !told.recv_timeout(PATIENCE).expect("the rules write").iter().any(|name| name == series) {}
}

#[test]
fn rules_run_reload_and_stop() {
    let (runtime, folder, (deps, told)) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap(), deps());
    write(folder.path(), "[{record: y, expr: x}, {alert: Up, expr: y, for: 1h}]");
    let settings = Settings { files: vec![folder.path().join("*.yml").display().to_string()], ..Settings::default() };
    let rules = Rules::start(settings, deps, runtime.handle()).unwrap();
    expect(&told, r#"y{host="a"}"#);
    expect(&told, r#"ALERTS{alertname="Up", alertstate="pending", host="a"}"#);
    expect(&told, r#"y{host="a"}"#);
    let groups = rules.groups();
    assert_eq!((groups.len(), groups[0].name.as_str(), groups[0].interval), (1, "g", Span::from_millis(20)));
    assert_eq!(groups[0].rules[0].health, Health::Ok);
    let since = groups[0].rules[1].alerting.as_ref().unwrap().alerts[0].active_at;

    write(folder.path(), "[{record: y}]");
    let refused = rules.reload(None).unwrap_err();
    assert!(matches!(&refused, RulesError::Files(problems) if problems.len() == 1), "{refused}");
    assert_eq!(rules.groups()[0].rules.len(), 2, "a bad file leaves the old rules");
    expect(&told, r#"y{host="a"}"#);

    write(folder.path(), "[{record: z, expr: x}, {alert: Up, expr: x, for: 1h}]");
    rules.reload(None).unwrap();
    expect(&told, r#"z{host="a"}"#);
    expect(&told, r#"z{host="a"}"#);
    let alerts = rules.groups()[0].rules[1].alerting.clone().unwrap().alerts;
    assert_eq!(alerts[0].active_at, since, "the alert is the one from before");

    rules.stop();
    while told.try_recv().is_ok() {}
    assert!(told.recv_timeout(Duration::from_millis(60)).is_err(), "nothing runs after the stop");
}

#[test]
fn a_wrong_file_keeps_rules_from_starting() {
    let (runtime, folder, (deps, _told)) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap(), deps());
    write(folder.path(), "[{record: y}]");
    let settings =
        Settings { files: vec![folder.path().join("rules.yml").display().to_string()], ..Settings::default() };
    let Err(refused) = Rules::start(settings, deps, runtime.handle()) else { panic!("the file is wrong") };
    let text = refused.to_string();
    assert!(text.starts_with("rule files:\n  ") && text.contains("rules.yml:4:11: rule \"y\" has no `expr`"), "{text}");
}
