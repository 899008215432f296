//! Weir is killed at random moments under load; the ledger judges what came back.
//!
//! The ledger is a program of its own (`tests/ledger`): it writes down what it sends before it sends it, and whether it
//! was acknowledged, and later asks Weir for all of it. The negative control runs Weir without its log: the ledger must
//! then find samples missing, or it could not be trusted when it finds none.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use crate::world::{Program, Stack, pause};

/// How often Weir is killed.
const KILLS: u64 = 10;

#[tokio::test]
async fn nothing_acknowledged_is_lost_doubled_or_invented() {
    let verdict = kill_under_load(&[], 7).await;
    let line = String::from_utf8_lossy(&verdict.stdout).into_owned();
    assert!(verdict.status.success(), "{line}{}", String::from_utf8_lossy(&verdict.stderr));
    assert!(line.contains("lost=0 invented=0 wrong=0 doubled=0"), "{line}");
    eprintln!("{}", line.trim());
}

#[tokio::test]
async fn without_a_log_the_ledger_finds_losses() {
    let verdict = kill_under_load(&["--unsafe-without-log"], 8).await;
    let line = String::from_utf8_lossy(&verdict.stdout).into_owned();
    assert!(!verdict.status.success(), "the control must turn red: {line}");
    assert!(line.contains("lost=") && !line.contains("lost=0 "), "what is missing is named: {line}");
    eprintln!("negative control: {}", line.trim());
}

/// Drives load from another process while Weir is killed and started again, and gives the ledger's verdict.
async fn kill_under_load(flags: &[&str], seed: u64) -> Output {
    let stack = Stack::new(PathBuf::new(), "1s");
    let url = format!("http://127.0.0.1:{}", stack.weir);
    let ledger = stack.folder.path().join("ledger");
    let ledger = ledger.to_str().expect("a temporary folder has a UTF-8 name");
    let mut weir = stack.start_weir(flags).await;
    let drive: Vec<String> = [
        "drive",
        "--url",
        &url,
        "--ledger",
        ledger,
        "--seed",
        &seed.to_string(),
        "--series",
        "500",
        "--connections",
        "4",
        "--seconds",
        "20",
    ]
    .map(str::to_owned)
    .to_vec();
    let driver = Program::start(&judge(), &drive, &stack.folder.path().join("drive.log"));
    let mut chance = seed;
    for _ in 0..KILLS {
        pause(Duration::from_millis(400 + next(&mut chance) % 1_200)).await;
        weir.kill();
        weir = stack.start_weir(flags).await;
    }
    assert!(driver.wait().success(), "the driver ends well:\n{}", stack.log_tail("drive.log"));
    let check = Command::new(judge()).args(["check", "--url", &url, "--ledger", ledger]).output();
    drop(weir);
    check.expect("run the ledger")
}

/// The ledger's binary, built beside the tests.
fn judge() -> PathBuf {
    let weir = PathBuf::from(env!("CARGO_BIN_EXE_weir"));
    let path = weir.parent().expect("a binary lies in a folder").join("examples/ledger");
    assert!(path.exists(), "{} is built by `cargo test`", path.display());
    path
}

/// SplitMix64: chance that a seed decides.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
