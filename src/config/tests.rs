use super::*;

const SAMPLE: &str = include_str!("../../config/weir.yml");

#[test]
fn the_commented_sample_holds_the_defaults() {
    assert_eq!(read_text("config/weir.yml", SAMPLE), Ok(Config::default()));
}

#[test]
fn the_sample_names_every_key() {
    // A key that is missing from the sample would silently take its default, so take each line away from the sample's
    // keys and see that the struct's debug form has no field that the sample does not mention.
    let shown = format!("{:#?}", Config::default());
    for line in shown.lines() {
        let Some((field, _)) = line.trim().split_once(": ") else { continue };
        assert!(SAMPLE.contains(&format!("{field}:")), "config/weir.yml does not mention {field}");
    }
}

#[test]
fn a_wrong_file_says_where_and_what() {
    #[track_caller]
    fn check(text: &str, place: &str, part: &str) {
        let problems = read_text("weir.yml", text).expect_err(text);
        assert_eq!(problems[0].place, place, "{problems:?}");
        assert!(problems[0].what.contains(part), "{:?} does not say {part:?}", problems[0].what);
    }
    check("retension: 3d\n", "weir.yml:1:1", "retension");
    check("listen: 0.0.0.0:8488\nstorage:\n  fsinc: always\n", "weir.yml:3:3", "fsinc");
    check("retention: 3 days\n", "weir.yml:1:12", "90d");
    check("write:\n  body_max: 8 megs\n", "weir.yml:2:13", "32MiB");
    check("retention: 5m\n", "weir.yml:1:1", "at least 1h");
    check("write: {body_max: 64MiB}\n", "weir.yml", "write.decoded_max");
    check("query: {memory_max: 8GiB}\n", "weir.yml", "query.memory_total_max");
    check("query: 3\n", "weir.yml:1:8", "keys with values are expected");
    check("notifiers: http://one\n", "weir.yml:1:12", "a list is expected");
    check("write:\n  labels_max: -1\n", "weir.yml:2:15", "a whole number is expected");
    check("listen: nowhere\n", "weir.yml:1:9", "0.0.0.0:8488");
}

#[test]
fn all_that_is_wrong_is_named_at_once_with_its_place() {
    let text = "\
retension: 3d
listen: :8488
write:
  # all of this section goes
  labels_max: many
storage:
  fsync: always
  fsinc:
    - never

query:
  concurrency: 0
  timeout: 2x
notifiers: [localhost]
";
    let problems = read_text("weir.yml", text).expect_err("wrong");
    let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
    let expected =
        ["weir.yml:1:1", "weir.yml:5:15", "weir.yml:8:3", "weir.yml:13:12", "weir.yml:12:3", "weir.yml:14:1"];
    assert_eq!(places, expected, "{problems:#?}");
    assert_eq!(read_text("weir.yml", "a: [1\nb: 2\nc: 3").expect_err("no YAML").len(), 1, "the first that is no YAML");
}

#[test]
fn an_address_may_be_short_or_a_name() {
    for (text, expected) in [(":8488", "0.0.0.0:8488"), ("127.0.0.1:1", "127.0.0.1:1"), ("[::1]:2", "[::1]:2")] {
        assert_eq!(units::address(text), Ok(expected.parse().expect("an address")));
    }
    assert!(units::address("localhost:3").is_ok_and(|address| address.ip().is_loopback()));
    assert!(units::address("8488").is_err_and(|why| why.contains("localhost:8488")));
}

#[test]
fn all_relations_that_fail_are_named_at_once() {
    let problems =
        read_text("weir.yml", "retention: 5m\nquery:\n  concurrency: 0\nnotifiers: [localhost]\n").expect_err("wrong");
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_hundred_years_are_a_retention() {
    let config = read_text("weir.yml", "retention: 100y\n").expect("valid");
    assert_eq!(config.retention.to_string(), "100y");
}
