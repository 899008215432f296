//! The one property of a scope: whoever asks whatever, under a token, is answered as by a store that holds nothing but
//! what the token may see.
//!
//! Two routers stand side by side: one over a whole store, asked with a token; one over a store that was filtered
//! beforehand, asked without. No sequence of paths and parameters may tell them apart.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use proptest::prelude::*;
use tower::ServiceExt;

use crate::access::{Right, Rights, Scope, TokenSpec};
use crate::model::{Column, Labels, METRIC_NAME, Matcher, Sample, Span, TimeRange, Timestamp};
use crate::store::{
    Exemplar, ExemplarSeries, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet, StoreError,
};

use super::world::{NOW, World};

/// A store of a few series with samples every 30 s for an hour.
struct Store {
    series: Vec<(Labels, Vec<Sample>)>,
}

struct Samples(Vec<Sample>);

impl ReadSamples for Samples {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        self.0.iter().for_each(|sample| into.push(*sample));
        Ok(())
    }
}

impl Store {
    fn whole() -> Self {
        let mut series = Vec::new();
        for (index, (metric, job, customer)) in [
            ("cpu", "a", "1"),
            ("cpu", "a", "2"),
            ("cpu", "b", "1"),
            ("mem", "a", "12"),
            ("mem", "", "2"),
            ("other", "c", ""),
        ]
        .into_iter()
        .enumerate()
        {
            let labels = [(METRIC_NAME, metric), ("job", job), ("customer", customer)];
            let labels = Labels::from_pairs(labels.into_iter().filter(|(_, value)| !value.is_empty()));
            let sample = |step: i64| Sample {
                at: Timestamp::from_millis(NOW - 3_600_000 + step * 30_000),
                value: (step * (index as i64 + 1)) as f64,
            };
            series.push((labels, (0..120).map(sample).collect()));
        }
        series.sort_by(|left, right| left.0.cmp(&right.0));
        Store { series }
    }

    /// What of it lies inside a scope, and nothing else.
    fn filtered(scope: &Scope) -> Self {
        let view = scope.view(Timestamp::from_millis(NOW)).expect("a scope that is none is not tested");
        let mut store = Store::whole();
        store.series.retain(|(labels, _)| view.shows(labels));
        for (_, samples) in &mut store.series {
            samples.retain(|sample| view.range.is_some_and(|range| range.contains(sample.at)));
        }
        store.series.retain(|(_, samples)| !samples.is_empty());
        store
    }

    fn found(&self, matchers: &[Matcher], range: TimeRange) -> impl Iterator<Item = (&Labels, Vec<Sample>)> {
        let matching = self.series.iter().filter(move |(labels, _)| Matcher::all_match(matchers, labels));
        let inside = move |samples: &[Sample]| -> Vec<Sample> {
            samples.iter().filter(|sample| range.contains(sample.at)).copied().collect()
        };
        matching.map(move |(labels, samples)| (labels, inside(samples))).filter(|(_, samples)| !samples.is_empty())
    }
}

impl SampleSource for Store {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let one = |(labels, samples): (&Labels, Vec<Sample>)| SelectedSeries {
            labels: labels.clone(),
            samples: Arc::new(Samples(samples)),
        };
        Ok(SeriesSet { series: self.found(matchers, range).map(one).collect(), ..SeriesSet::default() })
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Ok(self.found(matchers, range).map(|(labels, _)| labels.clone()).collect())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let names = self.found(matchers, range).flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_owned()));
        let names: std::collections::BTreeSet<String> = names.collect();
        Ok(names.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let values = self.found(matchers, range).filter_map(|(labels, _)| labels.get(name).map(str::to_owned));
        let values: std::collections::BTreeSet<String> = values.collect();
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        let names = self.label_values(METRIC_NAME, &[], TimeRange::ALL)?;
        let named = names.into_iter().filter(|name| metric.is_none_or(|metric| metric == name));
        Ok(named.map(|name| (name, vec![MetricMetadata::default()])).collect())
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        let wanted = |labels: &Labels| selectors.iter().any(|matchers| Matcher::all_match(matchers, labels));
        let exemplar = |sample: &Sample| Exemplar { labels: Labels::empty(), value: sample.value, at: sample.at };
        let found = self.found(&[], range).filter(|(labels, _)| wanted(labels));
        Ok(found
            .map(|(labels, samples)| ExemplarSeries {
                labels: labels.clone(),
                exemplars: samples.iter().take(2).map(exemplar).collect(),
            })
            .collect())
    }
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop::sample::select(vec!["job", "customer", METRIC_NAME, "missing"]);
    let value = prop::sample::select(vec!["a", "b", "1", "2", "12", "cpu", ""]);
    let pattern = prop::sample::select(vec!["a|b", "1.*", ".+", "cpu|mem", "|1"]);
    prop_oneof![
        (name.clone(), value.clone()).prop_map(|(name, value)| Matcher::equal(name, value)),
        (name.clone(), value).prop_map(|(name, value)| Matcher::not_equal(name, value)),
        (name.clone(), pattern.clone()).prop_map(|(name, text)| Matcher::regex(name, text).unwrap()),
        (name, pattern).prop_map(|(name, text)| Matcher::not_regex(name, text).unwrap()),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    let time = || prop::option::of((0i64..4_000).prop_map(|ago| Timestamp::from_millis(NOW - ago * 1000)));
    let age = prop::option::of((1i64..4_000).prop_map(Span::from_secs));
    (prop::collection::vec(matcher(), 1..3), time(), time(), age).prop_map(|(matchers, from, until, max_age)| {
        let until = until.filter(|until| from.is_none_or(|from| from <= *until));
        Scope { matchers: matchers.into(), from, until, max_age }
    })
}

/// A selector, plain or built to get around something.
fn selector() -> impl Strategy<Value = String> {
    let written = prop::collection::vec(matcher(), 1..3).prop_map(|matchers| {
        let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        format!("{{{}}}", texts.join(","))
    });
    let fixed = ["cpu", "mem", "{__name__=~\".+\"}", "cpu{customer=\"2\"}", "{customer=~\".*\",job!=\"\"}"];
    prop_oneof![written, prop::sample::select(fixed.to_vec()).prop_map(str::to_owned)]
}

fn request() -> impl Strategy<Value = String> {
    let query = (selector(), 0..10usize).prop_map(|(selector, form)| match form {
        0 => selector,
        1 => format!("count({selector})"),
        2 => format!("sum by (customer, job) (rate({selector}[5m]))"),
        3 => format!("{selector} or {{customer=\"1\"}}"),
        4 => format!("last_over_time({selector}[1h] offset 10m)"),
        5 => format!("{selector} @ end()"),
        6 => format!("max_over_time({selector}[30m:1m])"),
        7 => format!("absent({selector})"),
        8 => format!("label_replace({selector}, \"customer\", \"9\", \"\", \"\")"),
        _ => format!("topk(2, {selector}) * on() group_left() vector(1)"),
    });
    let ago = 0i64..5_000;
    let seconds = |ago: i64| NOW / 1000 - ago;
    let extra = prop::sample::select(vec![
        "",
        "&customer=2",
        "&extra_filters[]=%7Bcustomer%3D%222%22%7D",
        "&token=weir_x_y",
        "&replica=a&dedup=0",
        "&nocache=1&limit=3",
        "&lookback_delta=2h",
    ]);
    (query, selector(), ago, extra, 0..11usize).prop_map(move |(query, selector, ago, extra, form)| {
        let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let (query, selector, time) = (encode(&query), encode(&selector), seconds(ago));
        match form {
            0 | 1 => format!("/api/v1/query?query={query}&time={time}{extra}"),
            2 => format!("/api/v1/query_range?query={query}&start={time}&end={}&step=60{extra}", NOW / 1000),
            3 => format!("/api/v1/series?match[]={selector}&start={time}{extra}"),
            4 => format!("/prometheus/api/v1/labels?match[]={selector}{extra}"),
            5 => format!("/api/v1/label/customer/values?end={time}{extra}"),
            6 => format!("/api/v1/query_exemplars?query={query}{extra}"),
            7 => format!("/federate?match[]={selector}{extra}"),
            8 => format!("/api/v1/export?match[]={selector}&start={time}{extra}"),
            9 => format!("/api/v1/metadata?x=1{extra}"),
            _ => format!("/graph.svg?expr={query}&range=30m{extra}").replace("&token=weir_x_y", ""),
        }
    })
}

async fn ask(router: &Router, uri: &str, token: Option<&str>) -> (u16, Vec<u8>) {
    let mut request = Request::get(uri);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.expect("a router cannot fail");
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.expect("a body").to_bytes().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn a_token_sees_what_a_store_would_that_holds_nothing_else(
        scope in scope(),
        requests in prop::collection::vec(request(), 1..15),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let whole = World::over(Arc::new(Store::whole()));
            let filtered = World::over(Arc::new(Store::filtered(&scope)));
            let rights: Rights = [Right::Read].into_iter().collect();
            let spec = TokenSpec { name: "t".into(), rights, scope: scope.clone(), ..TokenSpec::default() };
            let now = Timestamp::from_millis(NOW);
            let (_, token) = whole.access.tokens().create(spec, "", now).expect("a scope that can be");
            for uri in requests {
                let (seen, kept) = (ask(&whole.router, &uri, Some(&token)).await, ask(&filtered.router, &uri, None).await);
                let text = |answer: &(u16, Vec<u8>)| String::from_utf8_lossy(&answer.1).into_owned();
                prop_assert_eq!(seen.0, kept.0, "{} {}", uri, text(&seen));
                prop_assert_eq!(text(&seen), text(&kept), "{}", uri);
            }
            Ok(())
        })?;
    }
}
