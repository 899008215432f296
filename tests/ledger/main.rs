//! The ledger of acknowledged samples: a judge that lives outside the store.
//!
//! `drive` sends seeded series as Prometheus would, and writes down each request before it goes out and after it is
//! answered. Whatever happens to the store meanwhile (killed, paused, out of disk), it keeps coming back with the
//! same request. `check` then asks the store for everything, and holds the answer against the ledger:
//!
//! - lost: acknowledged, and not there
//! - invented: there, and never sent
//! - wrong: there, with another value than was sent
//! - doubled: there more than once
//!
//! Every value follows from seed, series, replica and time, so the ledger need not hold samples and every answer can
//! be checked. Requests without an answer may or may not be there; if they are, they must be right.
//!
//! Of several replicas the store keeps one series, so an acknowledged sample may be superseded. Then it counts as lost
//! where it would have filled a gap of more than 1.5 intervals.
//!
//! Read next: [`plan`] (what is sent), [`judge`] (what is right), [`record`] (the file), `drive`, `check`.

mod plan;
mod judge;
mod record;
mod drive;
mod check;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

use plan::Plan;

#[derive(Parser)]
#[command(about = "Sends samples, remembers which were acknowledged, and checks that they are there")]
struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send samples and keep the ledger.
    Drive(Drive),
    /// Ask for everything in the ledger and judge the answer; exit code 1 unless it is right.
    Check(Check),
}

#[derive(Args)]
struct Drive {
    /// Where the store listens, as in http://127.0.0.1:8488.
    #[arg(long)]
    url: String,
    /// The ledger to write; it must not exist yet.
    #[arg(long)]
    ledger: PathBuf,
    /// Decides all values; ledgers of different seeds do not touch each other's series.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many series there are.
    #[arg(long, default_value_t = 1000)]
    series: u32,
    /// Connections of each replica; each has its own share of the series.
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// Stop after this many seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Stop after this many requests, all connections together.
    #[arg(long)]
    requests: Option<u64>,
    /// Series of one request, a sample of each.
    #[arg(long, default_value_t = 500)]
    batch: u32,
    /// Pause of a connection between two requests, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// HA replicas that send the same series, as in a,b.
    #[arg(long, value_delimiter = ',')]
    replicas: Vec<String>,
    /// Percent of the time that each replica sends nothing, in stretches of eight scrapes: what the others must fill.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=99))]
    outages: u64,
    /// Time between two samples of a series, in milliseconds.
    #[arg(long, default_value_t = 15_000)]
    interval_ms: i64,
    /// How far the first sample lies in the past, in seconds. The samples catch up with the clock and then keep pace.
    #[arg(long, default_value_t = 7200)]
    start_ago: i64,
    /// Send native histograms instead of floats.
    #[arg(long)]
    histograms: bool,
    /// Time that the store has for an answer, in seconds.
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
}

#[derive(Args)]
struct Check {
    /// Where the store listens.
    #[arg(long)]
    url: String,
    /// The ledger to hold it against.
    #[arg(long)]
    ledger: PathBuf,
    /// How long to wait for a store that does not answer, in seconds.
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
    /// Samples that one query may return.
    #[arg(long, default_value_t = 50_000)]
    samples_per_query: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    match Ledger::parse().command {
        Command::Drive(options) => {
            let plan = Plan {
                seed: options.seed,
                series: options.series,
                replicas: options.replicas.clone(),
                start_ms: now_ms() - options.start_ago * 1000,
                interval_ms: options.interval_ms.max(1),
                histograms: options.histograms,
            };
            let sent = drive::run(plan, &options).await?;
            say(&sent.to_string());
            Ok(ExitCode::from(u8::from(sent.refused > 0)))
        }
        Command::Check(options) => {
            let verdict = check::run(&options).await?;
            for example in &verdict.examples {
                say(example);
            }
            say(&verdict.to_string());
            Ok(ExitCode::from(u8::from(!verdict.is_right())))
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program of its own, read by scripts")]
fn say(line: &str) {
    println!("{line}");
}

/// The wall clock in milliseconds.
#[expect(clippy::disallowed_methods, reason = "this program plays a Prometheus, which stamps samples with it")]
fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
