//! promtool as the judge: what it says of texts, of rule files and of unit tests, Weir says, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

use crate::world::{repository, tools};

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().expect("run weir")
}

fn promtool(tools: &Path, arguments: &[&str]) -> Output {
    Command::new(tools.join("promtool")).args(arguments).output().expect("run promtool")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// What each alert's text expanded to, quoted, by the alert's number.
fn texts(said: &str, pattern: &str) -> BTreeMap<usize, String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    let found = pattern.captures_iter(said);
    found.map(|found| (found[1].parse().expect("a number"), found[2].to_owned())).collect()
}

#[test]
fn texts_expand_as_promtools_do() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list = std::fs::read_to_string(repository().join("tests/rules/templates.txt")).expect("read the texts");
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let alert = |(number, text): (usize, &&str)| {
        let text = serde_json::Value::from(*text);
        format!("  - {{alert: A{number:03}, expr: 'x{{instance=\"a:1\"}}', annotations: {{t: {text}}}}}\n")
    };
    let rules: String = lines.iter().enumerate().map(alert).collect();
    std::fs::write(path("rules.yml"), format!("groups:\n- name: g\n  rules:\n{rules}")).expect("write rules");
    let expected =
        (0..lines.len()).map(|number| format!("  - {{eval_time: 2m, alertname: A{number:03}, exp_alerts: []}}\n"));
    let tests = format!(
        "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  external_labels: {{cluster: c1}}\n  input_series:\n  - {{series: \
         'x{{instance=\"a:1\",job=\"j\"}}', values: 1234567.891x5}}\n  - {{series: 'x{{instance=\"b:1\",job=\"j\"}}', \
         values: 2x5}}\n  alert_rule_test:\n{}",
        expected.collect::<String>()
    );
    std::fs::write(path("tests.yml"), tests).expect("write tests");
    // Both find alerts that nobody expects, and show them.
    let theirs = said(&promtool(&tools, &["test", "rules", &path("tests.yml")]));
    let ours = said(&weir(&["test", "rules", &path("tests.yml")]));
    let wanted = texts(&theirs, r#"alertname="A(\d+)"[^\n]*\n\s*Annotations:\{t="(.*)"\}"#);
    let found = texts(&ours, r#"alertname="A(\d+)"[^\n]* annotations \{t="(.*)"\}"#);
    assert_eq!((wanted.len(), found.len()), (lines.len(), lines.len()), "all are shown:\n{theirs}\n{ours}");
    let broken = |text: &str| text.starts_with("<error expanding template: ");
    let differing: Vec<String> = (0..lines.len())
        // Why a text cannot be expanded is said in other words.
        .filter(|number| wanted[number] != found[number] && !(broken(&wanted[number]) && broken(&found[number])))
        .map(|number| format!("{}\n  promtool {}\n  weir     {}", lines[number], wanted[&number], found[&number]))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

#[test]
fn real_rule_files_are_taken_where_promtool_takes_them() {
    let Some(tools) = tools() else { return };
    let folder = repository().join("../shared/data/rules");
    let all: Vec<PathBuf> =
        files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end != "md")).collect();
    if all.is_empty() {
        eprintln!("SKIPPED: no shared/data/rules beside the repository");
        return;
    }
    // What Prometheus reads in another way: it takes the first document alone.
    let other_reading = |path: &Path| path.ends_with("rules-multi-doc-duplicates-bad.rules");
    let mut taken = 0;
    for path in all.iter().filter(|path| !other_reading(path)) {
        let name = path.display().to_string();
        let (theirs, ours) = (promtool(&tools, &["check", "rules", &name]), weir(&["check", "rules", &name]));
        taken += usize::from(ours.status.success());
        assert!(!theirs.status.success() || ours.status.success(), "{name}: {}", said(&ours));
    }
    assert!(taken > 65, "{taken} of {} files are taken", all.len());
}

#[test]
fn unit_tests_have_promtools_verdicts() {
    let Some(tools) = tools() else { return };
    let folder = repository().join("../shared/data/rules/promtool");
    // What needs a later promtool than Debian's, with the verdict of that.
    let later = [("start-time-test.yml", true), ("unittest.yml", true), ("no-test-group-interval.yml", true)];
    let mut judged = 0;
    for path in files(&folder).iter().chain(&files(&repository().join("tests/rules"))) {
        let is_test =
            std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with("tests:")));
        if !is_test {
            continue;
        }
        let (name, place) = (path.display().to_string(), path.parent().expect("a file lies in a folder"));
        let ours = Command::new(env!("CARGO_BIN_EXE_weir")).args(["test", "rules", &name]).current_dir(place).output();
        let ours = ours.expect("run weir");
        let wanted = match later.iter().find(|(known, _)| path.ends_with(known)) {
            Some((_, good)) => *good,
            None => promtool(&tools, &["test", "rules", &name]).status.success(),
        };
        assert_eq!(ours.status.success(), wanted, "{name}:\n{}", said(&ours));
        judged += 1;
    }
    eprintln!("{judged} files of tests, the same verdict");
}
