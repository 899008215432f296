//! `weir import`: the history of a Prometheus, taken over by a Weir that runs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use crate::ask::read_time;
use crate::blocks::{self, Block, BlockError};
use crate::clock::Clock;
use crate::ingest::wire::RequestBuilder;
use crate::model::{Column, Labels, Matcher, TimeRange, Timestamp, with_causes};
use crate::promql::parse::parse_selector;

use super::server::{Line, Server};

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Send the samples of Prometheus' TSDB blocks. Blocks of both replicas, each under its name, become one history by
    /// the rules of live data; sending them twice is no harm
    Blocks(Box<Blocks>),
}

#[derive(Debug, Args)]
pub(super) struct Blocks {
    /// Blocks, or directories that hold them: a stopped server's data directory, a snapshot
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// The replica that wrote them: its value of the replica label
    #[arg(long, value_name = "NAME")]
    replica: Option<String>,
    /// An external label of that server, which its own blocks do not have, as name=value; may stand several times
    #[arg(long = "label", value_name = "LABEL", value_parser = super::test::label)]
    labels: Vec<(String, String)>,
    /// Only series that fit, e.g. '{job="node"}'
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only samples from this time on: unix seconds, RFC 3339, or back from now as -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only samples up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Read and count, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

/// Samples and series of one request: below what a Weir takes by default.
const SAMPLES_PER_REQUEST: usize = 20_000;
const SERIES_PER_REQUEST: usize = 10_000;
/// Complaints that are shown; of more only how many there are.
const COMPLAINTS_MAX: u64 = 20;

/// Does what was asked.
pub(super) fn run(import: &Import) -> ExitCode {
    let Import::Blocks(flags) = import;
    match flags.import(&mut std::io::stdout()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(complaints) => super::complain(&[format!("problems: {complaints}; everything else is taken over")]),
        Err(error) => super::complain(&[with_causes(error.as_ref())]),
    }
}

/// What was done so far.
#[derive(Default)]
struct Done {
    blocks: u64,
    series: u64,
    samples: u64,
    complaints: u64,
}

impl Done {
    fn complain(&mut self, what: &dyn std::fmt::Display) {
        self.complaints += 1;
        if self.complaints <= COMPLAINTS_MAX {
            eprintln!("weir: {what}");
        }
    }
}

impl Blocks {
    /// Takes the blocks over, and tells how many problems there were.
    fn import(&self, out: &mut impl Write) -> anyhow::Result<u64> {
        let now = Clock::system().now();
        let time = |text: &Option<String>, default: Timestamp| match text {
            Some(text) => read_time(text, now),
            None => Ok(default),
        };
        let range = TimeRange::new(
            time(&self.from, TimeRange::ALL.start()).context("--from")?,
            time(&self.to, TimeRange::ALL.end()).context("--to")?,
        );
        let range = range.context("--from lies behind --to")?;
        let matchers = match &self.selector {
            Some(selector) => {
                parse_selector(selector).with_context(|| format!("--match {selector:?} selects no series"))?
            }
            None => Vec::new(),
        };
        let mut places = Vec::new();
        for directory in &self.directories {
            let found = blocks::find(directory)?;
            ensure!(!found.is_empty(), "{} holds no block of a TSDB", directory.display());
            places.extend(found);
        }
        let mut line = match self.dry_run {
            true => None,
            false => Some(self.server.open()?),
        };
        let mut all = Done::default();
        for place in places {
            let block = match Block::open(&place) {
                Ok(block) => block,
                Err(error) => {
                    all.complain(&with_causes(&error));
                    continue;
                }
            };
            if block.range.overlaps(range) {
                let own = self.send(&block, range, &matchers, line.as_mut(), &mut all)?;
                let [from, to] = [block.range.start(), block.range.end()].map(super::ha::time_text);
                writeln!(out, "{}  {from} to {to}  {} series, {} samples", block.name, own.series, own.samples)?;
            }
        }
        let verb = if self.dry_run { "would be sent" } else { "are sent" };
        writeln!(out, "{} samples of {} blocks {verb}", all.samples, all.blocks)?;
        Ok(all.complaints)
    }

    fn send(
        &self,
        block: &Block,
        range: TimeRange,
        matchers: &[Matcher],
        mut line: Option<&mut Line>,
        all: &mut Done,
    ) -> anyhow::Result<Done> {
        let (mut column, mut request, mut own) = (Column::default(), RequestBuilder::default(), Done::default());
        for entry in block.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    all.complain(&error);
                    continue;
                }
            };
            let labels = self.with_external(&entry.labels);
            if !Matcher::all_match(matchers, &labels) {
                continue;
            }
            let mut damages: Vec<BlockError> = Vec::new();
            block.read(&entry, range, &mut column, &mut |error| damages.push(error));
            damages.iter().for_each(|damage| all.complain(&format!("{damage}, of {labels}")));
            own.series += u64::from(!column.is_empty());
            own.samples += column.len() as u64;
            let mut first = 0;
            while first < column.len() {
                let room = SAMPLES_PER_REQUEST - request.samples();
                let last = column.len().min(first + room);
                request.push(&labels, &column, first..last);
                first = last;
                if request.samples() >= SAMPLES_PER_REQUEST || request.series() >= SERIES_PER_REQUEST {
                    self.flush(&mut request, line.as_deref_mut(), all)?;
                }
            }
        }
        self.flush(&mut request, line, all)?;
        (all.blocks, all.samples) = (all.blocks + 1, all.samples + own.samples);
        Ok(own)
    }

    /// External labels go on where a series has none of that name, as Prometheus puts them on what it sends.
    fn with_external(&self, labels: &Labels) -> Labels {
        let missing = self.labels.iter().filter(|(name, _)| labels.get(name).is_none());
        missing.fold(labels.clone(), |labels, (name, value)| labels.with(name, value))
    }

    fn flush(&self, request: &mut RequestBuilder, line: Option<&mut Line>, all: &mut Done) -> anyhow::Result<()> {
        if request.series() == 0 {
            return Ok(());
        }
        let body = request.take_body().context("compress a request")?;
        if let Some(line) = line {
            let replica: Vec<(&str, String)> = self.replica.iter().map(|name| ("replica", name.clone())).collect();
            if let Some(refused) = line.write(&replica, body)? {
                all.complain(&refused);
            }
        }
        Ok(())
    }
}
