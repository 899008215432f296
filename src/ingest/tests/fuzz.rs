//! Whatever was done to a body on its way: it is written or refused, nothing panics, nothing is the store's fault, and the
//! good series beside a bad one are kept.
//!
//! Each run takes ten thousand mutants of each protocol; many more: `cargo test --release fuzz_ -- --ignored`.

use crate::ingest::import::{CsvFormat, Precision};
use crate::ingest::{ImportFormat, ImportRequest};
use crate::model::mutate::Mutator;

use super::*;

/// Mutants of each protocol in every run.
const MUTANTS: u64 = 10_000;

/// And where one has time.
const MANY_MUTANTS: u64 = 2_000_000;

/// A way to send bodies, and what they look like where nothing is wrong.
struct Protocol {
    name: &'static str,
    road: Road,
    /// Good pieces; a body is pieces one after another.
    pieces: Vec<Vec<u8>>,
    /// Put into mutants now and then.
    words: &'static [&'static str],
    /// A good piece with a series of this name.
    neighbour: fn(&str) -> Vec<u8>,
    /// What stands in front of all pieces of a body.
    front: Vec<u8>,
    /// Whether what is wrong with a piece leaves the body readable; else the whole body may be refused.
    line_by_line: bool,
    /// What a mutated piece is wrapped in, so that the frame around it is whole.
    framed: fn(Vec<u8>) -> Vec<u8>,
}

enum Road {
    Write(Option<&'static str>),
    Import(ImportFormat),
}

/// A field of protobuf with its length.
fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(message.len() as u64, &mut out);
    out.extend_from_slice(message);
    out
}

fn as_line(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

fn lines(name: &'static str, format: ImportFormat, good: &[&str], neighbour: fn(&str) -> Vec<u8>) -> Protocol {
    Protocol {
        name,
        road: Road::Import(format),
        pieces: good.iter().map(|line| line.as_bytes().to_vec()).collect(),
        words: &["\"", "{", "}", "NaN", "1e400", "\\", ",", "=", "\u{fffd}", "# TYPE", "null", "[", "-", "\n"],
        neighbour,
        front: Vec::new(),
        line_by_line: true,
        framed: as_line,
    }
}

fn protocols() -> Vec<Protocol> {
    let mut one = series(&[("__name__", "up"), ("job", "a")], &[(1_000, 1.0), (2_000, f64::NAN), (i64::MAX, -0.0)]);
    one.histograms = vec![histograms::integer()];
    one.exemplars = vec![p1::Exemplar { labels: vec![label("trace_id", "x")], value: 1.0, timestamp: 3 }];
    let plain = series(&[("__name__", "x"), ("__replica__", "r"), ("cluster", "c")], &[(1_000, 1.0)]);
    let first = |name: &str| field(1, &series(&[("__name__", name)], &[(1, 1.0)]).encode_to_vec());
    let symbols = ["", "__name__", "up", "job", "a", "good_0", "good_1", "help"];
    let front: Vec<u8> = symbols.iter().flat_map(|symbol| field(4, symbol.as_bytes())).collect();
    let two = p2::TimeSeries {
        labels_refs: vec![1, 2, 3, 4],
        samples: vec![p2::Sample { value: 1.5, timestamp: 1_000, start_timestamp: 500 }],
        metadata: Some(p2::Metadata { r#type: 1, help_ref: 7, unit_ref: 0 }),
        ..p2::TimeSeries::default()
    };
    let three = p2::TimeSeries {
        labels_refs: vec![1, 2],
        histograms: vec![histograms::integer_v2()],
        exemplars: vec![p2::Exemplar { labels_refs: vec![3, 4], value: 1.0, timestamp: 2 }],
        ..p2::TimeSeries::default()
    };
    let second = |name: &str| {
        let reference = if name == "good_0" { 5 } else { 6 };
        let samples = vec![p2::Sample { value: 1.0, timestamp: 1, start_timestamp: 0 }];
        field(5, &p2::TimeSeries { labels_refs: vec![1, reference], samples, ..Default::default() }.encode_to_vec())
    };
    let columns = "1:label:job,2:metric:csv,3:time:unix_ms".parse::<CsvFormat>().expect("a good format");
    vec![
        Protocol {
            name: "remote write 1.0",
            road: Road::Write(None),
            pieces: vec![one.encode_to_vec(), plain.encode_to_vec()],
            words: &[],
            neighbour: first,
            front: Vec::new(),
            line_by_line: false,
            framed: |message| field(1, &message),
        },
        Protocol {
            name: "remote write 2.0",
            road: Road::Write(Some(V2)),
            pieces: vec![two.encode_to_vec(), three.encode_to_vec()],
            words: &[],
            neighbour: second,
            front,
            line_by_line: false,
            framed: |message| field(5, &message),
        },
        Protocol {
            name: "OTLP",
            road: Road::Import(ImportFormat::Otlp),
            pieces: otlp_seeds().iter().map(|json| otlp_message(json)).collect(),
            words: &[],
            neighbour: |name| field(1, &otlp_message(&otlp_gauge(name))),
            front: Vec::new(),
            line_by_line: false,
            framed: |message| field(1, &message),
        },
        Protocol {
            name: "OTLP in JSON",
            road: Road::Import(ImportFormat::OtlpJson),
            pieces: otlp_seeds().iter().map(|json| format!(r#"{{"resourceMetrics":[{json}]}}"#).into_bytes()).collect(),
            words: &[
                "\"",
                "{",
                "}",
                "[",
                "]",
                "null",
                "1e400",
                ":",
                "-1",
                "\\u0000",
                "\"asInt\":",
                "\"dataPoints\":[",
                "9e18",
            ],
            // One document is all there is.
            neighbour: |_| Vec::new(),
            front: Vec::new(),
            line_by_line: false,
            framed: |message| message,
        },
        lines(
            "text",
            ImportFormat::Text { open_metrics: false },
            &[
                "http{code=\"200\",path=\"a\\\"b\"} 5 1600000000123",
                "{\"my.metric\",\"label name\"=\"x\"} +Inf 5",
                "# HELP up Whether.",
            ],
            |name| format!("{name} 1 1\n").into_bytes(),
        ),
        lines(
            "OpenMetrics",
            ImportFormat::Text { open_metrics: true },
            &[
                "http_total{code=\"200\"} 5 1600000000.123 # {trace_id=\"x\"} 0.5 1",
                "# TYPE http counter",
                "a_bucket{le=\"1.0\"} 5",
            ],
            |name| format!("{name} 1 1\n").into_bytes(),
        ),
        lines(
            "JSON lines",
            ImportFormat::JsonLines,
            &[
                r#"{"metric":{"__name__":"up","job":"a\u00e9"},"values":[1,null,"NaN",1e9],"timestamps":[1,2,3,4]}"#,
                r#"{"metric":{"__name__":"h"},"histograms":[{"schema":3,"count":3,"positive_spans":[[0,1]],"positive_buckets":[3]},null],"timestamps":[1,2]}"#,
            ],
            |name| {
                format!("{{\"metric\":{{\"__name__\":\"{name}\"}},\"values\":[1],\"timestamps\":[1]}}\n").into_bytes()
            },
        ),
        lines("CSV", ImportFormat::Csv(columns), &["a,1.5,1600000000000", "\"a,\"\"b\",+Inf,5"], |name| {
            format!("{name},1,1\n").into_bytes()
        }),
        lines(
            "Influx",
            ImportFormat::Influx(Precision::Nanos, "db".to_owned()),
            &["cpu,host=a\\ b,core=0 user=1.5,system=2i,up=t,note=\"x y\" 1600000000000000000", "m v=1"],
            |name| format!("{name} v=1 1000000\n").into_bytes(),
        ),
    ]
}

fn otlp_gauge(name: &str) -> String {
    format!(
        r#"{{"scopeMetrics":[{{"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"1000000","asDouble":1}}]}}}}]}}]}}"#
    )
}

fn otlp_seeds() -> Vec<String> {
    let attributes = r#"[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host","value":{"arrayValue":{"values":[{"intValue":"3"}]}}}]"#;
    let point = r#""timeUnixNano":"2000000000","startTimeUnixNano":"1000000000","attributes":[{"key":"a.b","value":{"intValue":"3"}}]"#;
    [
        format!(r#""sum":{{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{{{point},"asInt":"7"}}]}}"#),
        format!(r#""histogram":{{"aggregationTemporality":2,"dataPoints":[{{{point},"count":"3","sum":4,"bucketCounts":["1","2"],"explicitBounds":[1]}}]}}"#),
        format!(r#""exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{{point},"count":"3","sum":4,"scale":2,"zeroCount":"1","positive":{{"offset":1,"bucketCounts":["1","1"]}}}}]}}"#),
        format!(r#""summary":{{"dataPoints":[{{{point},"count":"3","sum":4,"quantileValues":[{{"quantile":0.5,"value":1}}]}}]}}"#),
    ]
    .map(|data| {
        format!(
            r#"{{"resource":{{"attributes":{attributes}}},"scopeMetrics":[{{"metrics":[{{"name":"m.x","unit":"By","description":"d",{data}}}]}}]}}"#
        )
    })
    .to_vec()
}

/// The `ResourceMetrics` message of one in JSON.
fn otlp_message(json: &str) -> Vec<u8> {
    let request = crate::ingest::otlp::json::to_protobuf(format!(r#"{{"resourceMetrics":[{json}]}}"#).as_bytes());
    let request = request.expect("good JSON");
    let mut rest = &request[1..];
    let length = prost::encoding::decode_varint(&mut rest).expect("a length") as usize;
    assert_eq!(rest.len(), length);
    rest.to_vec()
}

impl Protocol {
    fn send(&self, door: &Door, body: &[u8]) -> Result<Appended, IngestError> {
        match &self.road {
            Road::Write(content_type) => {
                let asked =
                    WriteRequest { content_type: *content_type, content_encoding: Some("identity"), ..request(body) };
                door.ingest.write(&asked).map(|written| written.appended)
            }
            Road::Import(format) => door.ingest.import(&ImportRequest {
                body,
                content_encoding: None,
                format,
                extra: &[],
                replica: None,
                labels: &[],
                received_at: Timestamp::from_millis(1_700_000_000_000),
            }),
        }
    }

    fn feed(&self, first: u64, count: u64) {
        let door = Door::new();
        let (mut written, mut refused) = (0, 0);
        for number in first..first + count {
            let mut mutator = Mutator::new(number);
            let mut body = self.front.clone();
            body.extend((self.neighbour)("good_0"));
            let piece = mutator.mutant(&self.pieces, self.words);
            body.extend((self.framed)(piece));
            body.extend((self.neighbour)("good_1"));
            // Of every tenth nothing is left as it was.
            let torn = number % 10 == 0;
            let body = if torn { mutator.mutant(&[body], self.words) } else { body };
            let outcome = self.send(&door, &body);
            let kept = door.kept();
            let shown = || format!("{}, mutant {number}: {}", self.name, String::from_utf8_lossy(&body).into_owned());
            match outcome {
                Ok(_) => {
                    written += 1;
                    let has = |name: &str| {
                        let named = |labels: &Labels| {
                            let values = labels.iter().map(|(_, value)| value);
                            values.into_iter().any(|value| value.starts_with(name))
                        };
                        kept.series.iter().any(|(name, _)| named(&name.labels))
                    };
                    let neighbours = !torn && !(self.neighbour)("").is_empty();
                    assert!(!neighbours || (has("good_0") && has("good_1")), "a neighbour is lost: {}", shown());
                }
                Err(IngestError::Store(error)) => panic!("the store is blamed ({error}): {}", shown()),
                Err(error) => {
                    refused += 1;
                    assert!(!self.line_by_line, "a line costs all others ({error}): {}", shown());
                }
            }
        }
        assert!(written > count / 20, "{}: {written} of {count} written, {refused} refused", self.name);
    }
}

#[test]
fn mutants_of_bodies_are_written_or_refused_and_cost_no_neighbour() {
    for protocol in protocols() {
        protocol.feed(0, MUTANTS);
    }
}

/// Lengths that lie to the decompressor.
fn feed_packed(first: u64, count: u64) {
    let door = Door::new();
    for protocol in protocols() {
        let Road::Write(content_type) = protocol.road else { continue };
        let body =
            [protocol.front, (protocol.neighbour)("good_0"), (protocol.framed)(protocol.pieces[0].clone())].concat();
        let packed = snappy(&body);
        for number in first..first + count {
            let body = Mutator::new(number).mutant(std::slice::from_ref(&packed), &[]);
            match door.ingest.write(&WriteRequest { content_type, ..request(&body) }) {
                Err(IngestError::Store(error)) => panic!("the store is blamed ({error}), mutant {number}"),
                Ok(_) | Err(_) => drop(door.kept()),
            }
        }
    }
}

#[test]
fn mutants_of_packed_bodies_are_written_or_refused() {
    feed_packed(0, MUTANTS);
}

#[test]
#[ignore = "takes minutes"]
fn fuzz_ways_in() {
    for protocol in protocols() {
        protocol.feed(1_000_000, MANY_MUTANTS);
    }
    feed_packed(1_000_000, MANY_MUTANTS);
}
