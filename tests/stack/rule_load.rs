//! Many recording rules at a short interval, beside VictoriaMetrics with vmalert in the same run: on time, right, and
//! what they cost.
//!
//! Short and small unless `WEIR_RULE_LOAD` names how many rules there are; a release asks for 10,000 over 100,000
//! series, every 15 s, and then the cost is judged, too:
//!
//! ```sh
//! WEIR_RULE_LOAD=10000 cargo test --release --test stack -- rule_load --nocapture
//! ```

use std::path::Path;
use std::time::Duration;

use weir::ingest::wire::proto::prometheus::WriteRequest;

use crate::door::{request, series, try_push, value};
use crate::receiver::now;
use crate::world::{Api, Program, Stack, chosen, eventually, free_port, pause, tools, weir};

/// Rules where nobody says.
const RULES: u64 = 300;
/// Series that a rule reads.
const SERIES: usize = 10;
/// Rules of one group.
const GROUP: usize = 100;
/// Samples come this often, in seconds.
const EVERY: f64 = 5.0;

fn rules(count: usize, interval: u64, range: &str) -> String {
    let mut text = "groups:\n".to_owned();
    for first in (0..count).step_by(GROUP) {
        text.push_str(&format!("- name: g{first}\n  interval: {interval}s\n  rules:\n"));
        for rule in first..(first + GROUP).min(count) {
            text.push_str(&format!(
                "  - {{record: 'job:m{rule}:rate', expr: 'sum by (job) (rate(m{rule}[{range}]))'}}\n"
            ));
        }
    }
    text
}

/// All series at one time: each counts up by one a second.
fn load(count: usize, began: f64, at: f64) -> Vec<WriteRequest> {
    let one = |number: usize| {
        let (name, instance) = (format!("m{}", number / SERIES), (number % SERIES).to_string());
        let labels = [("__name__", name.as_str()), ("instance", instance.as_str()), ("job", "load")];
        series(&labels, &[(at, at - began)])
    };
    let all: Vec<usize> = (0..count * SERIES).collect();
    all.chunks(5_000).map(|numbers| request(numbers.iter().map(|number| one(*number)).collect())).collect()
}

#[tokio::test]
async fn many_rules_are_evaluated_on_time() {
    let count = chosen("WEIR_RULE_LOAD", 0) as usize;
    let (is_judged, count) = (count > 0, if count > 0 { count } else { RULES as usize });
    let (interval, range, length) = if is_judged { (15, "1m", 90.0) } else { (5, "15s", 25.0) };
    let stack = Stack::new(std::path::PathBuf::new(), "1s");
    let text = rules(count, interval, range);
    let ours = weir(stack.folder.path(), stack.weir, "", &text).await;
    let theirs = match tools() {
        Some(tools) if tools.join("vmalert").exists() => Some(Peer::start(&tools, &stack, &text).await),
        _ => {
            eprintln!("SKIPPED: no vmalert to compare with");
            None
        }
    };
    let mut apis = vec![stack.api()];
    apis.extend(theirs.as_ref().map(|peer| Api::new(peer.port)));
    let began = now();
    let mut next = began;
    while now() < began + length {
        for body in load(count, began, next) {
            for api in &apis {
                assert!(try_push(api, &body).await, "{} takes samples", api.url);
            }
        }
        next += EVERY;
        pause(Duration::from_secs_f64((next - now()).max(0.0))).await;
    }
    let api = stack.api();
    let cost = ours.cpu_seconds();
    let missed = api.send("GET", "/metrics", &[], vec![]).await.text;
    let missed: f64 = missed
        .lines()
        .filter(|line| line.starts_with("weir_rules_group_missed_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    let given = value(&api.query("count({__name__=~\"job:m.*:rate\"} > 9.9 < 10.1)", None).await);
    eprintln!("{count} rules, {} series: {cost:.2} CPU seconds in {length} s, {missed} ticks missed", count * SERIES);
    assert_eq!((missed, given), (0.0, Some(count as f64)), "on time, and ten a second each");
    if let Some(Peer { store, rules, .. }) = &theirs {
        let (store, rules) = (store.cpu_seconds(), rules.cpu_seconds());
        let ratio = cost / (store + rules);
        eprintln!("VictoriaMetrics {store:.2}, vmalert {rules:.2}: ratio {ratio:.2}");
        assert!(!is_judged || ratio <= 0.5, "half of what VictoriaMetrics and vmalert take: {ratio}");
    }
}

/// VictoriaMetrics, and vmalert beside it.
struct Peer {
    port: u16,
    store: Program,
    rules: Program,
}

impl Peer {
    async fn start(tools: &Path, stack: &Stack, rules: &str) -> Self {
        let (port, web, folder) = (free_port(), free_port(), stack.folder.path());
        let file = folder.join("vmalert.yml");
        std::fs::write(&file, rules).expect("write rules");
        let arguments = [
            format!("-storageDataPath={}", folder.join("victoria").display()),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-search.latencyOffset=0s".to_owned(),
        ];
        let store = Program::start(&tools.join("victoria-metrics"), &arguments, &folder.join("victoria.log"));
        let api = Api::new(port);
        eventually("VictoriaMetrics answers", Duration::from_secs(30), async || {
            api.is_ok("/health").await.then_some(())
        })
        .await;
        let url = format!("http://127.0.0.1:{port}");
        let arguments = [
            format!("-rule={}", file.display()),
            format!("-datasource.url={url}"),
            format!("-remoteWrite.url={url}"),
            "-notifier.url=http://127.0.0.1:1".to_owned(),
            format!("-httpListenAddr=127.0.0.1:{web}"),
        ];
        let rules = Program::start(&tools.join("vmalert"), &arguments, &folder.join("vmalert.log"));
        Peer { port, store, rules }
    }
}
