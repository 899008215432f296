//! Starting, reloading and stopping as an operator sees them: exit codes, and what is said where.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::door::value;
use crate::world::{Stack, eventually};

/// How soon SIGTERM must have ended the program.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Runs `weir` to its end; its exit code, and what it said on standard error.
fn weir(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().expect("run weir");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn fails(arguments: &[&str], parts: &[&str]) {
    let (code, said) = weir(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{arguments:?}: {part:?} is awaited: {said}");
    }
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).expect("write a file");
    path.to_str().expect("a temporary folder has a UTF-8 name").to_owned()
}

const WRONG_RULES: &str = "\
groups:
- name: one
  rules:
  - alert: A
    expr: up == 0
    for: never
  - record: b
    expr: sum(up
    lables: {}
";

#[test]
fn what_is_wrong_at_the_start_is_all_said_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let data = format!("--data={}", data.display());
    let config = write(&folder.path().join("weir.yml"), "retenton: 5d\nwrite:\n  labels_max: many\nretention: 1m\n");
    let places = ["weir.yml:1:1: ", "weir.yml:3:15: ", "weir.yml:4:1: "];
    fails(&["serve", &data, "--config", &config], &places);
    fails(&["check", "config", &config], &places);
    fails(&["serve", &data, "--config", "no-such.yml"], &["no-such.yml: ", "No such file"]);
    fails(&["serve", &data, "--retention=1m"], &["command line: retention must be at least 1h"]);
    fails(&["serve", &data, "--promql.enable=magic"], &["unknown promql feature \"magic\""]);
    let rules = write(&folder.path().join("rules.yml"), WRONG_RULES);
    let places = ["rules.yml:6:10: ", "rules.yml:8:11: ", "rules.yml:9:5: "];
    fails(&["serve", &data, "--rules", &rules], &places);
    fails(&["check", "rules", &rules], &places);
    assert!(!folder.path().join("data").exists(), "nothing was touched");
    fails(&["serve", "--listen=127.0.0.1:0", &format!("--data={config}")], &["weir.yml", "Not a directory"]);
    let (code, said) = weir(&["serve", "--retentoin=5d"]);
    assert_eq!((code, said.contains("--retention")), (Some(2), true), "{said}");
}

#[tokio::test]
async fn one_port_and_one_data_directory_have_one_process() {
    let stack = Stack::new("".into(), "1s");
    let weir = stack.start_weir(&[]).await;
    let data = format!("--data={}", stack.folder.path().join("weir").display());
    let elsewhere = format!("--data={}", stack.folder.path().join("elsewhere").display());
    let port = format!("--listen=127.0.0.1:{}", stack.weir);
    fails(&["serve", &elsewhere, &port], &[&format!("listen on 127.0.0.1:{}: Address already in use", stack.weir)]);
    fails(&["serve", &data, "--listen=127.0.0.1:0"], &["is in use by another process"]);
    let ending = tokio::task::spawn_blocking(|| weir.terminate());
    let status = tokio::time::timeout(ENDS_WITHIN, ending).await.expect("SIGTERM ends it in seconds");
    assert!(status.expect("the wait ends").success(), "SIGTERM is a good end");
    assert!(stack.log_tail("weir.log").contains("weir has stopped"));
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_on_reload() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let rules =
        |value: u8| format!("groups: [{{name: g, interval: 1s, rules: [{{record: answer, expr: vector({value})}}]}}]");
    let file = stack.folder.path().join("own-rules.yml");
    let flag = format!("--rules={}", write(&file, &rules(1)));
    let weir = stack.start_weir(&[&flag]).await;
    let is = async |expected: f64| {
        eventually("the rule is evaluated", Duration::from_secs(10), async || {
            value(&api.query("answer", None).await).filter(|value| *value == expected)
        })
        .await
    };
    is(1.0).await;
    write(&file, WRONG_RULES);
    let answer = api.send("POST", "/-/reload", &[], vec![]).await;
    assert_eq!(answer.code, 500, "{answer:?}");
    for place in ["own-rules.yml:6:10: ", "own-rules.yml:8:11: ", "own-rules.yml:9:5: "] {
        assert!(answer.text.contains(place), "{place} is awaited: {answer:?}");
    }
    weir.hang_up();
    eventually("both reloads are counted", Duration::from_secs(10), async || {
        let metrics = api.send("GET", "/metrics", &[], vec![]).await.text;
        metrics.contains("\nweir_app_reload_failures_total 2\n").then_some(())
    })
    .await;
    is(1.0).await;
    write(&file, &rules(2));
    weir.hang_up();
    is(2.0).await;
}
