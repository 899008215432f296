//! Weir is killed at random moments under load; the ledger judges what came back.
//!
//! The ledger is a program of its own (`tests/ledger`): it writes down what it sends before it sends it, and whether it
//! was acknowledged, and later asks Weir for all of it. The negative control runs Weir without its log: the ledger must
//! then find samples missing, or it could not be trusted when it finds none.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::world::{Program, Stack, chosen, pause};

/// How often Weir is killed, unless `WEIR_KILLS` says otherwise (a release asks for 500).
const KILLS: u64 = 10;

#[tokio::test]
async fn nothing_acknowledged_is_lost_doubled_or_invented() {
    for Verdict { load, right, line } in kill_under_load(&[], 7, chosen("WEIR_KILLS", KILLS)).await {
        assert!(right && line.contains("lost=0 invented=0 wrong=0 doubled=0"), "{load}: {line}");
        eprintln!("{load}: {}", line.trim());
    }
}

#[tokio::test]
async fn without_a_log_the_ledger_finds_losses() {
    let verdicts = kill_under_load(&["--unsafe-without-log"], 8, KILLS).await;
    let guilty = verdicts.iter().filter(|verdict| !verdict.right && !verdict.line.contains("lost=0 ")).count();
    for Verdict { load, line, .. } in &verdicts {
        eprintln!("negative control: {load}: {}", line.trim());
    }
    assert!(guilty > 0, "the control must turn red");
}

/// What the ledger says of one load.
struct Verdict {
    load: &'static str,
    right: bool,
    line: String,
}

/// Loads that run side by side, each with a ledger of its own. Their samples begin so far back that none of them has
/// caught up with the clock before the last kill.
const LOADS: [(&str, &[&str]); 5] = [
    ("floats", &["--series=300", "--start-ago=400000", "--pause-ms=5"]),
    ("a pair", &["--series=200", "--start-ago=400000", "--pause-ms=5", "--replicas=a,b", "--outages=20"]),
    ("histograms", &["--series=100", "--start-ago=400000", "--pause-ms=5", "--histograms"]),
    ("late samples", &["--series=100", "--start-ago=200000"]),
    ("new series", &["--series=30000", "--batch=200"]),
];

/// Drives load from other processes while Weir is killed and started again, and gives the ledgers' verdicts.
///
/// Now and then all is spilled, merged or copied, so that kills meet those too.
async fn kill_under_load(flags: &[&str], seed: u64, kills: u64) -> Vec<Verdict> {
    let stack = Stack::new(PathBuf::new(), "1s");
    let config = stack.folder.path().join("admin.yml");
    std::fs::write(&config, "http:\n  admin: true\n").expect("write a configuration");
    let config = format!("--config={}", config.display());
    let flags: Vec<&str> = flags.iter().copied().chain([config.as_str()]).collect();
    let (url, api) = (format!("http://127.0.0.1:{}", stack.weir), stack.api());
    let mut weir = stack.start_weir(&flags).await;
    let ledger = |place: usize| format!("--ledger={}", stack.folder.path().join(format!("ledger-{place}")).display());
    let start = |(place, (_, options)): (usize, &(&str, &[&str]))| {
        let seconds = (kills * 2).to_string();
        let own = [format!("--seed={}", seed * 100 + place as u64), ledger(place), format!("--url={url}")];
        let usual = ["drive".to_owned(), format!("--seconds={seconds}"), "--connections=2".to_owned()];
        let arguments: Vec<String> =
            usual.into_iter().chain(own).chain(options.iter().map(|&option| option.to_owned())).collect();
        Program::start(&judge(), &arguments, &stack.folder.path().join("drive.log"))
    };
    let drivers: Vec<Program> = LOADS.iter().enumerate().map(start).collect();
    let mut chance = seed;
    for _ in 0..kills {
        pause(Duration::from_millis(400 + next(&mut chance) % 1_200)).await;
        let path = match next(&mut chance) % 4 {
            0 => "clean_tombstones",
            1 => "snapshot?skip_head=true",
            _ => "snapshot",
        };
        let api = api.clone();
        let disturbance = tokio::spawn(async move { api.try_post(&format!("/api/v1/admin/tsdb/{path}")).await });
        pause(Duration::from_millis(next(&mut chance) % 300)).await;
        weir.kill();
        weir = stack.start_weir(&flags).await;
        disturbance.await.expect("a request ends when the program does");
    }
    for driver in drivers {
        assert!(driver.wait().success(), "a driver ends well:\n{}", stack.log_tail("drive.log"));
    }
    let judged = LOADS.iter().enumerate().map(|(place, (load, _))| {
        let check = Command::new(judge()).args(["check", "--url", &url, &ledger(place)]).output();
        let check = check.expect("run the ledger");
        let said = [check.stdout, check.stderr].concat();
        Verdict { load, right: check.status.success(), line: String::from_utf8_lossy(&said).into_owned() }
    });
    let verdicts = judged.collect();
    drop(weir);
    verdicts
}

/// The ledger's binary, built beside the tests.
fn judge() -> PathBuf {
    let weir = PathBuf::from(env!("CARGO_BIN_EXE_weir"));
    let path = weir.parent().expect("a binary lies in a folder").join("examples/ledger");
    assert!(path.exists(), "{} is built by `cargo test`", path.display());
    path
}

/// SplitMix64: chance that a seed decides.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
