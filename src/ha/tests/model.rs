//! Against the Python model of the specification, where it and a Python are at hand.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::*;
use super::{PLAIN, Random, merged, rules, scene};
use crate::model::Column;

/// The model takes windows of the last 8 to 16 distances and does not round; here they are the last 16, rounded.
/// All else is its own. Times are milliseconds.
const DRIVER: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import core
core.RMAX, core.DFLT, core.W = 3600000, 60000, 10**9
def kept(d):
    step = 100 << max(0, (max(d, 100) // 100).bit_length() - 7)
    return (max(d, 100) + step // 2) // step * step
class Sliding(core.Ann):
    def est(self):
        d = sorted(self.cur[-16:])
        return kept(d[1] if len(d) > 1 else d[0]) if d else core.DFLT
core.Ann = Sliding
for line in sys.stdin:
    k, a, b = line.rstrip("\n").split("|")
    core.K = int(k)
    lanes = [[(int(t), n) for t in l.split()] for n, l in enumerate((a, b))]
    print(" ".join("%d:%d" % row for row in core.dedup(*lanes)))
"#;

fn model() -> Option<PathBuf> {
    let here = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    ["shared", "../shared", "../../shared"]
        .iter()
        .map(|shared| here.join(shared).join("design/ha-model"))
        .find(|folder| folder.join("core.py").is_file())
}

#[test]
fn the_python_model_says_the_same() {
    let Some(model) = model() else {
        return eprintln!("SKIPPED: no ../shared/design/ha-model beside the repository");
    };
    let python = Command::new("python3")
        .args(["-c", DRIVER])
        .arg(model)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        return eprintln!("SKIPPED: no python3");
    };
    let (mut input, mut expected) = (String::new(), Vec::new());
    for seed in 0..500 {
        let lanes = scene(Random(seed).below(1 << 30), 2, PLAIN).lanes;
        for clean_run in [0, CLEAN_RUN] {
            let times =
                |lane: &Column| lane.at.iter().map(|at| at.as_millis().to_string()).collect::<Vec<_>>().join(" ");
            input += &format!("{clean_run}|{}|{}\n", times(&lanes[0]), times(&lanes[1]));
            let numbered: Vec<Column> = lanes
                .iter()
                .enumerate()
                .map(|(number, lane)| Column { values: vec![number as f64; lane.len()], ..lane.clone() })
                .collect();
            let out = merged(&numbered, &MergeRules { clean_run, ..rules() });
            let shown = |(at, value): (&crate::model::Timestamp, &f64)| format!("{}:{value}", at.as_millis());
            expected.push(out.at.iter().zip(&out.values).map(shown).collect::<Vec<_>>().join(" "));
        }
    }
    let mut stdin = python.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the model fails");
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), expected.len());
    for (number, (model, ours)) in said.iter().zip(&expected).enumerate() {
        assert_eq!(model, ours, "scene {number}");
    }
}
