//! Against the Python model of the specification, where it and a Python are at hand.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::*;
use super::{PLAIN, Random, merged, rules, scene};
use crate::model::Column;

/// The model takes windows of the last 8 to 16 distances and does not round; here they are the last 16, rounded. It
/// knows nothing of rows that the top lane covers for ever: they are taken out of the second lane first, and what is left
/// is marked as docs/dedup.md says, and where nothing stands before a row, the interval of the row behind counts as well.
/// The selection is all its own. Times are milliseconds.
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
def marked(lane, top):
    # (time, number, tier, interval) of each row, and of the top lane's covered stretches what they are.
    rows = core.annotate(lane, top)
    lives, stretches = [], []
    for row in rows:
        if not lives or row[0] - lives[-1][-1][0] > core.RMAX: lives.append([])
        lives[-1].append(row)
    rows = []
    for life in lives:
        known = life[min(16, len(life) - 1)][3]
        life = [(t, v, tier, min(i, known) if n < 16 else i) for n, (t, v, tier, i) in enumerate(life)]
        rows += life
        for p, n in zip(life, life[1:]) if len(life) > 16 else []:
            if p[2] == n[2] == 1 and n[0] - p[0] <= core.GAMMA * p[3]: stretches.append((p[0], n[0]))
    return rows, stretches
def dedup(A, B):
    top, stretches = marked(A, True)
    left, lower, at = [], [], 0
    for row in B:
        if not any(p <= row[0] <= n for p, n in stretches): left.append(row)
    while at < len(left):
        behind = [p for p, n in stretches if p > left[at][0]]
        life = [row for row in left[at:] if not behind or row[0] < behind[0]]
        at += len(life)
        for n, (time, number, tier, own) in enumerate(core.annotate(life, False)):
            known = n > 0 and life[n][0] - life[n - 1][0] <= core.RMAX
            later = [row[3] for row in top if row[0] > time and row[2] == 1]
            if later and not any(row[0] <= time for row in top): own = min(own, later[0])
            tops = [row[3] for row in top if time - core.RMAX <= row[0] <= time]
            lower.append((time, number, tier, own if not tops else min(own, tops[-1]) if known else tops[-1]))
    return [(time, number) for time, number, _, _ in core.f(top + lower)]
for line in sys.stdin:
    k, a, b = line.rstrip("\n").split("|")
    core.K = int(k)
    lanes = [[(int(t), n) for t in l.split()] for n, l in enumerate((a, b))]
    print(" ".join("%d:%d" % row for row in dedup(*lanes)))
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
