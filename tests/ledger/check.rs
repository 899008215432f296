//! Asks the store for everything that a ledger covers, slice by slice and window by window.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::Check;
use super::judge::{Found, Law, Sent, Verdict};
use super::plan::{BUCKETS, METRIC, Plan, SLICE};
use super::record::{Record, Request};

/// Pause before a store that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Labels as the store prints them.
type Labels = BTreeMap<String, String>;

/// Judges all series of a ledger.
pub(crate) async fn run(options: &Check) -> anyhow::Result<Verdict> {
    let Record { plan, requests } = Record::read(&options.ledger)?;
    let store = Store::new(options)?;
    let law = match plan.replicas.is_empty() {
        true => Law::All,
        false => Law::Gapless { interval_ms: plan.interval_ms },
    };
    let ticks = requests.iter().map(|(request, _)| request.tick + 1).max().unwrap_or(0);
    let mut verdict = Verdict::default();
    for slice in 0..plan.series.div_ceil(SLICE) {
        let mut sent = sent_in(slice, &plan, &requests);
        let windows = windows(&plan, ticks, options.samples_per_query);
        let mut found: HashMap<Labels, Vec<Found>> = HashMap::new();
        for window in windows {
            for (labels, samples) in store.samples(&plan, slice, window).await? {
                found.entry(labels).or_default().extend(samples);
            }
        }
        for series in slice * SLICE..plan.series.min((slice + 1) * SLICE) {
            let labels: Labels = plan.labels(series).into_iter().collect();
            let (sent, found) = (sent.remove(&series).unwrap_or_default(), found.remove(&labels).unwrap_or_default());
            verdict.judge(&format!("series {series}"), law, sent, found);
        }
        for (labels, samples) in found {
            verdict.judge_stranger(&format!("{labels:?}"), samples.len() as u64);
        }
    }
    Ok(verdict)
}

/// What was sent of the series of a slice.
fn sent_in(slice: u32, plan: &Plan, requests: &[(Request, bool)]) -> HashMap<u32, Vec<Sent>> {
    let mut sent: HashMap<u32, Vec<Sent>> = HashMap::new();
    for (request, acked) in requests {
        let first = request.first.max(slice * SLICE);
        let end = (request.first + request.count).min((slice + 1) * SLICE);
        for series in first..end {
            let at_ms = plan.at_ms(request.sender, series, request.tick);
            let value = plan.value(request.sender, series, at_ms);
            sent.entry(series).or_default().push(Sent { at_ms, value, acked: *acked });
        }
    }
    sent
}

/// `(start, end]` in milliseconds.
type Window = (i64, i64);

/// Windows that cover all scrapes, and ten more on either side where nothing must be.
fn windows(plan: &Plan, ticks: u32, samples_max: i64) -> Vec<Window> {
    let per_scrape = i64::from(SLICE) * i64::from(plan.senders());
    let length = (samples_max / per_scrape).max(1) * plan.interval_ms;
    let start = plan.start_ms - 10 * plan.interval_ms;
    let end = plan.start_ms + (i64::from(ticks) + 11) * plan.interval_ms;
    let mut windows = Vec::new();
    let mut at = start;
    while at < end {
        windows.push((at, at + length));
        at += length;
    }
    windows
}

/// The store that is asked.
struct Store {
    http: reqwest::Client,
    url: String,
    patience: Duration,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Matrix>,
}

#[derive(Deserialize)]
struct Matrix {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, Whole)>,
}

/// What of a histogram is judged: its sum is the value, and its observations are as they were sent.
#[derive(Deserialize)]
struct Whole {
    count: String,
    sum: String,
}

impl Whole {
    /// The sum; a number that nobody sent where the observations are wrong.
    fn value(self) -> String {
        match self.count.parse() == Ok(BUCKETS.iter().sum::<i64>()) {
            true => self.sum,
            false => "NaN".to_owned(),
        }
    }
}

impl Store {
    fn new(options: &Check) -> anyhow::Result<Self> {
        Ok(Store {
            http: reqwest::Client::builder().timeout(Duration::from_secs(120)).build()?,
            url: format!("{}/api/v1/query", options.url.trim_end_matches('/')),
            patience: Duration::from_secs_f64(options.patience),
        })
    }

    /// The samples of a slice inside a window, as often as the store gives them.
    async fn samples(
        &self,
        plan: &Plan,
        slice: u32,
        (start, end): Window,
    ) -> anyhow::Result<Vec<(Labels, Vec<Found>)>> {
        let query = format!("{METRIC}{{ledger=\"{}\",slice=\"{slice}\"}}[{}ms]", plan.seed, end - start);
        let answer = self.ask(&query, end).await?;
        let mut series = Vec::new();
        for Matrix { metric, values, histograms } in answer {
            let mut samples = Vec::with_capacity(values.len() + histograms.len());
            let histograms = histograms.into_iter().map(|(seconds, histogram)| (seconds, histogram.value()));
            for (seconds, value) in values.into_iter().chain(histograms) {
                let at_ms = (seconds * 1000.0).round() as i64;
                // Before its version 3, Prometheus gave the left end of a window too.
                if at_ms > start {
                    samples.push((at_ms, value.parse().with_context(|| format!("not a value: {value:?}"))?));
                }
            }
            if !samples.is_empty() {
                series.push((metric, samples));
            }
        }
        Ok(series)
    }

    async fn ask(&self, query: &str, at_ms: i64) -> anyhow::Result<Vec<Matrix>> {
        let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
        let give_up = Instant::now() + self.patience;
        loop {
            let form = format!("query={}&time={time}", percent_encoded(query));
            let post = self.http.post(&self.url).header("Content-Type", "application/x-www-form-urlencoded").body(form);
            let failure = match post.send().await {
                Err(error) => error.to_string(),
                Ok(answer) if answer.status().is_server_error() => answer.status().to_string(),
                Ok(answer) => {
                    let text = answer.bytes().await?;
                    let answer: Answer = serde_json::from_slice(&text)
                        .with_context(|| format!("answer to {query}: {:.200}", String::from_utf8_lossy(&text)))?;
                    return match (answer.status.as_str(), answer.data) {
                        ("success", Some(data)) => Ok(data.result),
                        _ => bail!("{query}: {}", answer.error.unwrap_or_default()),
                    };
                }
            };
            if Instant::now() >= give_up {
                bail!("no answer to {query}: {failure}");
            }
            sleep(PAUSE).await;
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(replicas: &[&str]) -> Plan {
        let replicas = replicas.iter().map(|name| (*name).to_owned()).collect();
        Plan { seed: 3, series: 120, replicas, start_ms: 1_000_000, interval_ms: 1000, histograms: false }
    }

    #[test]
    fn windows_touch_and_cover_every_scrape() {
        let (plan, ticks) = (plan(&["a", "b"]), 1000);
        let windows = windows(&plan, ticks, 5000);
        assert!(windows.windows(2).all(|pair| pair[0].1 == pair[1].0), "no window overlaps another");
        assert!(windows.len() > 10);
        let (start, end) = (windows[0].0, windows[windows.len() - 1].1);
        for series in 0..plan.series {
            assert!(plan.at_ms(0, series, 0) > start && plan.at_ms(1, series, ticks - 1) <= end);
        }
    }

    #[test]
    fn a_slice_knows_what_was_sent_of_it() {
        let plan = plan(&[]);
        let request = |first, count, tick| Request { sender: 0, first, count, tick };
        let requests = [(request(0, 70, 0), true), (request(70, 50, 0), false), (request(0, 70, 1), false)];
        let sent = sent_in(1, &plan, &requests);
        assert_eq!(sent.len(), 50);
        let acked = |series: u32| sent[&series].iter().map(|sample| sample.acked).collect::<Vec<_>>();
        assert_eq!((acked(50), acked(69), acked(70)), (vec![true, false], vec![true, false], vec![false]));
        assert_eq!(sent[&50][0].at_ms, plan.at_ms(0, 50, 0));
    }

    #[test]
    fn replicas_send_other_values_at_other_times_of_one_series() {
        let plan = plan(&["a", "b"]);
        assert_ne!(plan.at_ms(0, 7, 3), plan.at_ms(1, 7, 3));
        assert_ne!(plan.value(0, 7, 5000), plan.value(1, 7, 5000));
        assert_ne!(plan.value(0, 7, 5000), plan.value(0, 8, 5000));
        assert_eq!(plan.labels_sent(0, 7).len(), plan.labels(7).len() + 1);
        assert!(plan.labels_sent(1, 7).is_sorted() && plan.labels(7).is_sorted());
    }
}
