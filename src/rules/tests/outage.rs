//! An Alertmanager that is dead for ten minutes, and back: evaluation goes on, and nothing is lost. Time is counted,
//! not waited for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::runtime::Runtime;
use tokio::time::Duration;

use crate::model::{Labels, STALE_NAN_BITS, Span, Timestamp};
use crate::rules::World;
use crate::rules::file;
use crate::rules::group::{Group, Inheritance};
use crate::rules::metrics::NotifierMetrics;
use crate::rules::notify::Receipts;
use crate::rules::notify::Settings;
use crate::rules::notify::alertmanager::Alertmanager;
use crate::rules::notify::client::HttpClient;
use crate::rules::notify::config::Access;
use crate::rules::notify::courier::{Courier, Rest};

use super::server::{Reply, Server, ok};
use super::world::{Outside, defaults};

const RULES: &str = "groups:
- name: g
  interval: 15s
  eval_offset: 0s
  rules:
  - {alert: Down, expr: x, for: 1m}
";
/// Seconds.
const DEAD: std::ops::Range<i64> = 300..900;
const END: i64 = 1500;
const HOSTS: i64 = 60;

/// Host after host is down for four minutes, the next one 20 s later.
fn is_down(host: i64, second: i64) -> bool {
    (host * 20..host * 20 + 240).contains(&second)
}

/// The first tick at or after a second.
fn tick(second: i64) -> i64 {
    (second + 14) / 15 * 15
}

#[test]
fn an_alertmanager_that_is_dead_for_ten_minutes_hears_of_everything() {
    let (runtime, second) = (Runtime::new().unwrap(), Arc::new(AtomicI64::new(0)));
    let clock = second.clone();
    // It dies in every way there is.
    let server = Server::start(&runtime, None, move |_| match clock.load(Ordering::Relaxed) {
        second if !DEAD.contains(&second) => ok("{}"),
        second => match second / 15 % 3 {
            0 => Reply::HangUp,
            1 => Reply::Say(503, String::new()),
            _ => Reply::Silence,
        },
    });
    let receipts = Arc::new(Receipts::default());
    let client = HttpClient::new(&Access::default(), Duration::from_millis(100)).unwrap();
    let (settings, metrics) = (Settings::default(), NotifierMetrics::default());
    let url = format!("{}/api/v2/alerts", server.url());
    let mut courier = Alertmanager::new(&url, false, client, &settings, receipts.clone(), metrics.clone()).unwrap();
    let outside = Outside::default();
    let queue = courier.queue();
    let world = World { send: Arc::new(move |messages| queue.push(messages)), receipts, ..outside.world() };
    let file = file::parse("a.yml", RULES, &defaults()).unwrap();
    let mut group = Group::of_files(&[file], Span::ZERO, Inheritance::default()).remove(0);

    let (mut due, mut ticks, mut drained_at) = (0, 0, None);
    // What counts is what it took: the second, and the alert.
    let mut taken: Vec<(i64, serde_json::Value)> = Vec::new();
    for now in 0..END {
        second.store(now, Ordering::Relaxed);
        let at = Timestamp::EPOCH + Span::from_secs(now);
        *outside.now.lock() = at;
        if now % 15 == 0 {
            let asked = server.heard.lock().len();
            for host in 0..HOSTS {
                let labels = Labels::from_pairs([("__name__", "x"), ("host", &host.to_string())]);
                let value = if is_down(host, now) { 1.0 } else { f64::from_bits(STALE_NAN_BITS) };
                outside.samples.0.lock().retain(|(known, ..)| *known != labels);
                outside.samples.put(&labels, at, value);
            }
            group.tick(at, &world);
            ticks += 1;
            assert_eq!(server.heard.lock().len(), asked, "an evaluation speaks to nobody");
        }
        while now >= due {
            // Not in one statement: nobody could be heard while the list is locked.
            let asked = server.heard.lock().len();
            let rest = runtime.block_on(courier.turn());
            if rest == Rest::None && !DEAD.contains(&now) {
                let heard = server.heard.lock()[asked..].to_vec();
                taken.extend(
                    heard.iter().flat_map(|heard| heard.json().as_array().unwrap().clone()).map(|alert| (now, alert)),
                );
            }
            match rest {
                Rest::None => {}
                Rest::UntilFilled => break,
                Rest::For(pause) => {
                    assert!(pause <= Duration::from_secs(15), "it is tried at least every 15 s");
                    due = now + (pause.as_millis() as i64).div_euclid(1000).max(1);
                }
            }
        }
        if now >= DEAD.end && drained_at.is_none() && courier.waiting() == 0 {
            drained_at = Some(now);
        }
    }
    assert_eq!((ticks, group.missed(), metrics.dropped.get()), (END / 15, 0, 0), "evaluation on time throughout");
    assert!(drained_at.is_some_and(|at| at <= DEAD.end + 15), "all is delivered in 15 s: {drained_at:?}");
    assert!(metrics.failed.get() > 0);

    let mut told: BTreeMap<i64, Vec<(i64, i64, i64)>> = BTreeMap::new();
    let seconds = |text: &serde_json::Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    for (at, alert) in &taken {
        let host = alert["labels"]["host"].as_str().unwrap().parse().unwrap();
        told.entry(host).or_default().push((*at, seconds(&alert["startsAt"]), seconds(&alert["endsAt"])));
    }
    for host in 0..HOSTS {
        let (fires, ends) = (tick(host * 20) + 60, tick(host * 20 + 240));
        let told = told.get(&host).unwrap_or_else(|| panic!("host {host} is never told of"));
        assert!(told.iter().all(|(_, starts, _)| *starts == fires), "host {host} fires once, at {fires}: {told:?}");
        let (first, _, _) = told[0];
        let alive = match fires {
            fires if fires < DEAD.start => fires..=fires,
            // It is tried again within 15 s of its coming back.
            fires => fires.max(DEAD.end)..=fires.max(DEAD.end + 15),
        };
        assert!(alive.contains(&first), "host {host} is told of at once, or when there is somebody to tell: {told:?}");
        let (_, _, until) = told.last().unwrap();
        match ends < END {
            true => assert_eq!(*until, ends, "host {host} is resolved: {told:?}"),
            false => assert!(*until > END, "host {host} fires on: {told:?}"),
        }
    }
}
