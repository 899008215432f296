//! `weir rules`: evaluate rules when and where they are asked to be, rather than on their schedule.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};

use crate::app;
use crate::clock::Clock;
use crate::config::units::Length;
use crate::http::params::{parse_time, rfc3339};
use crate::model::{Labels, Span, StepGrid, Timestamp, with_causes};
use crate::promql::{self, Engine, Features, QueryOptions};
use crate::rules::backtest::{Backtest, EVALUATIONS_MAX, Question, backtest};
use crate::rules::file::{self, Defaults, GroupSpec, RuleKind, RuleSpec};
use crate::rules::peers;
use crate::rules::replay::{Done, Progress, Replay};
use crate::tsdb::Tsdb;

use super::{complain, environment};

#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// Evaluate rules over the past and write what they give: recording rules and ALERTS, group by group, in order.
    /// One that was broken off goes on where it was
    Replay(ReplayFlags),
    /// Evaluate one rule at one time, and show how the answer was worked out; nothing is written
    Eval(EvalFlags),
    /// Say when a rule would have fired, and for how long; nothing is written
    Backtest(BacktestFlags),
}

#[derive(Debug, Args)]
pub(super) struct ReplayFlags {
    /// Rule files, globs, or http(s) URLs
    #[arg(required = true)]
    files: Vec<String>,
    /// The data directory of a Weir that is stopped
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", default_value = "./weir-data")]
    data: PathBuf,
    /// From which time: unix seconds or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// To which time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// The interval of groups that name none
    #[arg(long, value_name = "TIME", default_value = "1m")]
    interval: Length,
    /// A label that templates see as external, as name=value; may stand several times
    #[arg(long, value_name = "LABEL", value_parser = super::test::label)]
    external_label: Vec<(String, String)>,
    /// How many rules may be evaluated at the same time
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// Whose results these are, where several Weirs evaluate the same rules: `rules.replica` of the configuration
    #[arg(long, value_name = "NAME", default_value = "")]
    replica: String,
}

/// Which rule.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Rule files, globs, or http(s) URLs
    #[arg(long = "rules", value_name = "GLOB", required = true)]
    files: Vec<String>,
    /// The rule's name, or group/name where groups share it
    #[arg(long, value_name = "NAME")]
    rule: String,
}

#[derive(Debug, Args)]
pub(super) struct EvalFlags {
    #[command(flatten)]
    which: Which,
    /// At which time: unix seconds, RFC 3339, or back from now as -1h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Ask the Weir or Prometheus that runs there [default: http://localhost:8488]
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    /// Ask the data directory of a Weir that is stopped
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BacktestFlags {
    #[command(flatten)]
    which: Which,
    /// Over how many days back from now
    #[arg(long, default_value_t = 1.0)]
    days: f64,
    /// Ask the Weir that runs there [default: http://localhost:8488]
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    /// Ask the data directory of a Weir that is stopped
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text)
}

pub(super) fn run(rules: Rules) -> ExitCode {
    let outcome = match rules {
        Rules::Replay(flags) => replay(&flags),
        Rules::Eval(flags) => return eval(&flags),
        Rules::Backtest(flags) => test_back(&flags).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| complain(&[with_causes(error.as_ref())]))
}

fn load(patterns: &[String], interval: Span) -> anyhow::Result<Vec<file::RuleFile>> {
    let defaults = Defaults {
        interval,
        features: Features::all(),
        environment: environment(),
        now: || Clock::system().now(),
        ..Defaults::default()
    };
    let files = file::load(patterns, &defaults).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", problems.join("\n"))
    })?;
    ensure!(!files.is_empty(), "no file matches {}", patterns.join(" "));
    Ok(files)
}

/// The one rule of that name.
fn find(which: &Which) -> anyhow::Result<(GroupSpec, RuleSpec)> {
    let files = load(&which.files, Span::MINUTE)?;
    let named = |group: &GroupSpec, rule: &RuleSpec| {
        rule.name == which.rule || format!("{}/{}", group.name, rule.name) == which.rule
    };
    let groups = files.iter().flat_map(|file| &file.groups);
    let rules = groups.flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let found: Vec<_> = rules.filter(|(group, rule)| named(group, rule)).collect();
    match found.as_slice() {
        [(group, rule)] => Ok(((*group).clone(), (*rule).clone())),
        [] => bail!("no rule is called {:?}", which.rule),
        [(first, _), (second, _), ..] => {
            let hint = format!("say {}/{} or {}/{}", first.name, which.rule, second.name, which.rule);
            bail!("{} rules are called {:?}: {hint}", found.len(), which.rule)
        }
    }
}

fn engine() -> Engine {
    Engine::new(promql::Settings { features: Features::all(), ..promql::Settings::default() })
}

fn replay(flags: &ReplayFlags) -> anyhow::Result<ExitCode> {
    ensure!(flags.data.join("catalogue").is_dir(), "{} is no data directory of Weir", flags.data.display());
    let files = load(&flags.files, flags.interval.0)?;
    let clock = Clock::system();
    let to = flags.to.unwrap_or_else(|| clock.now());
    ensure!(flags.from <= to, "--from lies behind --to");
    let bar = std::io::stderr().is_terminal();
    let done = app::with_stopped(&flags.data, &clock, |tsdb: &Arc<Tsdb>| {
        let (engine, source) = (engine(), tsdb.clone());
        let replay = Replay {
            from: flags.from,
            to,
            query: Arc::new(move |expr, at, _| engine.instant(source.as_ref(), expr, at, &QueryOptions::default())),
            sink: tsdb.clone(),
            lane: peers::Settings { replica: flags.replica.clone(), ..peers::Settings::default() }.lane(),
            journal: tsdb.clone(),
            clock: clock.to_fn(),
            external_labels: Labels::from_pairs(flags.external_label.iter().map(|(name, value)| (name, value))),
            external_url: String::new(),
            query_offset: Span::ZERO,
            concurrency: flags.concurrency,
        };
        let done = replay.run(&files, |progress| show(progress, bar))?;
        anyhow::Ok(done)
    })?;
    let Done { ticks, failures, errors } = done;
    if bar {
        eprintln!();
    }
    for error in &errors {
        eprintln!("weir: {error}");
    }
    eprintln!("{ticks} evaluations of groups, {failures} of rules failed");
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(progress: &Progress, bar: bool) {
    const WIDTH: u64 = 40;
    let Progress { group, done, total } = progress;
    let full = done * WIDTH / (*total).max(1);
    if bar {
        let drawn: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
        // Nobody may look.
        drop(write!(std::io::stderr(), "\r[{drawn}] {done}/{total} {group:<30.30}"));
    }
}

/// The same as `weir query instant --explain` with the rule's expression.
fn eval(flags: &EvalFlags) -> ExitCode {
    let (_, rule) = match find(&flags.which) {
        Ok(found) => found,
        Err(error) => return complain(&[with_causes(error.as_ref())]),
    };
    eprintln!("{}: {}", rule.name, rule.expr);
    let mut words = vec!["weir".to_owned(), "query".into(), "instant".into(), "--explain".into()];
    for (name, value) in [
        ("--time", flags.at.clone()),
        ("--url", flags.url.clone()),
        ("--data", flags.data.as_ref().map(|path| path.display().to_string())),
    ] {
        words.extend(value.map(|value| format!("{name}={value}")));
    }
    words.extend(["--".to_owned(), rule.expr]);
    super::run_words(words)
}

fn test_back(flags: &BacktestFlags) -> anyhow::Result<()> {
    let (group, rule) = find(&flags.which)?;
    let RuleKind::Alerting { hold, keep_firing, .. } = rule.kind else { bail!("{} is no alerting rule", rule.name) };
    let clock = Clock::system();
    let now = clock.now();
    let start = now - Span::from_millis((flags.days * Span::DAY.as_millis() as f64) as i64);
    let grid = StepGrid::new(start, now, group.interval).context("--days must be more than 0")?;
    ensure!(grid.len() <= EVALUATIONS_MAX, "{} evaluations are more than {EVALUATIONS_MAX}: fewer --days", grid.len());
    let question = Question { expr: rule.expr, hold, keep_firing, grid };
    match &flags.data {
        Some(data) => {
            let report = here(data, &clock, &question)?;
            print_report(&rule.name, &question, &report);
        }
        None => println_json(flags.url.as_deref().unwrap_or("http://localhost:8488"), &question)?,
    }
    Ok(())
}

fn here(data: &Path, clock: &Clock, question: &Question) -> anyhow::Result<Backtest> {
    ensure!(data.join("catalogue").is_dir(), "{} is no data directory of Weir", data.display());
    let store = app::open_stopped(data, clock).with_context(|| format!("open {}", data.display()))?;
    let (engine, options) = (engine(), QueryOptions::default());
    Ok(backtest(question, |expr, grid| engine.range(store.as_ref(), expr, grid, &options))?)
}

fn print_report(name: &str, question: &Question, report: &Backtest) {
    let end = question.grid.end();
    let mut out = std::io::stdout();
    let mut line = |text: String| drop(writeln!(out, "{text}"));
    let (fired, seconds) = (report.fired(), report.firing(end).as_seconds());
    line(format!("{name} would have fired {fired} times, {seconds} s in all"));
    for (labels, episodes) in &report.alerts {
        line(labels.without(|name| name == "alertname").to_string());
        for episode in episodes {
            let ended = episode.ended_at.map_or_else(|| "still active".to_owned(), rfc3339);
            let fired =
                episode.fired_at.map_or_else(|| "pending only".to_owned(), |at| format!("fires {}", rfc3339(at)));
            let active = rfc3339(episode.active_at);
            line(format!(
                "  active {active}  {fired}  ends {ended}  {} s  peak {}",
                episode.firing(end).as_seconds(),
                episode.peak
            ));
        }
    }
}

/// Asks a server, and shows what it says.
fn println_json(url: &str, question: &Question) -> anyhow::Result<()> {
    let params = [
        ("expr", question.expr.clone()),
        ("for", question.hold.to_string()),
        ("keep_firing_for", question.keep_firing.to_string()),
        ("interval", question.grid.step().to_string()),
        ("start", question.grid.start().to_string()),
        ("end", question.grid.end().to_string()),
    ];
    let answer = crate::ask::ask_server(url, "/rules/backtest", &params)?;
    let answer: serde_json::Value = serde_json::from_str(&answer).context("read the answer")?;
    let data = &answer["data"];
    ensure!(answer["status"] == "success", "{}", answer["error"].as_str().unwrap_or("the server refuses"));
    let mut out = std::io::stdout();
    let mut line = |text: String| drop(writeln!(out, "{text}"));
    line(format!("would have fired {} times, {} s in all", data["fired"], data["firingSeconds"]));
    let at = |value: &serde_json::Value, absent: &str| {
        let time = value.as_f64().map(|seconds| rfc3339(Timestamp::from_millis((seconds * 1000.0) as i64)));
        time.unwrap_or_else(|| absent.to_owned())
    };
    for alert in data["alerts"].as_array().into_iter().flatten() {
        line(alert["labels"].to_string());
        for episode in alert["episodes"].as_array().into_iter().flatten() {
            let (active, fired) = (at(&episode["activeAt"], "?"), at(&episode["firedAt"], "pending only"));
            let ended = at(&episode["endedAt"], "still active");
            line(format!("  active {active}  fires {fired}  ends {ended}  {} s", episode["firing"]));
        }
    }
    Ok(())
}
