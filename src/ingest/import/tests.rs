//! Each form: what becomes of a good body, and of one with a line that cannot be read.

use crate::ingest::tests::{Door, Kept};
use crate::ingest::{ImportFormat, ImportRequest, IngestError, refusal_text};
use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint, Timestamp};
use crate::store::Appended;

use super::{CsvFormat, Precision};

const NOW: i64 = 1_700_000_000_000;

fn import_with(
    door: &Door,
    format: &ImportFormat,
    body: &[u8],
    encoding: Option<&str>,
    extra: &[(String, String)],
) -> Result<Appended, IngestError> {
    let received_at = Timestamp::from_millis(NOW);
    let request =
        ImportRequest { body, content_encoding: encoding, format, extra, replica: None, labels: &[], received_at };
    door.ingest.import(&request)
}

fn shown(kept: &Kept) -> Vec<String> {
    let one = |(name, samples): &(crate::store::SeriesName, Vec<crate::store::BatchSample>)| {
        let samples: Vec<String> =
            samples.iter().map(|sample| format!("{}@{}", sample.value, sample.at.as_millis())).collect();
        format!("{} {}", name.labels, samples.join(" "))
    };
    kept.series.iter().map(one).collect()
}

/// What is kept of `body`, a line a series; and what is said of the rest, if anything is wrong.
#[track_caller]
fn check(format: &ImportFormat, body: &str, kept: &[&str], refused: Option<&str>) {
    let door = Door::new();
    let appended = import_with(&door, format, body.as_bytes(), None, &[]).expect("the body can be read");
    assert_eq!(shown(&door.kept()), kept);
    let said = appended.refusals.has_faults().then(|| refusal_text(&appended.refusals));
    match (refused, said) {
        (Some(part), Some(said)) => assert!(said.contains(part), "{said}"),
        (None, None) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn native_histograms_are_read_as_they_were_exported() {
    let door = Door::new();
    let line = concat!(
        r#"{"metric":{"__name__":"h"},"histograms":[{"schema":3,"count":4,"sum":"Infinity","zero_threshold":0.25,"#,
        r#""zero_count":1,"positive_spans":[[-2,1]],"positive_buckets":[3],"reset_hint":"none","integer":true},null],"#,
        r#""timestamps":[1000,2000]}"#,
    );
    let appended = import_with(&door, &ImportFormat::JsonLines, line.as_bytes(), None, &[]).expect("a good line");
    assert_eq!((appended.samples, appended.histograms, appended.refusals.has_faults()), (0, 2, false));
    let kept = door.kept();
    let histograms: Vec<_> = kept.series[0].1.iter().map(|one| one.histogram.clone().expect("a histogram")).collect();
    let expected = Histogram {
        schema: 3,
        zero_threshold: 0.25,
        zero_count: 1.0,
        count: 4.0,
        sum: f64::INFINITY,
        positive_spans: vec![BucketSpan { offset: -2, length: 1 }],
        positive_buckets: vec![3.0],
        reset_hint: ResetHint::No,
        integer: true,
        ..Histogram::default()
    };
    assert_eq!((&*histograms[0], histograms[1].is_stale()), (&expected, true));

    let refused = |line: &str, why: &str| check(&ImportFormat::JsonLines, line, &[], Some(why));
    let with =
        |histogram: &str| format!(r#"{{"metric":{{"__name__":"h"}},"histograms":[{histogram}],"timestamps":[1]}}"#);
    refused(&with(r#"{"schema":99}"#), "unknown schema 99");
    refused(&with(r#"{"positive_buckets":[1]}"#), "positive spans of 0 buckets, but 1 buckets");
    refused(&with("1"), "line 1");
    refused(&with("null,null"), "2 histograms, but 1 timestamps");
    refused(r#"{"metric":{"__name__":"h"},"values":[1],"histograms":[null],"timestamps":[1,2]}"#, "in one line");
}

#[test]
fn prometheus_text_is_read_line_by_line() {
    let text = ImportFormat::Text { open_metrics: false };
    check(&text, "up 1\n", &["up 1@1700000000000"], None);
    check(
        &text,
        "# HELP http Requests\\nin all\n# TYPE http counter\n\nhttp{code=\"200\",path=\"a\\\"\\\\\\n\",} 5 1600000000123\r\n",
        &["http{code=\"200\", path=\"a\\\"\\\\\\n\"} 5@1600000000123"],
        None,
    );
    check(
        &text,
        "{\"my.metric\",\"label name\"=\"x\"} +Inf 5\n",
        &["{\"my.metric\", \"label name\"=\"x\"} inf@5"],
        None,
    );
    check(
        &text,
        "a 1\nb{c=\"d} 2\ne 3 4 5\nf x\ng 6",
        &["a 1@1700000000000", "g 6@1700000000000"],
        Some("line 2: a quote"),
    );
}

#[test]
fn open_metrics_counts_in_seconds_and_has_exemplars() {
    let text = ImportFormat::Text { open_metrics: true };
    let body = "# TYPE a counter\n# UNIT a seconds\na_total{x=\"1\"} 7 1.5 # {trace_id=\"t\"} 0.5 1.25\n# EOF\n";
    let door = Door::new();
    assert_eq!(import_with(&door, &text, body.as_bytes(), None, &[]).unwrap().exemplars, 1);
    let kept = door.kept();
    assert_eq!(shown(&kept), ["a_total{x=\"1\"} 7@1500"]);
    assert_eq!((kept.exemplars[0].1.value, kept.exemplars[0].1.at.as_millis()), (0.5, 1250));
    assert_eq!((kept.metadata[0].0.as_str(), kept.metadata[0].1.unit.as_str()), ("a", "seconds"));
    check(&text, "# EOF\na 1\n", &[], Some("behind # EOF"));
}

#[test]
fn json_lines_are_what_victoriametrics_exports() {
    let line = "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"values\":[1,2.5,\"NaN\"],\"timestamps\":[1,2,3]}\n";
    check(&ImportFormat::JsonLines, line, &["up{job=\"a\"} 1@1 2.5@2 NaN@3"], None);
    let body = format!("{{\"metric\":{{}},\"values\":[1],\"timestamps\":[]}}\nno json\n{line}");
    check(&ImportFormat::JsonLines, &body, &["up{job=\"a\"} 1@1 2.5@2 NaN@3"], Some("1 values, but 0 timestamps"));
    let many: Vec<String> = (0..50_000).map(|index: i64| index.to_string()).collect();
    let body = format!("{{\"metric\":{{\"__name__\":\"m\"}},\"values\":[{0}],\"timestamps\":[{0}]}}", many.join(","));
    let door = Door::new();
    import_with(&door, &ImportFormat::JsonLines, body.as_bytes(), None, &[]).unwrap();
    let batches: Vec<usize> = door.kept().series.iter().map(|(_, samples)| samples.len()).collect();
    assert_eq!(batches, [20_000, 20_000, 10_000], "batches are bounded");
}

proptest::proptest! {
    #[test]
    fn numbers_in_json_are_read_to_the_bit(bits: u64, small in -1e9..1e9_f64) {
        let values = [f64::from_bits(bits), small, small * 1e-140, 1e-128, 5e-324];
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        let shown: Vec<String> = values.iter().map(|value| crate::model::number::format_float(*value)).collect();
        let times: Vec<String> = (0..values.len()).map(|at| at.to_string()).collect();
        let line = format!(
            "{{\"metric\":{{\"__name__\":\"m\"}},\"values\":[{}],\"timestamps\":[{}]}}",
            shown.join(","),
            times.join(",")
        );
        let door = Door::new();
        import_with(&door, &ImportFormat::JsonLines, line.as_bytes(), None, &[]).unwrap();
        let read: Vec<u64> = door.kept().series[0].1.iter().map(|sample| sample.value.to_bits()).collect();
        let sent: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        proptest::prop_assert_eq!(read, sent);
    }
}

#[test]
fn csv_columns_mean_what_the_format_says() {
    let format = |text: &str| ImportFormat::Csv(text.parse().expect("a format"));
    let columns = format("1:label:host,3:metric:cpu,4:metric:mem,2:time:unix_s");
    check(
        &columns,
        "a,10,0.5,7\n\"b, \"\"c\"\"\",20,1,\n",
        &["cpu{host=\"a\"} 0.5@10000", "mem{host=\"a\"} 7@10000", "cpu{host=\"b, \\\"c\\\"\"} 1@20000"],
        None,
    );
    check(&columns, "host,time,cpu,mem\na,10,x,7\nb,1", &["mem{host=\"a\"} 7@10000"], Some("is no time"));
    check(&format("1:time:rfc3339,2:metric:m"), "2026-11-22T00:00:00Z,1", &["m 1@1795305600000"], None);
    check(&format("1:time:custom:%Y-%m-%d,2:metric:m"), "2026-11-22,1", &["m 1@1795305600000"], None);
    for (text, why) in [("", "2:metric:cpu"), ("0:metric:m", "column:label"), ("1:metric:m,2:time:x", "time form")] {
        assert!(text.parse::<CsvFormat>().expect_err(text).to_string().contains(why), "{text}");
    }
}

#[test]
fn influx_fields_become_metrics_and_tags_labels() {
    let influx = ImportFormat::Influx(Precision::Nanos, "db1".to_owned());
    check(
        &influx,
        "cpu\\ load,host=a\\,b usage=0.5,idle=12i,up=t,note=\"a, b=c\" 1600000000000000000\n# remark\n",
        &[
            "{\"cpu load_usage\", db=\"db1\", host=\"a,b\"} 0.5@1600000000000",
            "{\"cpu load_idle\", db=\"db1\", host=\"a,b\"} 12@1600000000000",
            "{\"cpu load_up\", db=\"db1\", host=\"a,b\"} 1@1600000000000",
        ],
        None,
    );
    let seconds = ImportFormat::Influx(Precision::Seconds, String::new());
    check(
        &seconds,
        "m v=1 5\nm\nm v=x,w=2\n",
        &["m_v 1@5000", "m_w 2@1700000000000"],
        Some("line 2: fields are missing"),
    );
}

#[test]
fn extra_labels_stand_in_place_of_a_series_own() {
    let door = Door::new();
    let extra = [("job".to_owned(), "mine".to_owned())];
    let format = ImportFormat::Text { open_metrics: false };
    import_with(&door, &format, b"up{job=\"yours\",a=\"b\"} 1 1\n", None, &extra).unwrap();
    assert_eq!(shown(&door.kept()), ["up{a=\"b\", job=\"mine\"} 1@1"]);
}

#[test]
fn bodies_are_decompressed_within_bounds() {
    use std::io::Write;
    let format = ImportFormat::Text { open_metrics: false };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"up 1 1\n").unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&b"up 1 1\n"[..], 1).unwrap();
    for (encoding, body) in [("gzip", &gzip[..]), ("zstd", &zstd), ("identity", b"up 1 1\n")] {
        let door = Door::new();
        assert_eq!(import_with(&door, &format, body, Some(encoding), &[]).unwrap().samples, 1, "{encoding}");
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b'\n'; 40 << 20]).unwrap();
    let error = import_with(&Door::new(), &format, &bomb.finish().unwrap(), Some("gzip"), &[]).unwrap_err();
    assert!(error.to_string().contains("decompresses to more than"), "{error}");
    let error = import_with(&Door::new(), &format, b"", Some("br"), &[]).unwrap_err();
    assert!(matches!(error, IngestError::Unsupported(_)), "{error}");
}

/// Ten thousand bodies of each form, each a good one with bytes changed: nothing panics, and a valid neighbour behind a
/// line feed that was left alone is kept.
#[test]
fn mutated_bodies_cost_no_neighbour() {
    let forms: [(ImportFormat, &str); 5] = [
        (
            ImportFormat::Text { open_metrics: false },
            "a{b=\"c\",d=\"e\\n\"} 1.5 1600000000000\n# TYPE a counter\n\"x\"y",
        ),
        (ImportFormat::Text { open_metrics: true }, "a{b=\"c\"} 1.5 1600000000 # {t=\"u\"} 2 3\n# UNIT a b\n"),
        (
            ImportFormat::JsonLines,
            "{\"metric\":{\"__name__\":\"a\",\"b\":\"c\"},\"values\":[1,null],\"timestamps\":[1,2]}",
        ),
        (ImportFormat::Csv("1:label:l,2:metric:m,3:time:unix_s".parse().unwrap()), "\"a\"\"b\",1.5,1600000000"),
        (
            ImportFormat::Influx(Precision::Nanos, String::new()),
            "a\\ b,c=d e=1.5,f=\"g\\\"h\",i=2i 1600000000000000000",
        ),
    ];
    let neighbours = [
        "good 7 1\n",
        "good 7 1\n",
        "{\"metric\":{\"__name__\":\"good\"},\"values\":[7],\"timestamps\":[1]}\n",
        "good,7,1\n",
        "good v=7 1000000\n",
    ];
    let mut seed = 0x1234_5678_9abc_def0_u64;
    for ((format, body), neighbour) in forms.iter().zip(neighbours) {
        let door = Door::new();
        for _ in 0..10_000 {
            let mut bytes = body.as_bytes().to_vec();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            // `# EOF` by chance would end the text, and rightly.
            let body = [neighbour.as_bytes(), &bytes, b"\n", neighbour.as_bytes()].concat();
            let appended = import_with(&door, format, &body, None, &[]).expect("lines fail, bodies do not");
            let good =
                door.kept().series.iter().filter(|(_, samples)| samples.iter().any(|one| one.value == 7.0)).count();
            assert!(good >= 2 || String::from_utf8_lossy(&bytes).contains("EOF"), "{appended:?}");
        }
    }
}
