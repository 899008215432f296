//! Weir is killed again and again while it evaluates and notifies: no alert is lost, doubled, or starts over.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::door::{request, series, try_push};
use crate::kill::next;
use crate::receiver::{Receiver, Told, now};
use crate::world::{Api, Stack, chosen, pause, weir};

/// How often Weir is killed, unless `WEIR_RULE_KILLS` says otherwise (a release asks for 200).
const KILLS: u64 = 8;
const HOSTS: usize = 40;
/// `for`, in seconds.
const HOLD: f64 = 4.0;
/// How long each host is down, in seconds.
const DOWN: f64 = 15.0;
/// Longest that a kill and the start after it may hold up what was due, in seconds.
const HELD_UP: f64 = 8.0;

#[tokio::test]
async fn no_alert_is_lost_doubled_or_starts_over() {
    let kills = chosen("WEIR_RULE_KILLS", KILLS);
    let stack = Stack::new(std::path::PathBuf::new(), "1s");
    let receiver = Receiver::start(stack.alertmanager).await;
    let config = format!("notifiers: [http://127.0.0.1:{}]\n", stack.alertmanager);
    let rules = format!(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {{record: y, expr: down}}\n  - {{alert: Down, expr: y == 1, \
         for: {HOLD}s}}\n"
    );
    let start = async || weir(stack.folder.path(), stack.weir, &config, &rules).await;
    let mut program = start().await;
    // A kill takes about two seconds; the last host is up again when they are over.
    let (began, length) = (now(), (kills as f64 * 2.2).max(DOWN + 10.0));
    let downs: Vec<f64> = (0..HOSTS).map(|host| began + 3.0 + host as f64 * (length - DOWN) / HOSTS as f64).collect();
    let feeding = tokio::spawn(feed(stack.api(), downs.clone()));
    let mut chance = 11;
    for _ in 0..kills {
        pause(Duration::from_millis(300 + next(&mut chance) % 1_700)).await;
        program.kill();
        program = start().await;
    }
    let end = began + length + 10.0;
    while now() < end.max(downs[HOSTS - 1] + DOWN + HELD_UP) {
        pause(Duration::from_secs(1)).await;
    }
    feeding.abort();
    drop(program);

    let mut told: BTreeMap<usize, Vec<Told>> = BTreeMap::new();
    for one in receiver.told() {
        told.entry(one.label("host").parse().expect("a host")).or_default().push(one);
    }
    let mut faults = Vec::new();
    for (host, down) in downs.iter().enumerate() {
        let Some(told) = told.get(&host) else {
            faults.push(format!("host {host} is lost"));
            continue;
        };
        if told.iter().any(|one| one.starts_at != told[0].starts_at) {
            faults.push(format!("host {host} is doubled: {told:?}"));
        }
        let late = told[0].starts - (down + HOLD);
        if !(-1.5..HELD_UP).contains(&late) {
            faults.push(format!("host {host} fires {late} s late, as if it had started over"));
        }
        let (last, up) = (told.last().expect("there is one"), down + DOWN);
        if !last.is_resolved() || !(-1.0..HELD_UP).contains(&(last.ends - up)) {
            faults.push(format!("host {host} is not resolved when it is up: {last:?}, {up}"));
        }
        if let Some(early) = told.iter().find(|one| one.is_resolved() && one.ends < up - 1.0) {
            faults.push(format!("host {host} is resolved while it is down: {early:?}"));
        }
    }
    eprintln!("{kills} kills, {HOSTS} alerts, {} posted, {} faults", receiver.told().len(), faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), stack.log_tail("weir.log"));
}

/// Each host is down from its second on for a while; samples come twice a second, again and again until they are taken.
async fn feed(api: Api, downs: Vec<f64>) {
    let mut waiting: Vec<f64> = Vec::new();
    loop {
        waiting.push(now());
        let hosts = downs.iter().enumerate().map(|(host, down)| {
            let value = |at: &f64| if (*down..down + DOWN).contains(at) { 1.0 } else { 0.0 };
            let rows: Vec<(f64, f64)> = waiting.iter().map(|at| (*at, value(at))).collect();
            series(&[("__name__", "down"), ("host", &host.to_string())], &rows)
        });
        if try_push(&api, &request(hosts.collect())).await {
            waiting.clear();
        }
        pause(Duration::from_millis(500)).await;
    }
}
