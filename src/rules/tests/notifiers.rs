//! Delivery: what an Alertmanager hears, and what happens while it does not listen.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::model::{Labels, Span, Timestamp};
use crate::rules::Metrics;
use crate::rules::journal::RuleIdentity;
use crate::rules::metrics::NotifierMetrics;
use crate::rules::notify::config::{Access, NotifierFile, NotifierSet, Secret, Source};
use crate::rules::notify::{AlertKey, Message, Notifiers, Queue, Settings, payload};

use super::server::{Reply, Server};

fn rule() -> Arc<RuleIdentity> {
    let (group, rule, labels) = ("group".to_owned(), "Down".to_owned(), Labels::empty());
    Arc::new(RuleIdentity { group, rule, labels, among_equals: 0 })
}

pub(super) fn message(host: &str, said_at: i64) -> Message {
    let labels = Labels::from_pairs([("alertname", "Down"), ("host", host)]);
    let at = Timestamp::from_millis(1_700_000_000_000) + Span::from_secs(said_at);
    Message {
        key: Arc::new(AlertKey { rule: rule(), labels: labels.clone() }),
        said_at: at,
        labels,
        annotations: Labels::from_pairs([("summary", "\"a\" is down")]),
        starts_at: at,
        ends_at: at + Span::from_secs(240),
        generator_url: "http://weir.test/graph?g0.expr=up+%3D%3D+0&g0.tab=1".to_owned(),
        headers: [].into(),
    }
}

#[test]
fn the_payload_is_what_api_v2_expects() {
    let wanted = concat!(
        r#"[{"annotations":{"summary":"\"a\" is down"},"endsAt":"2023-11-14T22:17:20.000Z","#,
        r#""startsAt":"2023-11-14T22:13:20.000Z","generatorURL":"http://weir.test/graph?g0.expr=up+%3D%3D+0&g0.tab=1","#,
        r#""labels":{"alertname":"Down","host":"a"}}]"#
    );
    assert_eq!(String::from_utf8(payload(&[message("a", 0)])).unwrap(), wanted);
}

#[test]
fn a_queue_keeps_the_latest_news_of_each_alert() {
    let hosts = |messages: &[Message]| {
        let told = messages.iter().map(|message| (message.labels.get("host").unwrap().to_owned(), message.said_at));
        told.map(|(host, at)| format!("{host}{}", (at.as_millis() - 1_700_000_000_000) / 1000)).collect::<Vec<_>>()
    };
    let queue = Queue::new(3, NotifierMetrics::default());
    queue.push(&[message("a", 0), message("b", 0), message("a", 1)]);
    assert_eq!(hosts(&queue.take(1)), ["a1"], "in the place of the older");
    queue.push(&[message("c", 0), message("d", 0), message("e", 0)]);
    assert_eq!((queue.len(), queue.dropped()), (3, 1), "the oldest is dropped");
    let taken = queue.take(2);
    assert_eq!(hosts(&taken), ["c0", "d0"]);
    queue.push(&[message("d", 2)]);
    queue.put_back(taken);
    assert_eq!(hosts(&queue.take(9)), ["c0", "e0", "d2"], "what came meanwhile is newer");
}

type Bodies = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

#[test]
fn a_batch_has_its_headers_in_common() {
    let queue = Queue::new(9, NotifierMetrics::default());
    let with = |host: &str, scope: &str| Message {
        headers: [("X-Scope".to_owned(), scope.to_owned())].into(),
        ..message(host, 0)
    };
    queue.push(&[with("a", "1"), with("b", "2"), with("c", "1"), with("d", "2"), with("e", "1")]);
    let hosts = || {
        let taken = queue.take(2);
        taken.iter().map(|message| message.labels.get("host").unwrap().to_owned()).collect::<String>()
    };
    assert_eq!([hosts(), hosts(), hosts(), hosts()], ["ac", "bd", "e", ""]);
}

/// An Alertmanager that answers each request with the next of `statuses`, then 200, and keeps the bodies.
fn alertmanager(runtime: &Runtime, statuses: Vec<u16>, heard: Bodies) -> String {
    let statuses = Mutex::new(statuses.into_iter());
    let server = Server::start(runtime, None, move |request| {
        let status = statuses.lock().next().unwrap_or(200);
        heard.lock().push((format!("{} HTTP/1.1 {status}", request.line), request.json()));
        Reply::Say(status, "{}".to_owned())
    });
    format!("{}/prefix/", server.url())
}

pub(super) fn settings(urls: Vec<String>) -> Settings {
    let soon = Span::from_millis(5);
    Settings {
        urls,
        batch_max: 2,
        backoff_min: soon,
        backoff_max: soon,
        drain: Span::from_secs(2),
        ..Settings::default()
    }
}

#[test]
fn alerts_are_delivered_in_batches_and_again_after_a_failure() {
    let runtime = Runtime::new().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let url = alertmanager(&runtime, vec![503, 200, 400], heard.clone());
    let notifiers = Notifiers::start(&settings(vec![url]), &Metrics::default(), runtime.handle()).unwrap();
    notifiers.enqueue(&[message("a", 0), message("b", 0), message("c", 0), message("d", 0), message("e", 0)]);
    notifiers.stop();
    let heard: Vec<(String, usize)> =
        heard.lock().iter().map(|(line, body)| (line.clone(), body.as_array().unwrap().len())).collect();
    let line = |status: &str| format!("POST /prefix/api/v2/alerts HTTP/1.1 {status}");
    assert_eq!(heard, [(line("503"), 2), (line("200"), 2), (line("400"), 2), (line("200"), 1)]);
    let mut delivered: Vec<String> =
        notifiers.receipts().take(&rule()).keys().map(|labels| labels.get("host").unwrap().to_owned()).collect();
    delivered.sort();
    assert_eq!(delivered, ["a", "b", "e"], "what was refused does not count as sent");
}

#[test]
fn a_dead_alertmanager_does_not_delay_another() {
    let runtime = Runtime::new().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let alive = alertmanager(&runtime, vec![], heard.clone());
    let dead = "http://127.0.0.1:1".to_owned();
    let patient = Settings { drain: Span::from_millis(200), ..settings(vec![dead, alive]) };
    let notifiers = Notifiers::start(&patient, &Metrics::default(), runtime.handle()).unwrap();
    notifiers.enqueue(&[message("a", 0)]);
    notifiers.stop();
    assert_eq!(heard.lock().len(), 1);
    assert_eq!(notifiers.receipts().take(&rule()).len(), 1);
}

#[test]
fn a_url_that_is_none_is_refused() {
    let runtime = Runtime::new().unwrap();
    for url in ["alertmanager:9093", "not a url", "ftp://a"] {
        assert!(
            Notifiers::start(&settings(vec![url.to_owned()]), &Metrics::default(), runtime.handle()).is_err(),
            "{url}"
        );
    }
}

/// Waits until so many notifiers are known; only a broken build waits for long.
fn await_notifiers(runtime: &Runtime, notifiers: &Notifiers, count: usize) {
    for _ in 0..2_000 {
        if notifiers.states().len() == count {
            return;
        }
        runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(5)).await });
    }
    panic!("{count} notifiers are found: {:?}", notifiers.states());
}

#[test]
fn notifiers_are_found_in_files_and_forgotten_again() {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let url = alertmanager(&runtime, vec![], heard.clone());
    let file = folder.path().join("am.json");
    let write =
        |targets: &[&str]| std::fs::write(&file, serde_json::json!([{ "targets": targets }]).to_string()).unwrap();
    write(&[&url]);
    let set = NotifierSet {
        sources: vec![Source::Files(vec![file.display().to_string()], Span::from_millis(10))],
        scheme: "http".to_owned(),
        access: Access { basic: Some(("a".to_owned(), Secret::Text("b".to_owned()))), ..Access::default() },
        ..NotifierSet::default()
    };
    let settings = Settings { file: NotifierFile { sets: vec![set], ..NotifierFile::default() }, ..settings(vec![]) };
    let notifiers = Notifiers::start(&settings, &Metrics::default(), runtime.handle()).unwrap();
    await_notifiers(&runtime, &notifiers, 1);
    let state = notifiers.states().remove(0);
    assert_eq!((state.kind.as_str(), state.url), ("file", format!("{url}api/v2/alerts")));
    notifiers.enqueue(&[message("a", 0)]);
    write(&[]);
    await_notifiers(&runtime, &notifiers, 0);
    write(&[&url, "http://127.0.0.1:1"]);
    await_notifiers(&runtime, &notifiers, 2);
    write(&[&url]);
    await_notifiers(&runtime, &notifiers, 1);
    notifiers.enqueue(&[message("b", 0)]);
    notifiers.stop();
    let lines: Vec<String> = heard.lock().iter().map(|(line, _)| line.clone()).collect();
    assert_eq!(lines, vec!["POST /prefix/api/v2/alerts HTTP/1.1 200".to_owned(); 2], "what waited was delivered");
}

#[test]
fn a_webhook_hears_what_alertmanager_would_tell_it() {
    let runtime = Runtime::new().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let url = alertmanager(&runtime, vec![], heard.clone());
    let set = NotifierSet { sources: vec![Source::Urls(vec![url])], is_webhook: true, ..NotifierSet::default() };
    let file = NotifierFile { sets: vec![set], ..NotifierFile::default() };
    let settings = Settings { file, external_url: "http://weir.test".to_owned(), ..settings(vec![]) };
    let notifiers = Notifiers::start(&settings, &Metrics::default(), runtime.handle()).unwrap();
    let ended = Message { ends_at: message("b", 0).said_at, ..message("b", 0) };
    notifiers.enqueue(&[message("a", 0), ended]);
    assert_eq!(notifiers.urls(), Vec::<String>::new(), "it is no Alertmanager");
    notifiers.stop();
    let heard = heard.lock();
    let (line, body) = &heard[0];
    assert_eq!(line, "POST /prefix HTTP/1.1 200");
    let part = |pointer: &str| body.pointer(pointer).and_then(|value| value.as_str()).unwrap_or("").to_owned();
    assert_eq!([part("/version"), part("/status"), part("/externalURL")], ["4", "firing", "http://weir.test"]);
    assert_eq!([part("/alerts/0/status"), part("/alerts/1/status")], ["firing", "resolved"]);
    assert_eq!([part("/commonLabels/alertname"), part("/commonLabels/host")], ["Down", ""]);
}
