//! JSON as Prometheus writes it, written by hand: straight into pages of bytes, never into a tree.
//!
//! Field order is part of the format (`resultType` stands before `result`, or Grafana buffers), floats are quoted in
//! the shortest form, times are seconds with three decimals unless whole, and a large answer leaves in pages while it
//! is being written.
//!
//! Read next: [`answer`] and [`matrix`] for query results, [`pages`] for how they leave.

pub mod answer;
pub mod matrix;
pub mod histogram;
pub mod pages;
pub mod trace;

use crate::model::{Labels, Timestamp, number};

/// A piece of JSON under construction.
#[derive(Default)]
pub struct Json(String);

impl Json {
    /// Text that is JSON already: punctuation, keys, numbers.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.0.push_str(json);
        self
    }

    /// A quoted string.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.0.push('"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(must_be_escaped) {
            let (plain, tail) = rest.split_at(at);
            self.0.push_str(plain);
            match tail.as_bytes()[0] {
                b'"' => self.0.push_str("\\\""),
                b'\\' => self.0.push_str("\\\\"),
                b'\n' => self.0.push_str("\\n"),
                b'\r' => self.0.push_str("\\r"),
                b'\t' => self.0.push_str("\\t"),
                control => self.0.push_str(&format!("\\u{control:04x}")),
            }
            rest = &tail[1..];
        }
        self.0.push_str(rest);
        self.0.push('"');
        self
    }

    /// A sample's value: quoted, so that NaN and infinities survive.
    pub fn value(&mut self, value: f64) -> &mut Self {
        self.0.push('"');
        number::write_float(&mut self.0, value);
        self.0.push('"');
        self
    }

    /// A finite number without quotes.
    pub fn number(&mut self, value: f64) -> &mut Self {
        if value.is_finite() {
            number::write_float(&mut self.0, value);
        } else {
            self.0.push('0');
        }
        self
    }

    /// A whole number.
    pub fn integer(&mut self, value: impl itoa::Integer) -> &mut Self {
        self.0.push_str(itoa::Buffer::new().format(value));
        self
    }

    /// A time: seconds, with exactly three decimals unless whole.
    pub fn time(&mut self, at: Timestamp) -> &mut Self {
        let millis = at.as_millis().unsigned_abs();
        if at < Timestamp::EPOCH {
            self.0.push('-');
        }
        self.integer(millis / 1000);
        let rest = millis % 1000;
        if rest != 0 {
            self.0.push('.');
            for digit in [rest / 100, rest / 10 % 10, rest % 10] {
                self.0.push(char::from(b'0' + digit as u8));
            }
        }
        self
    }

    /// Labels as an object, in the order of names.
    pub fn labels(&mut self, labels: &Labels) -> &mut Self {
        self.object(labels.iter(), |json, value| {
            json.string(value);
        })
    }

    /// An object out of names and values.
    pub fn object<N: AsRef<str>, V>(
        &mut self,
        pairs: impl IntoIterator<Item = (N, V)>,
        mut write: impl FnMut(&mut Json, V),
    ) -> &mut Self {
        self.0.push('{');
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.string(name.as_ref());
            self.0.push(':');
            write(self, value);
        }
        self.0.push('}');
        self
    }

    /// An array.
    pub fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Json, T)) -> &mut Self {
        self.0.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            write(self, item);
        }
        self.0.push(']');
        self
    }

    /// A part of what is written already, once more.
    pub fn again(&mut self, part: std::ops::Range<usize>) {
        self.0.extend_from_within(part);
    }

    /// What is written from byte `start` on.
    pub fn written_from(&self, start: usize) -> &str {
        &self.0[start..]
    }

    /// Takes away what was written so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).into_bytes()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    /// What was written, as text.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_where_json_demands_it() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut json = Json::default();
            json.string(text);
            assert_eq!(json.into_string(), expected);
        }
        check("", r#""""#);
        check("plain é 日本", r#""plain é 日本""#);
        check("a\"b\\c\nd\te\rf", r#""a\"b\\c\nd\te\rf""#);
        check("\u{1}\u{1f}<&>", r#""\u0001\u001f<&>""#);
    }

    proptest::proptest! {
        #[test]
        fn every_string_reads_back(text in ".*") {
            let mut json = Json::default();
            json.string(&text);
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&json.into_string()).unwrap(), text);
        }

        #[test]
        fn every_time_is_written_as_it_is_printed(millis: i64) {
            let at = Timestamp::from_millis(millis);
            let mut json = Json::default();
            json.time(at);
            proptest::prop_assert_eq!(json.into_string(), at.to_string());
        }
    }
}
