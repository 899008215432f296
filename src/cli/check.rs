//! `weir check`: what is wrong with a file, and what other programs would refuse of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::clock::Clock;
use crate::promql::Features;
use crate::rules::file::{self, Defaults};

use super::{Serve, complain, environment, settle};

#[derive(Debug, Subcommand)]
pub(super) enum Check {
    /// Read a configuration file as `weir serve` would
    Config {
        /// The file
        file: PathBuf,
    },
    /// Read rule files as `weir serve` would, and say what Prometheus, vmalert, Mimir or Thanos would refuse
    Rules {
        /// Files, globs, or http(s) URLs
        #[arg(required = true)]
        files: Vec<String>,
        /// Template files that the rules call; a file or glob, may stand several times
        #[arg(long, value_name = "GLOB")]
        templates: Vec<String>,
        /// Say nothing of what other programs would refuse
        #[arg(long)]
        quiet: bool,
    },
}

pub(super) fn run(check: Check) -> ExitCode {
    match check {
        Check::Config { file } => match settle(&Serve { config: Some(file.clone()), ..Serve::default() }) {
            Ok(_) => {
                eprintln!("{}: ok", file.display());
                ExitCode::SUCCESS
            }
            Err(problems) => complain(&problems),
        },
        Check::Rules { files, templates, quiet } => rules(&files, templates, quiet),
    }
}

fn rules(patterns: &[String], templates: Vec<String>, quiet: bool) -> ExitCode {
    let defaults = Defaults {
        features: Features::all(),
        environment: environment(),
        templates,
        now: || Clock::system().now(),
        ..Defaults::default()
    };
    match file::load(patterns, &defaults) {
        Ok(files) if files.is_empty() => complain(&[format!("no file matches {}", patterns.join(" "))]),
        Ok(files) => {
            for read in &files {
                let rules: usize = read.groups.iter().map(|group| group.rules.len()).sum();
                eprintln!("{}: ok, {} groups, {rules} rules", read.path, read.groups.len());
                for note in read.notes.iter().filter(|_| !quiet) {
                    let file::Problem { file, place, message } = note;
                    eprintln!("{file}:{}:{}: note: {message}", place.line, place.column);
                }
            }
            ExitCode::SUCCESS
        }
        Err(problems) => complain(&problems),
    }
}
