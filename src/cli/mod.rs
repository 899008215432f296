//! The command line: what can be said, and what each word does.

mod check;
mod columns;
mod ha;
mod import;
mod rules;
mod server;
mod store;
mod test;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::ask;
use crate::config::units::{Bytes, Length};
use crate::config::{self, Config, LogFormat};
use crate::model::with_causes;
use crate::promql::Features;
use crate::promql::parse::parse_selector;
use crate::rules as room;
use crate::telemetry;

const ABOUT: &str = "The store that lets Prometheus only scrape.";

const LONG_ABOUT: &str = "\
The store that lets Prometheus only scrape.

Pairs of Prometheus servers that scrape the same targets push everything to Weir by remote write. Weir makes one \
gap-free series out of each pair, keeps it, answers PromQL, evaluates rules and notifies Alertmanager.";

const AFTER: &str = "\
EXAMPLES
  weir serve
      Listens on port 8488, keeps 90 days in ./weir-data. No configuration needed.

  weir serve --rules 'rules/*.yml' --notifier http://localhost:9093
      Also evaluates rules and sends alerts to an Alertmanager.

  In prometheus.yml of both replicas (a and b):
      global:
        external_labels: { cluster: dc1, __replica__: a }
      remote_write:
        - url: http://weir:8488/api/v1/write

  In Grafana: a data source of type Prometheus with the URL http://weir:8488

SIGNALS
  SIGTERM, SIGINT   finish requests, stop rules, flush, exit
  SIGHUP            read configuration and rules again (as POST /-/reload)

EXIT STATUS
  0  success
  1  a problem, named on standard error with file:line:column where there is one
  2  the command line could not be understood";

/// What the process was asked to do.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER)]
#[command(disable_help_subcommand = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive, keep, answer, evaluate, notify: run until told to stop
    Serve(Serve),
    /// Say what is wrong with a file, without running anything
    #[command(subcommand)]
    Check(check::Check),
    /// Run unit tests of rules
    #[command(subcommand)]
    Test(test::Test),
    /// Replay, evaluate and back-test rules
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Look at, verify and repair a data directory that no Weir has open
    #[command(subcommand)]
    Store(store::Store),
    /// Ask a running Weir or Prometheus, or the data of a stopped Weir
    #[command(subcommand)]
    Query(ask::Ask),
    /// Take over what a Prometheus has kept
    #[command(subcommand)]
    Import(import::Import),
    /// See who feeds the series of HA pairs and why, and choose who shall
    #[command(subcommand)]
    Ha(ha::Ha),
    /// Make, list and revoke tokens: who may ask for what, and which part of the data they see
    #[command(subcommand)]
    Token(token::Token),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Flags of `weir serve`; each wins over the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct Serve {
    /// Address and port to listen on [default: 0.0.0.0:8488]
    #[arg(long, value_name = "ADDRESS", env = "WEIR_LISTEN", value_parser = config::units::address)]
    pub listen: Option<SocketAddr>,

    /// Directory that holds all data [default: ./weir-data]
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub data: Option<PathBuf>,

    /// How long samples are kept, e.g. 90d, 2y, 100y [default: 90d]
    #[arg(long, value_name = "TIME", env = "WEIR_RETENTION")]
    pub retention: Option<Length>,

    /// What samples may take on disk, e.g. 500GiB; beyond it the oldest go [default: as much as there is]
    #[arg(long, value_name = "SIZE", env = "WEIR_RETENTION_SIZE")]
    pub retention_size: Option<Bytes>,

    /// Configuration file (YAML); config/weir.yml lists every key with its default
    #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,

    /// Rule files in the format of Prometheus and vmalert; may stand several times
    #[arg(long, value_name = "GLOB")]
    pub rules: Vec<String>,

    /// URL of an Alertmanager; may stand several times, each gets every alert
    #[arg(long, value_name = "URL")]
    pub notifier: Vec<String>,

    /// Prometheus' web.yml: TLS, client certificates, users with passwords
    #[arg(long, value_name = "FILE", env = "WEIR_WEB_CONFIG", alias = "web.config.file")]
    pub web_config: Option<PathBuf>,

    /// Whether log lines are key=value pairs or JSON [default: logfmt]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// PromQL features that are off by default, comma-separated: promql-experimental-functions,
    /// promql-extended-range-selectors, promql-binop-fill-modifiers, promql-duration-expr,
    /// promql-delayed-name-removal, type-and-unit-labels, use-start-timestamps, promql-per-step-stats
    #[arg(long = "promql.enable", value_name = "FEATURE", value_delimiter = ',')]
    pub promql_enable: Vec<String>,

    /// Acknowledge without logging: the negative control of tests that kill the process. Loses data.
    #[arg(long, hide = true)]
    pub unsafe_without_log: bool,
}

/// Does what the command line asks.
pub fn run() -> ExitCode {
    run_command(Cli::parse().command)
}

/// Does what these words would do on a command line of their own.
fn run_words(words: Vec<String>) -> ExitCode {
    run_command(Cli::parse_from(words).command)
}

fn run_command(command: Command) -> ExitCode {
    match command {
        Command::Serve(flags) => serve(&flags),
        Command::Check(check) => check::run(check),
        Command::Test(test) => test::run(test),
        Command::Rules(rules) => rules::run(rules),
        Command::Store(store) => store::run(&store),
        Command::Import(import) => import::run(&import),
        Command::Ha(ha) => ha::run(&ha),
        Command::Token(token) => token::run(&token),
        Command::Query(ask) => match ask::run(&ask) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&[with_causes(error.as_ref())]),
        },
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weir", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man => match clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&[error]),
        },
    }
}

fn serve(flags: &Serve) -> ExitCode {
    let config = match settle(flags) {
        Ok(config) => config,
        Err(problems) => return complain(&problems),
    };
    // Before a port or a file is opened; the rules read them again when they start.
    let defaults = crate::app::rule_defaults(&config, features(&config));
    if let Err(problems) = room::file::load(&config.rules.files, &defaults) {
        return complain(&problems);
    }
    match crate::app::run(&config, flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&[with_causes(error.as_ref())]),
    }
}

/// The configuration file, if one is named, with the flags laid over it.
///
/// # Errors
/// All problems of the file and of the whole.
pub fn settle(flags: &Serve) -> Result<Config, Vec<config::Problem>> {
    let mut config = flags.config.as_deref().map_or_else(|| Ok(Config::default()), config::read)?;
    config.listen = flags.listen.unwrap_or(config.listen);
    config.data = flags.data.clone().unwrap_or(config.data);
    config.retention = flags.retention.unwrap_or(config.retention);
    config.retention_size = flags.retention_size.unwrap_or(config.retention_size);
    config.http.web_config = flags.web_config.clone().unwrap_or(config.http.web_config);
    config.log.format = flags.log_format.unwrap_or(config.log.format);
    config.rules.files.extend(flags.rules.iter().cloned());
    config.notifiers.extend(flags.notifier.iter().cloned());
    config.query.features.extend(flags.promql_enable.iter().cloned());
    let mut wrong = config.check();
    let features = config.query.features.iter().filter_map(|name| Features::default().enable(name).err());
    wrong.extend(features.map(|error| ("query.features", format!("{error}; `weir serve --help` names them all"))));
    let selectors = config.ha.policies.iter().filter_map(|one| {
        let error = parse_selector(&one.selector).err()?;
        Some(("ha.policies", format!("{:?} is no selector: {error}", one.selector)))
    });
    wrong.extend(selectors);
    wrong.extend(telemetry::filter(&config.log.level).err().map(|why| ("log.level", why)));
    let file = flags.config.as_deref().map(|path| (path.display().to_string(), std::fs::read_to_string(path)));
    let place = |key| match &file {
        Some((name, Ok(text))) => config::place_of(name, text, key),
        _ => "command line".to_owned(),
    };
    match wrong.is_empty() {
        true => Ok(config),
        false => Err(wrong.into_iter().map(|(key, what)| config::Problem { place: place(key), what }).collect()),
    }
}

/// PromQL's features that are on; the names have been checked.
fn features(config: &Config) -> Features {
    let mut features = Features::default();
    for name in &config.query.features {
        features.enable(name).expect("`settle` has checked the names");
    }
    features
}

/// The variables that rule files may name as `%{NAME}`.
pub(crate) fn environment() -> room::file::Environment {
    let texts =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    room::file::Environment(texts.collect())
}

fn complain(problems: &[impl std::fmt::Display]) -> ExitCode {
    for problem in problems {
        eprintln!("weir: {problem}");
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_win_over_defaults() {
        let flags = Serve {
            retention: Some("100y".parse().expect("a length")),
            rules: vec!["a.yml".into()],
            ..Serve::default()
        };
        let config = settle(&flags).expect("valid");
        assert_eq!((config.retention.to_string(), config.rules.files), ("100y".into(), vec!["a.yml".to_owned()]));
    }
}
