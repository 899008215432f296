//! Data that comes late: of one replica, then of both. Nothing is resolved that has not ended.

use std::time::Duration;

use crate::door::{request, series, try_push};
use crate::receiver::{Receiver, now};
use crate::world::{Api, Stack, pause, weir};

/// How late the data is, in seconds.
const LATE: f64 = 20.0;
/// Evaluated each 5 s; the range is empty when data is 10 s late.
const RULES: &str = "groups:
- name: g
  interval: 5s
  rules:
  - {alert: Busy, expr: 'sum by (cluster) (rate(work_total[10s])) > 0.5'}
";

/// What is sent when: nothing while a replica is late, and then all of it.
#[derive(Clone, Copy)]
struct Plan {
    began: f64,
}

impl Plan {
    /// One replica is late from 15 s on; both are from 50 s on.
    fn is_late(self, replica: &str, at: f64) -> bool {
        let since = at - self.began;
        (replica == "a" && (15.0..15.0 + LATE).contains(&since)) || (50.0..50.0 + LATE).contains(&since)
    }

    fn end(self) -> f64 {
        self.began + 50.0 + LATE + 12.0
    }
}

#[tokio::test]
async fn late_data_resolves_nothing() {
    let stack = Stack::new(std::path::PathBuf::new(), "1s");
    let receiver = Receiver::start(stack.alertmanager).await;
    let config = format!("notifiers: [http://127.0.0.1:{}]\n", stack.alertmanager);
    let _weir = weir(stack.folder.path(), stack.weir, &config, RULES).await;
    let (api, plan) = (stack.api(), Plan { began: now() });
    let feeding: Vec<_> = ["a", "b"].map(|replica| tokio::spawn(feed(api.clone(), replica, plan))).into();
    let (mut held, mut gone) = (0, 0);
    while now() < plan.end() {
        pause(Duration::from_secs(1)).await;
        let alerts = api.data("/api/v1/alerts", &[]).await["alerts"].as_array().cloned().unwrap_or_default();
        let fires = alerts.iter().any(|alert| alert["state"] == "firing");
        gone += usize::from(!fires && now() > plan.began + 15.0);
        held += usize::from(alerts.iter().any(|alert| alert["inputStale"] == true));
    }
    feeding.iter().for_each(tokio::task::JoinHandle::abort);
    let told = receiver.told();
    assert!(!told.is_empty(), "it fires:\n{}", stack.log_tail("weir.log"));
    let resolved = told.iter().filter(|one| one.is_resolved()).count();
    let starts: std::collections::BTreeSet<&str> = told.iter().map(|one| one.starts_at.as_str()).collect();
    eprintln!("{} told, {resolved} resolved, {} starts, held in {held} looks of a second", told.len(), starts.len());
    assert_eq!((resolved, starts.len(), gone), (0, 1, 0), "{told:?}");
    assert!(held > 0, "it was held for want of data, and that was shown");
}

/// One replica: a sample a second, sent at once or, once it is late no more, with all that waits.
async fn feed(api: Api, replica: &str, plan: Plan) {
    let mut waiting: Vec<(f64, f64)> = Vec::new();
    loop {
        let at = now();
        waiting.push((at, at - plan.began));
        let labels = [("__name__", "work_total"), ("__replica__", replica), ("cluster", "dc1")];
        if !plan.is_late(replica, at) && try_push(&api, &request(vec![series(&labels, &waiting)])).await {
            waiting.clear();
        }
        pause(Duration::from_secs(1)).await;
    }
}
