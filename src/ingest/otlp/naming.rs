//! From OpenTelemetry's names to Prometheus', by one of Prometheus' translation strategies.
//!
//! Rules: opentelemetry.io "Prometheus and OpenMetrics compatibility", and Prometheus' `otlp:` configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

/// How names are translated; the words are Prometheus'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Translation {
    /// Letters that PromQL had no quotes for become `_`; unit and type are added.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Letters become `_`; nothing is added.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are; unit and type are added.
    NoUTF8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

/// What is made of OpenTelemetry's metrics; the names are those of Prometheus' `otlp:` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpSettings {
    /// How names are translated.
    pub translation_strategy: Translation,
    /// Attributes of a resource that become labels of each of its series.
    pub promote_resource_attributes: Vec<String>,
    /// Whether all of them do, but for `ignore_resource_attributes`.
    pub promote_all_resource_attributes: bool,
    /// Attributes that do not, where all others do.
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `service.name`, `service.namespace` and `service.instance.id` stand in `target_info` too.
    pub keep_identifying_resource_attributes: bool,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// Units by their name in UCUM, and Prometheus' word.
const UNITS: [(&str, &str); 32] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("m", "meters"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("bit", "bits"),
    ("kbit", "kilobits"),
    ("Mbit", "megabits"),
    ("Gbit", "gigabits"),
    ("K", "kelvin"),
    ("1", ""),
];

/// Units behind a slash: one of them.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

impl OtlpSettings {
    pub(super) fn promotes(&self, attribute: &str) -> bool {
        let among = |list: &[String]| list.iter().any(|name| name == attribute);
        match self.promote_all_resource_attributes {
            true => !among(&self.ignore_resource_attributes),
            false => among(&self.promote_resource_attributes),
        }
    }

    /// Whether `target_info` does without this attribute, since `job` and `instance` say it.
    pub(super) fn leaves_out_of_target(&self, attribute: &str) -> bool {
        !self.keep_identifying_resource_attributes
            && matches!(attribute, "service.name" | "service.namespace" | "service.instance.id")
    }

    fn escapes(&self) -> bool {
        use Translation::{UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes};
        matches!(self.translation_strategy, UnderscoreEscapingWithSuffixes | UnderscoreEscapingWithoutSuffixes)
    }

    fn adds_suffixes(&self) -> bool {
        use Translation::{NoUTF8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes};
        matches!(self.translation_strategy, UnderscoreEscapingWithSuffixes | NoUTF8EscapingWithSuffixes)
    }

    /// The name of a label.
    pub(super) fn label_name(&self, name: &str) -> String {
        if !self.escapes() || name.is_empty() {
            return name.to_owned();
        }
        let escaped: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        match escaped.as_bytes()[0].is_ascii_digit() {
            true => format!("key_{escaped}"),
            false => escaped,
        }
    }

    /// Labels of attributes. Values of names that become one are joined, in the order of the names they had.
    pub(super) fn labels<'a>(&self, attributes: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
        let mut sorted: Vec<_> = attributes.collect();
        sorted.sort_unstable();
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in sorted {
            labels
                .entry(self.label_name(name))
                .and_modify(|known| {
                    known.push(';');
                    known.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        labels
    }

    /// The name of a metric.
    pub(super) fn metric_name(&self, name: &str, unit: &str, kind: Kind) -> String {
        match (self.escapes(), self.adds_suffixes()) {
            (false, false) => name.to_owned(),
            (true, false) => {
                with_letter_first(name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect())
            }
            (false, true) => {
                let mut name = name.to_owned();
                let mut add = |suffix: &str| {
                    if !suffix.is_empty() && !name.ends_with(suffix) {
                        name.push('_');
                        name.push_str(suffix);
                    }
                };
                for suffix in unit_words(unit) {
                    add(&suffix);
                }
                add(if kind == Kind::Counter { "total" } else { "" });
                add(if unit.trim() == "1" && kind == Kind::Gauge { "ratio" } else { "" });
                name
            }
            (true, true) => {
                let mut words: Vec<String> = name
                    .split(|letter| !is_plain(letter) || letter == '_')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect();
                for word in unit_words(unit).iter().flat_map(|word| word.split('_')) {
                    if !word.is_empty() && !words.iter().any(|known| known == word) {
                        words.push(word.to_owned());
                    }
                }
                if kind == Kind::Counter {
                    words.retain(|word| word != "total");
                    words.push("total".to_owned());
                }
                if unit.trim() == "1" && kind == Kind::Gauge {
                    words.retain(|word| word != "ratio");
                    words.push("ratio".to_owned());
                }
                with_letter_first(words.join("_"))
            }
        }
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':')
}

fn with_letter_first(name: String) -> String {
    match name.as_bytes().first() {
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        _ => name,
    }
}

/// The words of a unit: `By/s` is `bytes`, `per_second`. What stands in braces is a remark.
fn unit_words(unit: &str) -> Vec<String> {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let plain = |part: &str| {
        let part = part.trim();
        if part.contains(['{', '}']) { String::new() } else { part.to_owned() }
    };
    let word = |table: &[(&str, &str)], part: String| {
        let known = table.iter().find(|(name, _)| *name == part).map(|(_, word)| (*word).to_owned());
        known.unwrap_or_else(|| {
            let letters = part.chars().map(|letter| if is_plain(letter) { letter } else { '_' });
            letters.collect::<String>().trim_matches('_').to_owned()
        })
    };
    let mut words = vec![word(&UNITS, plain(main))];
    let per = word(&PER, plain(per));
    if !per.is_empty() {
        words.push(format!("per_{per}"));
    }
    words.retain(|word| !word.is_empty());
    words
}
