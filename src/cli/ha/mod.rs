//! `weir ha`: who feeds the series of HA pairs, why, and who shall; asked of a Weir that runs.

mod explain;
mod status;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::ask::read_time;
use crate::clock::Clock;
use crate::config::units::Length;
use crate::model::{Timestamp, with_causes};

use super::server::Server;

#[derive(Debug, Subcommand)]
pub(super) enum Ha {
    /// HA groups and their replicas: who leads, who is late or silent, what was filled in, what is wrong
    Status(Status),
    /// Which replica feeds each sample of a series, and why
    Explain(Explain),
    /// Put replicas in front from a moment on; samples before it stay as they are
    Prefer(Prefer),
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only this group, by the value of its cluster label
    cluster: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Which series, e.g. 'up{job="node"}'; at most 20 are explained
    selector: String,
    /// Around which time: unix seconds, RFC 3339, or back from now as -1h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// How far before and behind it samples are shown
    #[arg(long, value_name = "TIME", default_value = "2m")]
    around: Length,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct Prefer {
    /// Replicas, the preferred one first; those that are not named follow by name
    #[arg(required = true, value_name = "REPLICA")]
    order: Vec<String>,
    /// The group, by the value of its cluster label; needed where there is more than one
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// From when on, in the samples' time: unix seconds or RFC 3339. Tell two Weirs the same [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// An instant as people read it.
pub(super) fn time_text(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis());
    time.map_or_else(|_| at.to_string(), |time| time.strftime("%F %T UTC").to_string())
}

/// Does what was asked.
pub(super) fn run(ha: &Ha) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let bold = out.is_terminal();
    let text = match ha {
        Ha::Status(ask) => ask.answer(Clock::system().now()),
        Ha::Explain(ask) => ask.answer(Clock::system().now(), bold),
        Ha::Prefer(ask) => ask.answer(Clock::system().now()),
    };
    match text.and_then(|text| written(out.write_all(text.as_bytes()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::complain(&[with_causes(error.as_ref())]),
    }
}

fn written(outcome: std::io::Result<()>) -> anyhow::Result<()> {
    match outcome {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("write the answer"),
    }
}

impl Status {
    fn answer(&self, now: Timestamp) -> anyhow::Result<String> {
        let mut data = self.server.ask(Method::GET, "/status/ha", &[], None)?;
        if let (Some(cluster), Some(groups)) = (&self.cluster, data["groups"].as_array_mut()) {
            groups.retain(|group| group["cluster"] == **cluster);
            if groups.is_empty() {
                bail!("no group {cluster:?} is known; `weir ha status` lists them");
            }
        }
        Ok(if self.json { format!("{data:#}\n") } else { status::text(&data, now) })
    }
}

impl Explain {
    fn answer(&self, now: Timestamp, bold: bool) -> anyhow::Result<String> {
        let at = self.at.as_deref().map_or(Ok(now), |at| read_time(at, now)).context("--at")?;
        let around = self.around.0;
        let (start, end) = ((at - around).to_string(), (at + around).to_string());
        let params = [("match[]", self.selector.clone()), ("start", start), ("end", end)];
        let data = self.server.ask(Method::GET, "/ha/explain", &params, None)?;
        Ok(if self.json { format!("{data:#}\n") } else { explain::text(&data, at, bold) })
    }
}

impl Prefer {
    fn answer(&self, now: Timestamp) -> anyhow::Result<String> {
        let cluster = match &self.cluster {
            Some(cluster) => cluster.clone(),
            None => self.only_group()?,
        };
        let mut params = vec![("cluster", cluster), ("order", self.order.join(","))];
        if let Some(from) = &self.from {
            params.push(("from", read_time(from, now).context("--from")?.to_string()));
        }
        let data = self.server.ask(Method::POST, "/ha/prefer", &params, None)?;
        if self.json {
            return Ok(format!("{data:#}\n"));
        }
        let order: Vec<&str> = data["order"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (from, cluster) = (status::time(&data["from"]), data["cluster"].as_str().unwrap_or_default());
        Ok(format!("group {}: {} from {from} on\n", status::named(cluster), order.join(", then ")))
    }

    fn only_group(&self) -> anyhow::Result<String> {
        let data = self.server.ask(Method::GET, "/status/ha", &[], None)?;
        let groups = data["groups"].as_array().into_iter().flatten();
        let names: Vec<&str> = groups.filter_map(|group| group["cluster"].as_str()).collect();
        match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => bail!("no group is known yet: no sender has named a replica"),
            several => bail!("there are several groups, give one by --cluster: {}", several.join(", ")),
        }
    }
}
