//! `weir test rules`: runs unit tests of rules, in the formats of promtool and vmalert-tool.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use regex::Regex;

use crate::model::Labels;
use crate::promql::Features;
use crate::rules::unit;

use super::{complain, environment};

#[derive(Debug, Subcommand)]
pub(super) enum Test {
    /// Run unit-test files of promtool or vmalert-tool; exit status 1 if a test fails
    Rules(TestRules),
}

#[derive(Debug, Args)]
pub(super) struct TestRules {
    /// Unit-test files
    #[arg(required = true)]
    files: Vec<String>,

    /// Only tests whose name this regular expression matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,

    /// Also write the verdicts here, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// A label for tests that name no external labels, as name=value; may stand several times
    #[arg(long, value_name = "LABEL", value_parser = label)]
    external_label: Vec<(String, String)>,

    /// The URL that templates know, for tests that name none
    #[arg(long, value_name = "URL", default_value = "")]
    external_url: String,

    /// Files for vmalert-tool: alerts have no label `alertgroup`
    #[arg(long)]
    disable_alertgroup_label: bool,
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is written name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(test: Test) -> ExitCode {
    let Test::Rules(asked) = test;
    let settings = unit::Settings {
        only: asked.run,
        external_labels: Labels::from_pairs(asked.external_label),
        external_url: asked.external_url,
        alertgroup: !asked.disable_alertgroup_label,
        features: Features::all(),
        environment: environment(),
        bounds: unit::Bounds::NONE,
    };
    let reports: Vec<_> = asked
        .files
        .iter()
        .map(|file| {
            let report = unit::run(file, &settings);
            // A reader that has gone wants no more of it; the verdict is in the exit code.
            drop(write!(std::io::stdout(), "{report}"));
            report
        })
        .collect();
    if let Some(path) = asked.junit
        && let Err(refused) = std::fs::write(&path, unit::junit(&reports))
    {
        return complain(&[format!("write {}: {refused}", path.display())]);
    }
    match reports.iter().all(unit::FileReport::passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
