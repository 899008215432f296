//! `process_*` metrics, with the names that every Prometheus client library uses. Read from `/proc` at each scrape;
//! where there is no `/proc`, there are no such metrics.

use std::fmt::Write;
use std::fs;

use crate::model::number::format_float;

/// Clock ticks per second that the kernel counts CPU time in: the same on every Linux that matters.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the metrics in OpenMetrics text.
pub(super) fn write(out: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces and brackets: fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // Field numbers of proc(5), which counts from 1 and has two fields before these.
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok());
    if let (Some(user), Some(system)) = (ticks(14), ticks(15)) {
        let seconds = (user + system) / TICKS_PER_SECOND;
        metric(out, "process_cpu_seconds", "counter", "_total", "User and system CPU time spent in seconds", seconds);
    }
    let boot = line_value("/proc/stat", "btime ");
    if let (Some(boot), Some(start)) = (boot, ticks(22)) {
        let seconds = boot + start / TICKS_PER_SECOND;
        let help = "Start time of the process since the Unix epoch in seconds";
        metric(out, "process_start_time_seconds", "gauge", "", help, seconds);
    }
    for (name, line, help) in [
        ("process_resident_memory_bytes", "VmRSS:", "Resident memory size in bytes"),
        ("process_virtual_memory_bytes", "VmSize:", "Virtual memory size in bytes"),
    ] {
        if let Some(kibibytes) = line_value("/proc/self/status", line) {
            metric(out, name, "gauge", "", help, kibibytes * 1024.0);
        }
    }
    if let Some(threads) = line_value("/proc/self/status", "Threads:") {
        metric(out, "process_threads", "gauge", "", "Number of threads of the process", threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        metric(out, "process_open_fds", "gauge", "", "Number of open file descriptors", open.count() as f64);
    }
    if let Some(limit) = line_value("/proc/self/limits", "Max open files") {
        metric(out, "process_max_fds", "gauge", "", "Maximum number of open file descriptors", limit);
    }
}

/// The first number behind `start` on the line that begins with it.
fn line_value(path: &str, start: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(start))?;
    line.split_whitespace().next()?.parse().ok()
}

fn metric(out: &mut String, name: &str, kind: &str, suffix: &str, help: &str, value: f64) {
    let value = format_float(value);
    write!(out, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name}{suffix} {value}\n")
        .expect("a String takes every write");
}
