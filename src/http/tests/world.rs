//! A whole API over the real engine and fakes: a store in a `Vec`, a writer that remembers, rules as a test puts them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use tower::ServiceExt;

use crate::access::{self, Access, Tokens, system_chance};
use crate::http::*;
use crate::ingest::relabel::{RelabelConfig, Rewritten, steps};
use crate::ingest::wire::WireError;
use crate::ingest::{ImportFormat, ImportRequest, IngestError, WriteRequest, WriteVersion, Written};
use crate::model::{Column, Labels, LabelsBuilder, Matcher, Replica, Span, StepGrid, Stopwatch, TimeRange, Timestamp};
use crate::promql::register::Register;
use crate::promql::{Answer, EachSeries, Engine, Features, QueryError, QueryOptions};
use crate::rules::status::{GroupStatus, RuleStatus};
use crate::store::{
    Appended, Exemplar, ExemplarSeries, Journal, JournalChange, JournalEntry, MetricMetadata, ReadSamples, Refusals,
    Refused, SampleSource, SelectedSeries, SeriesName, SeriesSet, StoreError,
};

/// The time in this world, unless it is moved.
pub(super) const NOW: i64 = 1_795_363_200_000;

pub(in crate::http) struct World {
    pub(super) router: Router,
    pub(in crate::http) access: Arc<Access>,
    pub(super) headers: AnswerHeaders,
    pub(super) readiness: Arc<Readiness>,
    pub(super) engine: Arc<Watched>,
    pub(super) writer: Arc<Scribe>,
    pub(super) rules: Arc<Groups>,
    pub(super) deleted: Arc<Mutex<Vec<(String, TimeRange)>>>,
    pub(super) register: Arc<Register>,
}

/// What a test may want otherwise.
pub(super) struct Wish {
    pub(super) admin: bool,
    pub(super) ready: bool,
    pub(super) settings: Settings,
    pub(super) reload: Result<(), String>,
}

impl Default for Wish {
    fn default() -> Self {
        Wish { admin: true, ready: true, settings: Settings::default(), reload: Ok(()) }
    }
}

impl World {
    pub(in crate::http) fn new() -> Self {
        World::wished(Wish::default())
    }

    /// A world over another store.
    pub(super) fn over(source: Arc<dyn SampleSource>) -> Self {
        World::built(Wish::default(), source)
    }

    pub(super) fn wished(wish: Wish) -> Self {
        World::built(wish, Arc::new(Shelf))
    }

    fn built(wish: Wish, source: Arc<dyn SampleSource>) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let readiness = Arc::new(Readiness::default());
        if wish.ready {
            readiness.enter(Phase::Ready);
        }
        let (engine, writer) = (Arc::new(Watched::default()), Arc::new(Scribe::default()));
        let (rules, deleted) = (Arc::new(Groups::default()), Arc::default());
        let register = Arc::<Register>::default();
        let tokens = Tokens::open(Arc::new(Notes::default()), system_chance()).expect("no tokens yet");
        let access = Arc::new(Access::new(tokens, access::Settings::default()));
        let headers = AnswerHeaders::default();
        let services = Services {
            source,
            access: Arc::clone(&access),
            headers: Arc::clone(&headers),
            relabeling: Arc::new(Rewriter),
            queries: engine.clone(),
            register: Arc::clone(&register),
            features: Features::default(),
            writer: writer.clone(),
            rules: rules.clone(),
            storage: Arc::new(Shelf),
            pairs: Arc::new(Shelf),
            admin: wish.admin.then(|| Arc::new(Eraser(Arc::clone(&deleted))) as Arc<dyn Admin>),
            readiness: readiness.clone(),
            registry: Arc::new(registry),
            metrics,
            build: BuildInfo { version: "0.1.0".into(), revision: "abc".into(), ..BuildInfo::default() },
            started_at: Timestamp::from_millis(NOW - 3_600_000),
            reload: Arc::new(move || wish.reload.clone()),
            config: Arc::new(|| ConfigStatus { yaml: "listen: x\n".into(), ..ConfigStatus::default() }),
            flags: BTreeMap::from([("listen".to_owned(), "0.0.0.0:8488".to_owned())]),
            clock: Arc::new(|| Timestamp::from_millis(NOW)),
            stopwatch: ticking(),
        };
        let router = router(services, wish.settings);
        World { router, access, headers, readiness, engine, writer, rules, deleted, register }
    }

    pub(in crate::http) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("a router cannot fail")
    }

    /// Status and body of a request without a body.
    pub(super) async fn ask(&self, method: Method, uri: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).expect("a request");
        read(self.send(request).await).await
    }

    pub(in crate::http) async fn get(&self, uri: &str) -> (u16, String) {
        self.ask(Method::GET, uri).await
    }

    pub(in crate::http) async fn post_form(&self, uri: &str, form: &str) -> (u16, String) {
        let request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .expect("a request");
        read(self.send(request).await).await
    }

    /// The data of a successful answer has at least the fields of `wanted`, with these values.
    pub(super) async fn check_part(&self, path: &str, wanted: &str) {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        let found: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let wanted: serde_json::Value = serde_json::from_str(wanted).expect("JSON");
        assert!(covers(&found["data"], &wanted), "{path}:\n{body}\nhas not all of\n{wanted}");
    }

    /// The answer must be a success with exactly this data.
    #[track_caller]
    pub(super) fn check(&self, uri: &str, data: &str) -> impl Future<Output = ()> + use<> {
        let (router, caller, uri) = (self.router.clone(), std::panic::Location::caller(), uri.to_owned());
        let expected = format!(r#"{{"status":"success","data":{data}}}"#);
        async move {
            let request = Request::get(&uri).body(Body::empty()).expect("a request");
            let (status, body) = read(router.oneshot(request).await.expect("a router cannot fail")).await;
            assert_eq!((status, body.as_str()), (200, expected.as_str()), "{uri}, asked at {caller}");
        }
    }

    /// The answer must be an error with this status, type and text.
    #[track_caller]
    pub(super) fn refuse(&self, uri: &str, status: u16, kind: &str, text: &str) -> impl Future<Output = ()> + use<> {
        let (router, caller, uri) = (self.router.clone(), std::panic::Location::caller(), uri.to_owned());
        let expected = serde_json::json!({"status": "error", "errorType": kind, "error": text});
        async move {
            let request = Request::get(&uri).body(Body::empty()).expect("a request");
            let (found, body) = read(router.oneshot(request).await.expect("a router cannot fail")).await;
            let body: serde_json::Value = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
            assert_eq!((found, body), (status, expected), "{uri}, asked at {caller}");
        }
    }
}

/// A stopwatch that goes on by a millisecond with each look.
fn ticking() -> Stopwatch {
    let looks = AtomicU64::new(0);
    Stopwatch(Arc::new(move || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed))))
}

pub(super) async fn read(response: Response<Body>) -> (u16, String) {
    let status: StatusCode = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status.as_u16(), String::from_utf8(body.to_vec()).expect("text"))
}

/// A store with three series.
pub(super) struct Shelf;

pub(super) fn shelved() -> Vec<Labels> {
    vec![
        Labels::from_pairs([("__name__", "down"), ("http.status", "200")]),
        Labels::from_pairs([("__name__", "up"), ("job", "a")]),
        Labels::from_pairs([("__name__", "up"), ("job", "b")]),
    ]
}

impl SampleSource for Shelf {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let samples: Arc<dyn ReadSamples> = Arc::new(Ones(range));
        let labels = self.series(matchers, range)?.into_iter();
        let series = labels.map(|labels| SelectedSeries { labels, samples: Arc::clone(&samples) }).collect();
        Ok(SeriesSet { series, ..SeriesSet::default() })
    }

    fn series(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<Labels>, StoreError> {
        if matchers.iter().any(|matcher| matcher.name == "damaged") {
            return Err(StoreError::Catalogue("torn page".into()));
        }
        if matchers.iter().any(|matcher| matcher.matches("stuck") && !matcher.matches("")) {
            // Longer than any deadline in these tests, and than what is waited for beyond it.
            std::thread::park_timeout(Duration::from_secs(3));
        }
        Ok(shelved().into_iter().filter(|labels| Matcher::all_match(matchers, labels)).collect())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let series = self.series(matchers, range)?;
        let mut names: Vec<_> = series.iter().flat_map(|one| one.iter().map(|(name, _)| name.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let series = self.series(matchers, range)?;
        let mut values: Vec<_> = series.iter().filter_map(|labels| labels.get(name).map(str::to_owned)).collect();
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        let gauge = |help: &str| MetricMetadata { kind: "gauge".into(), help: help.into(), unit: String::new() };
        let all = vec![("down".to_owned(), vec![gauge("d")]), ("up".to_owned(), vec![gauge("u"), gauge("v")])];
        Ok(all.into_iter().filter(|(name, _)| metric.is_none_or(|metric| metric == name)).collect())
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        let at = Timestamp::from_millis(1_500);
        let wanted = |labels: &Labels| selectors.iter().any(|matchers| Matcher::all_match(matchers, labels));
        let labels = shelved().into_iter().filter(|labels| range.contains(at) && wanted(labels));
        let exemplar = || Exemplar { labels: Labels::from_pairs([("trace_id", "t1")]), value: 0.5, at };
        Ok(labels.map(|labels| ExemplarSeries { labels, exemplars: vec![exemplar()] }).collect())
    }
}

/// The value 1 every half second.
struct Ones(TimeRange);

impl ReadSamples for Ones {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        let first = self.0.start().as_millis().div_euclid(500) * 500;
        let all = (first..=self.0.end().as_millis()).step_by(500).map(Timestamp::from_millis);
        *into = Column { at: all.filter(|at| self.0.contains(*at)).collect(), ..Column::default() };
        into.values = vec![1.0; into.at.len()];
        Ok(())
    }
}

impl StorageStatus for Shelf {
    fn cardinality(&self, wish: &CardinalityWish) -> Result<Cardinality, StoreError> {
        if wish.focus.is_some() {
            return Ok(Cardinality::of(&shelved(), None, wish));
        }
        Ok(Cardinality {
            series: 3,
            label_pairs: 5,
            chunks: 3,
            series_by_metric: vec![("up".into(), 2), ("down".into(), 1)],
            ..Cardinality::default()
        })
    }

    fn report(&self) -> StorageReport {
        let parts = PartsReport { parts: 2, samples: 10, bytes: 300 };
        StorageReport {
            free_bytes: 1_000,
            series: 3,
            head: (5, 800),
            log: (1, 64),
            parts,
            levels: vec![("spilled".into(), parts)],
            days: vec![("2026-11-22".into(), parts)],
            refused_series: vec![("http_requests_total".into(), 3)],
            damages: vec!["a.part: a wrong checksum at byte 16".into()],
            ..StorageReport::default()
        }
    }

    fn retention(&self) -> String {
        "90d".into()
    }
}

/// The real engine, but for a few texts that stand for what is hard to bring about; remembers what it was asked.
#[derive(Default)]
pub(super) struct Watched {
    engine: Engine,
    pub(super) asked: Mutex<Vec<Asked>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
    pub(super) lookback: Option<Span>,
}

impl Watched {
    pub(super) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().expect("something was asked")
    }

    fn watch(&self, text: &str, grid: StepGrid, options: &QueryOptions) -> Result<(), QueryError> {
        self.asked.lock().unwrap().push(Asked {
            text: text.to_owned(),
            start: grid.start().as_millis(),
            end: grid.end().as_millis(),
            step: grid.step().as_millis(),
            lookback: options.lookback,
        });
        match text {
            "slow" => loop {
                options.interrupt.check()?;
                std::thread::yield_now();
            },
            "bug" => panic!("a bug in the engine"),
            "busy" => Err(QueryError::Store(StoreError::Overloaded("too many readers".into()))),
            _ => Ok(()),
        }
    }
}

impl Queries for Watched {
    fn instant(
        &self,
        source: &dyn SampleSource,
        text: &str,
        at: Timestamp,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        self.watch(text, StepGrid::instant(at), options)?;
        self.engine.instant(source, text, at, options)
    }

    fn range(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        self.watch(text, grid, options)?;
        self.engine.range(source, text, grid, options)
    }

    fn range_each(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError> {
        self.watch(text, grid, options)?;
        self.engine.range_each(source, text, grid, options, each)
    }
}

/// Takes writes; the body says what shall become of them.
#[derive(Default)]
pub(super) struct Scribe {
    pub(super) taken: Mutex<Vec<Taken>>,
    pub(super) imported: Mutex<Vec<Imported>>,
}

/// What a write came with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) body: Vec<u8>,
    pub(super) encoding: String,
    pub(super) replica: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) received_at: i64,
}

/// What an import came as.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Imported {
    pub(super) format: ImportFormat,
    pub(super) extra: Vec<(String, String)>,
}

impl Writer for Scribe {
    fn write(&self, request: &WriteRequest<'_>) -> Result<Written, IngestError> {
        let two = request.content_type.is_some_and(|kind| kind.contains("v2"));
        self.taken.lock().unwrap().push(Taken {
            body: request.body.to_vec(),
            encoding: request.content_encoding.unwrap_or("").to_owned(),
            replica: request.replica.unwrap_or("").to_owned(),
            labels: request.labels.to_vec(),
            received_at: request.received_at.as_millis(),
        });
        let refusals = Scribe::become_of(request.body)?;
        let appended = Appended { samples: 5, histograms: 1, exemplars: 2, refusals, ..Appended::default() };
        let replica = request.replica.map(|name| Replica { cluster: "eu1".to_owned(), name: name.to_owned() });
        let first = SeriesName { labels: Labels::from_pairs([("__name__", "up")]), replica };
        Ok(Written { appended, version: if two { WriteVersion::V2 } else { WriteVersion::V1 }, first: Some(first) })
    }

    fn import(&self, request: &ImportRequest<'_>) -> Result<Appended, IngestError> {
        let (format, extra) = (request.format.clone(), request.extra.to_vec());
        self.imported.lock().unwrap().push(Imported { format, extra });
        Ok(Appended { samples: 5, refusals: Scribe::become_of(request.body)?, ..Appended::default() })
    }
}

impl Scribe {
    /// What became of a body, by what it says; imports share it.
    fn become_of(body: &[u8]) -> Result<Refusals, IngestError> {
        let mut refusals = Refusals::default();
        match body {
            b"broken" => return Err(WireError::Empty.into()),
            b"bomb" => return Err(IngestError::TooLarge(8)),
            b"png" => return Err(IngestError::Unsupported("content type image/png".into())),
            b"disk full" => return Err(StoreError::ReadOnly("no space left".into()).into()),
            b"some old" => {
                let at = Some(Timestamp::from_millis(1_500));
                refusals.add(&Refused::TooOld, 2, || ("up{job=\"a\"}".into(), at));
                refusals.add(&Refused::NoMetricName, 1, || ("{}".into(), None));
            }
            b"relabeled" => refusals.add(&Refused::Relabeled, 7, || unreachable!("no fault, no name")),
            _ => {}
        }
        Ok(refusals)
    }
}

/// A journal in memory.
#[derive(Default)]
struct Notes(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Journal for Notes {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => kept.insert(key.clone(), value.clone()),
                None => kept.remove(key),
            };
        }
        Ok(())
    }

    fn scan(&self, _: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.0.lock().unwrap().clone().into_iter().collect())
    }
}

/// Relabeling without YAML: one rule that drops a label.
struct Rewriter;

impl Relabeling for Rewriter {
    fn rules(&self, yaml: Option<&str>) -> Result<Vec<RelabelConfig>, String> {
        let labeldrop = RelabelConfig { action: "labeldrop".into(), regex: "pod".into(), ..RelabelConfig::default() };
        match yaml {
            Some("broken") => Err("relabel_configs:1:1: a list is expected".into()),
            _ => Ok(vec![labeldrop]),
        }
    }

    fn rewrite(&self, rules: &[RelabelConfig], labels: &[(String, String)]) -> Result<Rewritten, String> {
        let mut builder = LabelsBuilder::default();
        labels.iter().for_each(|(name, value)| builder.push(name.as_str(), value.as_str()));
        let steps = steps(rules, &mut builder)?;
        Ok(Rewritten { steps, stored: Ok(builder.pairs().to_vec()), replica: None })
    }
}

/// Rule groups as a test puts them.
#[derive(Default)]
pub(super) struct Groups(pub(super) Mutex<Vec<GroupStatus>>);

impl RuleStatus for Groups {
    fn groups(&self) -> Vec<GroupStatus> {
        self.0.lock().unwrap().clone()
    }

    fn notifiers(&self) -> Vec<String> {
        vec!["http://am:9093/api/v2/alerts".into()]
    }
}

/// Remembers what was deleted.
struct Eraser(Arc<Mutex<Vec<(String, TimeRange)>>>);

impl Admin for Eraser {
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        let text = matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        self.0.lock().unwrap().push((text, range));
        Ok(())
    }

    fn clean_tombstones(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, StoreError> {
        Ok(format!("20261122T160000Z-{skip_head}"))
    }
}

impl crate::store::pairs::Pairs for Shelf {
    fn labels(&self) -> crate::store::pairs::PairLabels {
        crate::store::pairs::PairLabels::default()
    }

    fn groups(&self, _: Timestamp) -> Result<Vec<crate::store::pairs::PairGroup>, StoreError> {
        Ok(Vec::new())
    }

    fn explain(
        &self,
        _: &[Matcher],
        _: TimeRange,
        _: usize,
    ) -> Result<(Vec<crate::store::pairs::ExplainedSeries>, bool), StoreError> {
        Ok((Vec::new(), false))
    }

    fn prefer(&self, cluster: &str, _: &[String], _: Timestamp) -> Result<(), crate::store::pairs::PreferError> {
        Err(crate::store::pairs::PreferError::Refused(format!("no group {cluster:?} is known")))
    }
}

/// `text` as a value of a form.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Whether `found` has all that `wanted` has: fields of objects, each element of arrays.
fn covers(found: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object};
    match (found, wanted) {
        (Object(found), Object(wanted)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value)))
        }
        (Array(found), Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| covers(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}
