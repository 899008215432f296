//! What Prometheus 3.14 answered, where those answers are at hand.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::promql::features::Features;
use crate::promql::{format, parse, tree};

const GOLDEN: &str = "shared/probes/promqltest/testdata/parse/golden-3.14.json.gz";

/// The stored answers: expression to `{ast, fmt}` or `{err}`.
fn golden() -> Option<serde_json::Map<String, Value>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = here.ancestors().map(|folder| folder.join(GOLDEN)).find(|file| file.exists())?;
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output().ok()?;
    serde_json::from_slice(&unpacked.stdout).ok()
}

#[test]
fn everything_prometheus_parses_parses_and_prints_the_same() {
    let Some(golden) = golden() else {
        eprintln!("SKIPPED: {GOLDEN} is not there, Prometheus' answers cannot be compared");
        return;
    };
    let mut wrong = Vec::new();
    for (text, answer) in &golden {
        let complaint = match (parse::parse(text, &Features::all()), answer.get("err")) {
            (Ok(_), Some(error)) => Some(format!("accepted, wanted {error}")),
            (Err(error), Some(wanted)) => {
                (Some(error.to_string().as_str()) != wanted.as_str()).then(|| format!("says {error}, wanted {wanted}"))
            }
            (Err(error), None) => Some(format!("refused: {error}")),
            (Ok(expr), None) if tree::json(&expr) != answer["ast"] => {
                Some(format!("tree {}\n  wanted {}", tree::json(&expr), answer["ast"]))
            }
            (Ok(expr), None) if format::pretty(&expr) != answer["fmt"] => {
                Some(format!("prints {:?}\n  wanted {}", format::pretty(&expr), answer["fmt"]))
            }
            (Ok(expr), None) => {
                let printed = expr.to_string();
                // Printing sorts matchers, so the trees may differ in their order.
                match parse::parse(&printed, &Features::all()) {
                    Ok(again) if again.to_string() == printed => None,
                    Ok(again) => Some(format!("printed as {printed} and again as {again}")),
                    Err(error) => Some(format!("printed as {printed} it is refused: {error}")),
                }
            }
        };
        wrong.extend(complaint.map(|complaint| format!("{text}\n  {complaint}")));
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), golden.len(), wrong.join("\n"));
    assert!(golden.len() > 900, "the file holds {} answers", golden.len());
}
