//! The ledger file: a plan, then a line for each thing that happened, in the order in which it happened.
//!
//! ```text
//! plan {"seed":1,...}
//! sent 17 0 500 499 3      request 17: sender 0, series 500 up to 999, scrape 3
//! unknown 17 timeout       no answer; the same request is sent again
//! acked 17                 answered with 2xx
//! refused 18 400 ...       answered with 4xx; what it held counts as unknown
//! ```
//! A line is written in one piece before the program goes on, so that the ledger of a driver that was killed is as
//! good as any other; only its last line may be cut.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, bail};

use super::plan::Plan;

/// A request: one sample of each series from `first` on, taken by `sender` in the scrape `tick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) sender: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) tick: u32,
}

/// Writes a ledger.
pub(crate) struct Writer {
    file: Mutex<File>,
}

impl Writer {
    /// Begins a ledger; one that exists is not touched.
    pub(crate) fn create(path: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        let writer = Writer { file: Mutex::new(file.with_context(|| format!("create ledger {}", path.display()))?) };
        writer.line(&format!("plan {}", serde_json::to_string(plan)?))?;
        Ok(writer)
    }

    pub(crate) fn sent(&self, id: u64, request: Request) -> anyhow::Result<()> {
        let Request { sender, first, count, tick } = request;
        self.line(&format!("sent {id} {sender} {first} {count} {tick}"))
    }

    pub(crate) fn acked(&self, id: u64) -> anyhow::Result<()> {
        self.line(&format!("acked {id}"))
    }

    pub(crate) fn unknown(&self, id: u64, why: &str) -> anyhow::Result<()> {
        self.line(&format!("unknown {id} {}", why.replace('\n', " ")))
    }

    pub(crate) fn refused(&self, id: u64, why: &str) -> anyhow::Result<()> {
        self.line(&format!("refused {id} {}", why.replace('\n', " ")))
    }

    fn line(&self, text: &str) -> anyhow::Result<()> {
        let mut file = self.file.lock().map_err(|_| anyhow::anyhow!("a writer of the ledger panicked"))?;
        file.write_all(format!("{text}\n").as_bytes()).context("write ledger")
    }
}

/// A ledger as it was kept.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) plan: Plan,
    /// Requests, and whether they were acknowledged.
    pub(crate) requests: Vec<(Request, bool)>,
}

impl Record {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read ledger {}", path.display()))?;
        Record::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let Some(plan) = lines.next().and_then(|line| line.strip_prefix("plan ")) else {
            bail!("a ledger begins with its plan");
        };
        let plan = serde_json::from_str(plan).context("read plan")?;
        let (mut requests, mut places) = (Vec::new(), HashMap::new());
        for line in lines {
            let wrong = || format!("not a line of a ledger: {line:?}");
            let (what, rest) = line.split_once(' ').with_context(wrong)?;
            let id: u64 = rest.split(' ').next().unwrap_or_default().parse().with_context(wrong)?;
            match what {
                "sent" => {
                    let numbers: Vec<u32> =
                        rest.split(' ').skip(1).map(str::parse).collect::<Result<_, _>>().with_context(wrong)?;
                    let [sender, first, count, tick] = numbers[..] else { bail!(wrong()) };
                    places.insert(id, requests.len());
                    requests.push((Request { sender, first, count, tick }, false));
                }
                "acked" => {
                    let place: &usize = places.get(&id).with_context(wrong)?;
                    requests[*place].1 = true;
                }
                "unknown" | "refused" => {}
                _ => bail!(wrong()),
            }
        }
        Ok(Record { plan, requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"plan {"seed":1,"series":2,"replicas":["a"],"start_ms":0,"interval_ms":15000}"#;

    #[test]
    fn a_ledger_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let replicas = vec!["a".to_owned()];
        let plan = Plan { seed: 7, series: 100, replicas, start_ms: 5, interval_ms: 1000, histograms: true };
        let writer = Writer::create(&path, &plan).unwrap();
        let request = |tick| Request { sender: 0, first: 50, count: 50, tick };
        for id in 0..4 {
            writer.sent(id, request(id as u32)).unwrap();
        }
        writer.unknown(0, "reset\nby peer").unwrap();
        writer.acked(0).unwrap();
        writer.unknown(1, "timeout").unwrap();
        writer.refused(2, "400 bad").unwrap();
        let record = Record::read(&path).unwrap();
        assert_eq!(record.plan, plan);
        let expected = [(request(0), true), (request(1), false), (request(2), false), (request(3), false)];
        assert_eq!(record.requests, expected);
        assert!(Writer::create(&path, &plan).is_err(), "a ledger is not written over");
    }

    #[test]
    fn only_the_last_line_may_be_cut() {
        let cut = Record::parse(&format!("{PLAN}\nsent 0 0 0 2 0\nacked 0\nsent 1 0 0 2")).unwrap();
        assert_eq!(cut.requests.len(), 1);
        for broken in ["", "sent 0 0 0 2 0\n", "acked 0\n", "sent 0 0 0\n", "lost 0\n"] {
            let text = if broken.is_empty() { String::new() } else { format!("{PLAN}\n{broken}") };
            assert_eq!(Record::parse(&text).is_err(), broken != "sent 0 0 0 2 0\n", "{broken:?}");
        }
    }
}
