//! The past of both replicas, in blocks that promtool wrote: taken over, it is one gap-free history.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::door::now;
use crate::world::{Stack, tools};

/// Seconds between two scrapes.
const INTERVAL: i64 = 15;

/// A replica's counter over two hours from `begin` on: a scrape each quarter of a minute, but for where `up` says no.
fn metrics(begin: i64, phase: i64, up: impl Fn(i64) -> bool) -> String {
    let mut text = "# TYPE x counter\n".to_owned();
    for at in (phase..7200).step_by(INTERVAL as usize).filter(|at| up(*at)) {
        writeln!(text, "x_total{{job=\"j\"}} {} {}", at * 100, begin + at).expect("a String takes every write");
    }
    text + "# EOF\n"
}

fn weir_import(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let ran = command.args(["import", "blocks"]).args(arguments).output().expect("weir runs");
    (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

fn write_blocks(promtool: &Path, text: &str, folder: &Path) {
    let input = folder.with_extension("txt");
    std::fs::write(&input, text).expect("writable");
    let ran =
        Command::new(promtool).args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&input).arg(folder).output();
    let ran = ran.expect("promtool runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn the_past_of_both_replicas_becomes_one() {
    let Some(tools) = tools() else { return };
    let promtool = tools.join("promtool");
    let stack = Stack::new(tools, "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let begin = (now(&api).await as i64 - 6 * 3600) / 7200 * 7200;
    let folders = ["a", "b"].map(|name| stack.folder.path().join(format!("blocks-{name}")));
    // a is down for ten minutes, b for another ten.
    write_blocks(&promtool, &metrics(begin, 0, |at| !(1200..1800).contains(&at)), &folders[0]);
    write_blocks(&promtool, &metrics(begin, 7, |at| !(4200..4800).contains(&at)), &folders[1]);

    let whole = |name: &str, folder: &Path, more: &[&str]| {
        let (replica, url, folder) =
            (format!("--replica={name}"), format!("--url={}", api.url), folder.display().to_string());
        let mut arguments = vec![folder.as_str(), &replica, &url, "--label=cluster=dc1"];
        arguments.extend(more);
        weir_import(&arguments)
    };
    let (good, said) = whole("b", &folders[1], &["--dry-run"]);
    assert!(good && said.contains("1 series, 440 samples") && said.contains("would be sent"), "{said}");
    // In either order, and one of them twice.
    for (name, folder) in [("b", &folders[1]), ("a", &folders[0]), ("b", &folders[1])] {
        let (good, said) = whole(name, folder, &[]);
        assert!(good && said.contains("440 samples of 1 blocks are sent"), "{said}");
    }

    let found = api.query("x_total[3h]", Some((begin + 7200) as f64)).await;
    assert_eq!(found.len(), 1, "one series: {found:?}");
    assert_eq!(found[0]["metric"], serde_json::json!({"__name__": "x_total", "job": "j", "cluster": "dc1"}));
    let times: Vec<f64> =
        found[0]["values"].as_array().into_iter().flatten().filter_map(|point| point[0].as_f64()).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    assert!(longest <= 1.5 * INTERVAL as f64, "a hole of {longest} s");
    assert!((479..=481).contains(&times.len()), "{} samples", times.len());
    let resets = api.query("resets(x_total[3h])", Some((begin + 7200) as f64)).await;
    assert_eq!(resets[0]["value"][1], Value::from("0"));

    // A damaged chunk is named, and costs itself alone.
    let block = std::fs::read_dir(&folders[0]).expect("blocks").next().expect("one").expect("readable").path();
    let chunks = block.join("chunks/000001");
    let mut bytes = std::fs::read(&chunks).expect("readable");
    bytes[40] ^= 1;
    std::fs::write(&chunks, bytes).expect("writable");
    let (good, said) = whole("a", &folders[0], &[]);
    let named = format!(
        "{} at byte 8: a chunk with a wrong checksum, of x_total{{cluster=\"dc1\", job=\"j\"}}",
        chunks.display()
    );
    assert!(!good && said.contains(&named), "{said}");
}
