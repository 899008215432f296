//! Which scripts are run.

use std::path::{Path, PathBuf};

use crate::promql::Features;
use crate::promql::engine::{Engine, Settings};

use super::run::{Checks, Outcome, run};

/// A folder that stands beside the repository or above it.
fn find(folder: &str) -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join(folder)).find(|path| path.is_dir())
}

fn scripts(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("the folder was found");
    let mut paths = entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("readable"))
    };
    paths.iter().map(read).collect()
}

fn engine(features: Features) -> Engine {
    Engine::new(Settings { features, ..Settings::default() })
}

/// All features, but `__type__` and `__unit__` only where a script is about them: the others leave them out, and would
/// be warned of that.
fn all_features(file: &str) -> Features {
    Features { type_and_unit_labels: file.starts_with("type_and_unit"), ..Features::all() }
}

/// Runs all scripts of a folder, says what failed, and how many did in each file.
fn run_folder(
    folder: &Path,
    features: impl Fn(&str) -> Features,
    checks: Checks,
    counts: impl Fn(&Outcome) -> bool,
) -> Vec<(String, usize)> {
    let mut failures = Vec::new();
    for (name, text) in scripts(folder) {
        let outcomes =
            run(&engine(features(&name)), &name, &text, checks).into_iter().filter(&counts).collect::<Vec<_>>();
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect::<Vec<_>>();
        for Outcome { id, tags, expr, result, .. } in &failed {
            eprintln!("{id} [{}] {expr}\n    {}", tags.join(","), result.as_ref().err().map_or("", |wrong| wrong));
        }
        eprintln!("{name}: {} of {} pass", outcomes.len() - failed.len(), outcomes.len());
        failures.push((name, failed.len()));
    }
    failures
}

#[track_caller]
fn check_all_pass(failures: &[(String, usize)]) {
    let failing = failures.iter().filter(|(_, failed)| *failed > 0).collect::<Vec<_>>();
    assert!(failing.is_empty(), "files with failures: {failing:?}");
}

#[test]
fn our_scripts_pass() {
    // This file lies five folders deep in the repository.
    let root = Path::new(file!()).ancestors().nth(5).expect("five folders deep");
    let folder = root.join("tests/promql");
    let failures = run_folder(&folder, all_features, Checks::All, |_| true);
    check_all_pass(&failures);
    assert!(failures.len() >= 15, "scripts are missing: {failures:?}");
}

#[test]
fn the_scripts_of_prometheus_pass() {
    let Some(folder) = find("shared/probes/promqltest/testdata/open") else {
        eprintln!("SKIPPED: the scripts of Prometheus are not at hand");
        return;
    };
    check_all_pass(&run_folder(&folder, all_features, Checks::All, |_| true));
}

/// With default features, what needs a feature must fail, and everything else must pass.
#[test]
fn the_scripts_of_prometheus_pass_as_far_as_default_features_go() {
    let Some(folder) = find("shared/probes/promqltest/testdata/open") else {
        eprintln!("SKIPPED: the scripts of Prometheus are not at hand");
        return;
    };
    let needs_feature = |outcome: &Outcome| outcome.tags.iter().any(|tag| ["exp", "dnr", "st"].contains(&tag.as_str()));
    check_all_pass(&run_folder(&folder, |_| Features::default(), Checks::Values, |outcome| !needs_feature(outcome)));
    let engine = engine(Features::default());
    // Duration expressions are tagged as experimental; Prometheus 3.14 understands them without a flag.
    for (name, text) in scripts(&folder).into_iter().filter(|(name, _)| name != "duration_expression.test") {
        for outcome in run(&engine, &name, &text, Checks::Values).iter().filter(|outcome| needs_feature(outcome)) {
            assert!(outcome.result.is_err(), "{} passes without its feature: {}", outcome.id, outcome.expr);
        }
    }
}
