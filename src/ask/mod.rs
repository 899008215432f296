//! `weir query`: asks a running Weir or Prometheus, or the data directory of a Weir that is stopped, and shows the
//! answer as a table, JSON, CSV or a plot in the terminal.
//!
//! Whoever answers, what comes back is the JSON of the Prometheus API: over HTTP ([`remote`]), or written by our own
//! API's writer from our own engine ([`local`]). So there is one form to read ([`answer`]) and every way of showing it
//! works for both. Nothing here is written to a store.
//!
//! Read next: [`answer`], then [`table`], [`plot`], [`explain`].

mod answer;
mod remote;
mod local;
mod table;
mod plot;
mod explain;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::clock::Clock;
use crate::http::params::{parse_span, parse_time};
use crate::model::{Span, Timestamp};

use answer::{Answer, Paint};

/// Asks the Weir at `url` something that its API knows and `weir query` does not.
///
/// # Errors
/// Who could not be asked, or answers no JSON.
pub fn ask_server(url: &str, path: &str, params: &[(&'static str, String)]) -> anyhow::Result<String> {
    remote::ask(url, &Request { path: path.to_owned(), params: params.to_vec() })
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub enum Ask {
    /// The value of an expression at one time
    Instant(Instant),
    /// The values of an expression over a stretch of time
    Range(Range),
    /// Which series there are
    Series(Series),
    /// Which label names there are, or which values one of them has
    Labels(Labels),
}

/// Who is asked, and how the answer is shown.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Ask the Weir or Prometheus that runs there [default: http://localhost:8488]
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,

    /// Ask the data directory of a Weir that is stopped
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// How the answer is shown [default: plot for ranges on a terminal, else table]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// How wide plots and tables are, in letters
    #[arg(long, default_value_t = 100, value_name = "LETTERS")]
    width: usize,

    /// With --data: PromQL features that are off by default, comma-separated
    #[arg(long = "promql.enable", value_name = "FEATURE", value_delimiter = ',')]
    promql_enable: Vec<String>,
}

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for eyes
    Table,
    /// The API's own
    Json,
    /// A line a sample, with a header
    Csv,
    /// A drawing of a range
    Plot,
}

/// Flags of `weir query instant`.
#[derive(Clone, Debug, Args)]
pub struct Instant {
    /// The expression
    expr: String,
    /// At which time: unix seconds, RFC 3339, or back from now as -1h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<String>,
    /// Also show how the answer was worked out, and what each part took
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    common: Common,
}

/// Flags of `weir query range`.
#[derive(Clone, Debug, Args)]
pub struct Range {
    /// The expression
    expr: String,
    /// From which time: unix seconds, RFC 3339, or back from now as -6h
    #[arg(long, value_name = "TIME", default_value = "-1h", allow_hyphen_values = true)]
    start: String,
    /// To which time [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
    /// How far points lie apart [default: as many points as a plot is wide]
    #[arg(long, value_name = "TIME")]
    step: Option<String>,
    /// Also show how the answer was worked out, and what each part took
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    common: Common,
}

/// Flags of `weir query series`.
#[derive(Clone, Debug, Args)]
pub struct Series {
    /// Selectors, e.g. 'up{job="node"}'; a series that fits one of them is listed
    #[arg(required = true)]
    selectors: Vec<String>,
    #[command(flatten)]
    over: Over,
    #[command(flatten)]
    common: Common,
}

/// Flags of `weir query labels`.
#[derive(Clone, Debug, Args)]
pub struct Labels {
    /// The label whose values are wanted; without it, the names of labels
    name: Option<String>,
    /// Only of series that fit; may stand several times
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    over: Over,
    #[command(flatten)]
    common: Common,
}

/// Which stretch of time a listing is about.
#[derive(Clone, Debug, Args)]
pub struct Over {
    /// From which time [default: the beginning]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// To which time [default: the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
}

/// A question as the API takes it.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    /// Below `/api/v1`: `/query`.
    path: String,
    params: Vec<(&'static str, String)>,
}

impl Request {
    fn new(path: impl Into<String>) -> Self {
        Request { path: path.into(), params: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push((name, value.into()));
        self
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Points of a range query that names no step: two for each letter of a plot.
const POINTS_A_LETTER: i64 = 2;

impl Ask {
    fn common(&self) -> &Common {
        match self {
            Ask::Instant(ask) => &ask.common,
            Ask::Range(ask) => &ask.common,
            Ask::Series(ask) => &ask.common,
            Ask::Labels(ask) => &ask.common,
        }
    }

    fn request(&self, now: Timestamp) -> anyhow::Result<Request> {
        let traced = |request: Request, explain: bool| if explain { request.with("trace", "1") } else { request };
        Ok(match self {
            Ask::Instant(ask) => {
                let at = ask.time.as_deref().map_or(Ok(now), |time| read_time(time, now)).context("--time")?;
                traced(Request::new("/query").with("query", &ask.expr).with("time", at.to_string()), ask.explain)
            }
            Ask::Range(ask) => {
                let start = read_time(&ask.start, now).context("--start")?;
                let end = ask.end.as_deref().map_or(Ok(now), |end| read_time(end, now)).context("--end")?;
                let step = match &ask.step {
                    Some(step) => parse_span(step).map_err(anyhow::Error::msg).context("--step")?,
                    None => {
                        let points = (ask.common.width as i64).clamp(20, 1000) * POINTS_A_LETTER;
                        Span::from_secs(((end - start).as_millis() / 1000 / points).max(1))
                    }
                };
                let request = Request::new("/query_range").with("query", &ask.expr);
                let request = request.with("start", start.to_string()).with("end", end.to_string());
                traced(request.with("step", step.as_seconds().to_string()), ask.explain)
            }
            Ask::Series(ask) => ask.over.add(Request::new("/series"), &ask.selectors, now)?,
            Ask::Labels(ask) => {
                let path = match &ask.name {
                    Some(name) => format!("/label/{name}/values"),
                    None => "/labels".to_owned(),
                };
                ask.over.add(Request::new(path), &ask.selectors, now)?
            }
        })
    }
}

impl Over {
    fn add(&self, mut request: Request, selectors: &[String], now: Timestamp) -> anyhow::Result<Request> {
        for selector in selectors {
            request = request.with("match[]", selector);
        }
        for (name, time) in [("start", &self.start), ("end", &self.end)] {
            if let Some(time) = time {
                let at = read_time(time, now).with_context(|| format!("--{name}"))?;
                request = request.with(name, at.to_string());
            }
        }
        Ok(request)
    }
}

/// Unix seconds or RFC 3339, `now`, or back from now: `-90m`.
///
/// # Errors
/// What the text would have to be.
pub fn read_time(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if text == "now" {
        return Ok(now);
    }
    let back = text.strip_prefix('-').filter(|back| back.parse::<f64>().is_err());
    match back {
        Some(back) => Ok(now - parse_span(back).map_err(anyhow::Error::msg)?),
        None => parse_time(text).map_err(anyhow::Error::msg),
    }
}

/// Asks, and shows the answer on standard output.
///
/// # Errors
/// What was asked wrongly, who could not be asked, what they said.
pub fn run(ask: &Ask) -> anyhow::Result<()> {
    let common = ask.common();
    let clock = Clock::system();
    let request = ask.request(clock.now())?;
    let body = match &common.data {
        Some(data) => local::ask(data, &common.promql_enable, &request, &clock)?,
        None => remote::ask(common.url.as_deref().unwrap_or("http://localhost:8488"), &request)?,
    };
    let mut out = std::io::stdout().lock();
    let terminal = out.is_terminal();
    match out.write_all(show(&body, ask, terminal)?.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write the answer"),
    }
}

/// The answer as text.
fn show(body: &str, ask: &Ask, terminal: bool) -> anyhow::Result<String> {
    let json: Value = serde_json::from_str(body).context("the answer is no JSON")?;
    if json["status"] != "success" {
        bail!("{}", json["error"].as_str().unwrap_or("the answer says neither success nor what is wrong"));
    }
    let common = ask.common();
    let plotted = terminal && matches!(ask, Ask::Range(_));
    let format = common.format.unwrap_or(if plotted { Format::Plot } else { Format::Table });
    if format == Format::Json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(&json)?));
    }
    let paint = Paint { colours: terminal };
    let answer = Answer::read(&json)?;
    let mut text = match format {
        Format::Plot => plot::draw(&answer, common.width, paint)?,
        Format::Csv => table::csv(&answer),
        Format::Table | Format::Json => table::table(&answer, paint),
    };
    if format != Format::Csv {
        for note in &answer.notes {
            text.push_str(&format!("{}\n", paint.dim(note)));
        }
    }
    match &json["trace"] {
        Value::Null
            if matches!(ask, Ask::Instant(Instant { explain: true, .. }) | Ask::Range(Range { explain: true, .. })) =>
        {
            text.push_str(&format!("\n{}\n", paint.dim("whoever answered does not explain queries")));
        }
        Value::Null => {}
        trace => text.push_str(&format!("\n{}", explain::tree(trace, common.width, paint))),
    }
    Ok(text)
}
