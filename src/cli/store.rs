//! `weir store`: what can be done with a data directory that no Weir has open.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use crate::app::day_text;
use crate::clock::Clock;
use crate::model::{Column, TimeRange, Timestamp, number, with_causes};
use crate::promql::parse::parse_selector;
use crate::store::SampleSource;
use crate::tsdb::catalogue::rocks::Rocks;
use crate::tsdb::stopped::{Stats, Stopped, Verified, carry_over};
use crate::tsdb::{Damage, LEVELS, Metrics, Progress, Settings, Sum, Tsdb, snapshot};

/// Which data directory.
#[derive(Debug, Args)]
pub(super) struct Data {
    /// Directory that holds all data
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", default_value = "./weir-data")]
    data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// What is kept: series, samples, bytes a sample, by day and by level
    Stats {
        #[command(flatten)]
        data: Data,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read every block of parts, log and catalogue, and name what is damaged; exit status 1 if anything is
    Verify {
        #[command(flatten)]
        data: Data,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print series or their samples: labels, value, milliseconds since 1970
    Dump {
        #[command(flatten)]
        data: Data,
        /// Which series, e.g. 'up{job="node"}'
        selector: String,
        /// What to print of them
        #[arg(long, value_enum, default_value_t = What::Samples)]
        what: What,
        /// Only samples from this time on, in seconds since 1970
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        from: Option<f64>,
        /// Only samples up to this time
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        to: Option<f64>,
    },
    /// Make a lost or damaged catalogue again from parts and log. The old one is kept beside it; deletions, alert
    /// states and metadata come over as far as it can be read
    RebuildCatalogue {
        #[command(flatten)]
        data: Data,
    },
    /// List the snapshots in a data directory, or remove one; the store may be running
    Snapshots {
        #[command(flatten)]
        data: Data,
        /// Remove this one
        #[arg(long, value_name = "NAME")]
        remove: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Every sample on a line
    Samples,
    /// Every series on a line
    Labels,
}

/// Does what was asked.
pub(super) fn run(store: &Store) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let done = match store {
        Store::Stats { data, json } => stats(&data.data, *json, &mut out).map(|()| true),
        Store::Verify { data, json } => verify(&data.data, *json, &mut out),
        Store::Dump { data, selector, what, from, to } => {
            dump(&data.data, selector, *what, (*from, *to), &mut out).map(|()| true)
        }
        Store::RebuildCatalogue { data } => rebuild(&data.data, &mut out).map(|()| true),
        Store::Snapshots { data, remove } => snapshots(&data.data, remove.as_deref(), &mut out).map(|()| true),
    };
    match done.and_then(|good| out.flush().context("print").map(|()| good)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => super::complain(&[with_causes(error.as_ref())]),
    }
}

fn stats(data: &Path, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let stats = Stopped::lock(data)?.stats()?;
    if json {
        return writeln!(out, "{}", stats_json(&stats)).context("print");
    }
    let Stats { series, parts, levels, days, kinds, disk, damages } = &stats;
    let all: u64 = disk.values().sum();
    writeln!(out, "series   {series}")?;
    writeln!(out, "samples  {}", parts.rows)?;
    writeln!(
        out,
        "bytes    {all}, {} a sample; in parts {}, {} a sample",
        per(all, parts.rows),
        parts.bytes,
        of(parts)
    )?;
    for (name, bytes) in disk {
        writeln!(out, "  {name:<10} {bytes:>16}")?;
    }
    writeln!(out, "in parts")?;
    for (name, bytes) in kinds {
        writeln!(out, "  {name:<40} {bytes:>16}")?;
    }
    writeln!(out, "{:<12} {:>8} {:>16} {:>16} {:>12}", "", "parts", "samples", "bytes", "a sample")?;
    let mut row = |name: &str, sum: &Sum| {
        writeln!(out, "{name:<12} {:>8} {:>16} {:>16} {:>12}", sum.parts, sum.rows, sum.bytes, of(sum))
    };
    LEVELS.iter().zip(levels).try_for_each(|(name, sum)| row(name, sum))?;
    days.iter().try_for_each(|(day, sum)| row(&day_text(*day), sum))?;
    damages.iter().try_for_each(|damage| writeln!(out, "damaged: {damage}"))?;
    Ok(())
}

fn of(sum: &Sum) -> String {
    per(sum.bytes, sum.rows)
}

fn per(bytes: u64, rows: u64) -> String {
    match rows {
        0 => "-".to_owned(),
        _ => format!("{:.3}", bytes as f64 / rows as f64),
    }
}

fn stats_json(stats: &Stats) -> serde_json::Value {
    let sum = |sum: &Sum| serde_json::json!({"parts": sum.parts, "samples": sum.rows, "bytes": sum.bytes});
    let levels: BTreeMap<_, _> = LEVELS.iter().zip(&stats.levels).map(|(name, level)| (*name, sum(level))).collect();
    let days: BTreeMap<_, _> = stats.days.iter().map(|(day, own)| (day_text(*day), sum(own))).collect();
    serde_json::json!({
        "series": stats.series, "parts": sum(&stats.parts), "levels": levels, "days": days, "kinds": stats.kinds, "disk": stats.disk,
        "damages": stats.damages.iter().map(damage_json).collect::<Vec<_>>(),
    })
}

fn damage_json(damage: &Damage) -> serde_json::Value {
    serde_json::json!({"file": damage.file, "offset": damage.offset, "found": damage.found})
}

/// Tells whether all is well.
fn verify(data: &Path, json: bool, out: &mut impl Write) -> anyhow::Result<bool> {
    let stopped = Stopped::lock(data)?;
    let mut damages: Vec<Damage> = Vec::new();
    // Whoever reads a block twice finds the same damage twice.
    let mut report = |damage: Damage| match damages.contains(&damage) {
        true => {}
        false => damages.push(damage),
    };
    let mut verified = stopped.verify(&mut report)?;
    let catalogue = data.join("catalogue");
    match open_existing(&catalogue) {
        Ok(Some(rocks)) => stopped.verify_catalogue(&rocks, &mut verified, &mut report)?,
        Ok(None) => report(Damage { file: catalogue, offset: 0, found: "no catalogue".into() }),
        Err(error) => report(Damage { file: catalogue, offset: 0, found: with_causes(error.as_ref()) }),
    }
    let Verified { parts, rows, segments, records, torn_bytes, catalogue_rows, set_aside } = verified;
    if json {
        let list: Vec<_> = damages.iter().map(damage_json).collect();
        let all = serde_json::json!({
            "damages": list, "parts": parts, "samples": rows, "segments": segments, "records": records,
            "tornBytes": torn_bytes, "catalogueRows": catalogue_rows, "setAside": set_aside,
        });
        writeln!(out, "{all}")?;
        return Ok(damages.is_empty());
    }
    damages.iter().try_for_each(|damage| writeln!(out, "{damage}"))?;
    writeln!(
        out,
        "{} damaged places; read {parts} parts with {rows} good samples, {segments} log segments with {records} records \
         ({torn_bytes} bytes torn at the end), {catalogue_rows} rows of the catalogue; {set_aside} files set aside before",
        damages.len()
    )?;
    Ok(damages.is_empty())
}

fn open_existing(catalogue: &Path) -> anyhow::Result<Option<Rocks>> {
    match catalogue.is_dir() {
        true => Ok(Some(Rocks::open(catalogue)?)),
        false => Ok(None),
    }
}

/// The store as a start would open it.
fn open(data: &Path) -> anyhow::Result<Tsdb> {
    drop(Stopped::lock(data)?);
    let catalogue = Box::new(Rocks::open(&data.join("catalogue"))?);
    let settings = Settings { data: data.to_path_buf(), ..Settings::default() };
    let (now, progress) = (Clock::system().now(), Progress::default());
    Ok(Tsdb::open(settings, catalogue, Metrics::default(), now, &progress)?)
}

fn dump(
    data: &Path,
    selector: &str,
    what: What,
    (from, to): (Option<f64>, Option<f64>),
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let matchers = parse_selector(selector).with_context(|| format!("{selector:?} selects no series"))?;
    let at = |seconds: f64| Timestamp::from_millis((seconds * 1000.0) as i64);
    let range = TimeRange::new(from.map_or(TimeRange::ALL.start(), at), to.map_or(TimeRange::ALL.end(), at));
    let range = range.context("--from lies behind --to")?;
    let store = open(data)?;
    if what == What::Labels {
        for labels in store.series(&matchers, range)? {
            writeln!(out, "{labels}")?;
        }
        return Ok(());
    }
    let found = store.select(&matchers, range)?;
    let (mut column, mut value) = (Column::default(), String::new());
    for series in &found.series {
        series.samples.read(&mut column)?;
        let mut histograms = column.histograms.iter().peekable();
        for (row, at) in column.at.iter().enumerate() {
            value.clear();
            match histograms.next_if(|(own, _)| *own == row) {
                Some((_, histogram)) => value.push_str(&format!("{histogram:?}")),
                None => number::write_float(&mut value, column.values[row]),
            }
            writeln!(out, "{} {value} {}", series.labels, at.as_millis())?;
        }
    }
    for warning in found.warnings.all() {
        eprintln!("weir: {warning}");
    }
    Ok(())
}

fn rebuild(data: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let stopped = Stopped::lock(data)?;
    let catalogue = data.join("catalogue");
    let mut places = (1..).map(|number| data.join(format!("catalogue.old-{number}")));
    let aside = places.find(|place| !place.exists()).expect("numbers never end");
    let had_one = catalogue.exists();
    if had_one {
        std::fs::rename(&catalogue, &aside).with_context(|| format!("put {} aside", catalogue.display()))?;
    }
    let new = Rocks::open(&catalogue)?;
    match open_existing(&aside) {
        Ok(Some(old)) => {
            let (rows, lost) = carry_over(&old, &new)?;
            writeln!(out, "{rows} rows of deletions, journal and metadata come over from {}", aside.display())?;
            lost.iter().try_for_each(|what| writeln!(out, "lost: {what}"))?;
        }
        Ok(None) => writeln!(out, "there is no old catalogue: deletions, alert states and metadata are lost")?,
        Err(error) => writeln!(out, "lost with the old catalogue: {}", with_causes(error.as_ref()))?,
    }
    drop((new, stopped));
    let store = open(data)?;
    let status = store.status();
    store.close()?;
    status.recovered.damages.iter().try_for_each(|damage| writeln!(out, "damaged: {damage}"))?;
    writeln!(
        out,
        "the catalogue names {} parts and {} series; {} samples are in the log",
        status.parts, status.series, status.recovered.samples
    )?;
    Ok(())
}

fn snapshots(data: &Path, remove: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(name) = remove {
        return Ok(snapshot::remove(data, name)?);
    }
    snapshot::list(data)?.iter().try_for_each(|name| writeln!(out, "{name}"))?;
    Ok(())
}
