//! Log lines: `ts=… level=… target=… msg=… key=value`, or one JSON object a line, to stderr.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;
use crate::config::LogFormat;
use crate::model::with_causes;

/// Starts logging for the whole process.
///
/// # Errors
/// Where `level` is no filter, or logging has started already.
pub fn start(format: LogFormat, level: &str, clock: Clock) -> anyhow::Result<()> {
    let filter = filter(level).map_err(anyhow::Error::msg)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Logfmt => lines.event_format(Logfmt { clock }).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!(error))
}

/// What is logged at this level.
///
/// # Errors
/// Where `level` is no filter.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let wrong = "is no log level; write error, warn, info, debug, trace, or for parts info,weir::rules=debug";
    EnvFilter::try_new(level).map_err(|_| format!("{level:?} {wrong}"))
}

/// Writes events as `key=value` pairs.
struct Logfmt {
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = jiff::Timestamp::from_millisecond(self.clock.now().as_millis()).map_err(|_| fmt::Error)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(out, "ts={now:.3} level={level} target={}", event.metadata().target())?;
        let mut pairs = Pairs { line: String::new() };
        event.record(&mut pairs);
        writeln!(out, "{}", pairs.line)
    }
}

/// Collects an event's fields.
struct Pairs {
    line: String,
}

impl Pairs {
    fn pair(&mut self, name: &str, value: &str) {
        let name = if name == "message" { "msg" } else { name };
        let plain =
            !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'=');
        match plain {
            true => write!(self.line, " {name}={value}"),
            false => write!(self.line, " {name}={value:?}"),
        }
        .expect("a String takes every write");
    }
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field.name(), &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.pair(field.name(), &with_causes(value));
    }
}
