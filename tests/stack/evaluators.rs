//! Two Weirs that evaluate the same rules on the same data: one series in each store, one alert at Alertmanager; and
//! what one of them misses is there all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::door::{request, series, try_push};
use crate::receiver::now;
use crate::world::{Api, Program, Stack, eventually, pause, tools, weir};

const RULES: &str = "groups:
- name: load
  interval: 1s
  rules:
  - {record: 'cluster:x:sum', expr: sum by (cluster) (x)}
  - {alert: Loaded, expr: 'cluster:x:sum > 1', for: 3s, labels: {severity: page}}
";

/// One of two, as a configuration management would set it up: folders, names and URLs differ, rules do not.
struct Evaluator {
    name: &'static str,
    port: u16,
    config: String,
}

impl Evaluator {
    fn new(stack: &Stack, name: &'static str, port: u16, peer: u16) -> Self {
        let alertmanager = stack.alertmanager;
        let config = format!(
            "rules:\n  external_labels: {{region: eu, __replica__: {name}}}\n  peers: [http://127.0.0.1:{peer}]\n\
             notifiers: [http://127.0.0.1:{alertmanager}]\n"
        );
        Evaluator { name, port, config }
    }

    fn api(&self) -> Api {
        Api::new(self.port)
    }

    async fn start(&self, stack: &Stack) -> Program {
        weir(&stack.folder.path().join(self.name), self.port, &self.config, RULES).await
    }

    /// The recorded series from `start` to `end`, raw: seconds and value.
    async fn recorded(&self, start: f64, end: f64) -> Vec<(f64, f64)> {
        let range = format!("cluster:x:sum[{}s]", (end - start).ceil());
        let found = self.api().query(&range, Some(end)).await;
        assert!(found.len() <= 1, "{}: one series: {found:?}", self.name);
        let rows = found.first().and_then(|series| series["values"].as_array().cloned()).unwrap_or_default();
        let number = |value: &Value| value.as_str().expect("a value").parse::<f64>().expect("a number");
        rows.iter().map(|row| (row[0].as_f64().expect("a time"), number(&row[1]))).collect()
    }
}

#[tokio::test]
async fn two_evaluators_give_one_series_and_one_alert() {
    let Some(tools) = tools() else { return };
    let stack = Stack::new(tools, "1s");
    let alertmanager = Api::new(stack.alertmanager);
    let _alertmanager = stack.start_alertmanager();
    let ports = [stack.weir, crate::world::free_port()];
    let one = Evaluator::new(&stack, "weir-a", ports[0], ports[1]);
    let other = Evaluator::new(&stack, "weir-b", ports[1], ports[0]);
    let first = one.start(&stack).await;
    let _second = other.start(&stack).await;
    let began = now();
    let feeding = tokio::spawn(feed([one.api(), other.api()]));

    eventually("Alertmanager has the alert", Duration::from_secs(40), async || {
        (told(&alertmanager).await == 1).then_some(())
    })
    .await;
    pause(Duration::from_secs(5)).await;
    assert_eq!(told(&alertmanager).await, 1, "one alert");

    // One of them is away for a while; the other goes on, for both.
    let away = now();
    first.kill();
    pause(Duration::from_secs(8)).await;
    let _first = one.start(&stack).await;
    let back = now();
    pause(Duration::from_secs(12)).await;
    assert_eq!(told(&alertmanager).await, 1, "it was never another one");
    let end = now();
    feeding.abort();

    let mut seen = Vec::new();
    for weir in [&one, &other] {
        let rows = weir.recorded(began, end - 3.0).await;
        assert!(rows.iter().all(|(_, value)| *value == 3.0), "{}: the sum of all: {rows:?}", weir.name);
        let steps: Vec<f64> = rows.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(steps.iter().all(|step| (step - 1.0).abs() < 0.01), "{}: one sample a tick: {rows:?}", weir.name);
        assert!(rows.iter().filter(|(at, _)| (away..back).contains(at)).count() >= 7, "{}: no hole", weir.name);
        for state in ["ALERTS{alertstate=\"firing\"}", "ALERTS_FOR_STATE"] {
            assert_eq!(weir.api().query(state, Some(end)).await.len(), 1, "{}: {state}", weir.name);
        }
        let lanes = weir.api().data("/api/v1/query", &[("query", "cluster:x:sum"), ("dedup", "false")]).await;
        assert_eq!(lanes["result"].as_array().map(Vec::len), Some(2), "{}: both lanes are there: {lanes}", weir.name);
        seen.push(rows.into_iter().map(|(at, value)| ((at * 1000.0) as i64, value as i64)).collect::<BTreeMap<_, _>>());
    }
    let (ours, theirs) = (&seen[0], &seen[1]);
    let differing = ours.iter().filter(|(at, value)| theirs.get(at) != Some(value)).count();
    assert!(differing <= 1, "both answer the same: {ours:?} {theirs:?}");
    let text = alertmanager.try_get("/api/v2/alerts", &[]).await.expect("Alertmanager answers").to_string();
    assert!(text.contains(r#""region":"eu""#) && !text.contains("__replica__"), "{text}");
}

/// Two replicas of Prometheus send to both, every second, again and again until it is taken.
async fn feed(weirs: [Api; 2]) {
    let mut waiting: [Vec<f64>; 2] = Default::default();
    loop {
        let at = (now() * 1000.0).round() / 1000.0;
        for (api, waiting) in weirs.iter().zip(&mut waiting) {
            waiting.push(at);
            let rows: Vec<(f64, f64)> = waiting.iter().map(|at| (*at, 1.0)).collect();
            let mut all = Vec::new();
            for (replica, host) in ["a", "b"].iter().flat_map(|replica| ["1", "2", "3"].map(|host| (replica, host))) {
                let labels = [("__name__", "x"), ("__replica__", replica), ("cluster", "dc1"), ("host", host)];
                all.push(series(&labels, &rows));
            }
            if try_push(api, &request(all)).await {
                waiting.clear();
            }
        }
        pause(Duration::from_millis(500)).await;
    }
}

/// How many alerts of ours Alertmanager has, resolved or not.
async fn told(alertmanager: &Api) -> usize {
    let alerts = alertmanager.try_get("/api/v2/alerts", &[]).await.unwrap_or_default();
    let ours = |alert: &&Value| alert["labels"]["alertname"] == "Loaded";
    alerts.as_array().map_or(0, |alerts| alerts.iter().filter(ours).count())
}
