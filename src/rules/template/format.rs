//! Values as Go's `fmt` prints them.

use std::fmt::Write;

use super::humanize;
use super::value::Value;

/// Appends a value as `{{ value }}` prints it.
pub(super) fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("<no value>"),
        other => out.push_str(&shown(other)),
    }
}

/// A value under the verb `%v`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => general(*number, None),
        Value::String(text) => text.clone(),
        Value::Labels(labels) => {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Value::Struct(fields) => {
            let values: Vec<String> = fields.values().map(shown).collect();
            format!("{{{}}}", values.join(" "))
        }
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Sample(sample) => {
            format!("{{{} {}}}", shown(&Value::Labels(sample.labels.clone())), general(sample.value, None))
        }
        Value::Time(seconds) => humanize::time(*seconds),
        Value::Duration(seconds) => humanize::go_duration(*seconds),
    }
}

/// Go's `%g`: the shortest digits (or `precision` significant ones), with an exponent below 1e-4 and where the digits
/// before the point are more than 6 (or `precision`). (Go: strconv.FormatFloat, format 'g'.)
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
    };
    let (mantissa, exponent) = scientific.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    let limit = match precision {
        None => 6,
        Some(wanted) => {
            let wanted = wanted.max(1);
            let before_point = usize::try_from(exponent + 1).unwrap_or(0);
            if wanted > digits.len() && digits.len() >= before_point { digits.len() } else { wanted }
        }
    };
    if exponent < -4 || exponent >= i32::try_from(limit).unwrap_or(i32::MAX) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let (direction, size) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
        return format!("{sign}{first}{point}{rest}e{direction}{size:02}");
    }
    plain(sign, digits, exponent)
}

/// Digits around the decimal point.
fn plain(sign: &str, digits: &str, exponent: i32) -> String {
    match usize::try_from(exponent) {
        Err(_) => format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0))),
        Ok(exponent) if digits.len() <= exponent + 1 => {
            format!("{sign}{digits}{}", "0".repeat(exponent + 1 - digits.len()))
        }
        Ok(exponent) => format!("{sign}{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
    }
}

/// Most columns a width or precision may ask for.
const WIDTH_MAX: usize = 10_000;

/// Go's `Sprintf`.
pub(super) fn printf(pattern: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = Given { all: arguments, next: 0, chosen: false };
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = letters.next_if(|letter| "-+# 0".contains(*letter)) {
            match flag {
                '-' => verb.left = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                _ => verb.zeros = true,
            }
        }
        arguments.choose(&mut letters);
        verb.width = number(&mut letters, &mut arguments);
        if letters.next_if_eq(&'.').is_some() {
            arguments.choose(&mut letters);
            verb.precision = Some(number(&mut letters, &mut arguments).unwrap_or(0));
        }
        arguments.choose(&mut letters);
        match letters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match arguments.next() {
                None => write!(out, "%!{letter}(MISSING)").expect("a String takes every write"),
                Some(argument) => verb.write(&mut out, letter, argument),
            },
        }
    }
    let left = if arguments.chosen { &[][..] } else { arguments.all.get(arguments.next..).unwrap_or(&[]) };
    let extra: Vec<String> = left.iter().map(|value| format!("{}={}", value.type_name(), shown(value))).collect();
    if !extra.is_empty() {
        write!(out, "%!(EXTRA {})", extra.join(", ")).expect("a String takes every write");
    }
    out
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The arguments, and which one is next.
struct Given<'a> {
    all: &'a [Value],
    next: usize,
    /// Whether one was chosen by its number: then Go does not mind those that nobody asked for.
    chosen: bool,
}

impl<'a> Given<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        self.next += 1;
        self.all.get(self.next - 1)
    }

    /// `[2]`: the second one is next.
    fn choose(&mut self, letters: &mut Letters<'_>) {
        let mut ahead = letters.clone();
        if ahead.next() != Some('[') {
            return;
        }
        let digits: String = ahead.by_ref().take_while(|letter| *letter != ']').collect();
        if let Some(place) = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1)) {
            (self.next, self.chosen) = (place, true);
            *letters = ahead;
        }
    }
}

/// A width or precision: digits, or `*` for the next argument.
fn number(letters: &mut Letters<'_>, arguments: &mut Given<'_>) -> Option<usize> {
    if letters.next_if_eq(&'*').is_some() {
        return match arguments.next() {
            Some(Value::Int(width)) => usize::try_from(*width).ok().map(|width| width.min(WIDTH_MAX)),
            _ => None,
        };
    }
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse().ok().map(|width: usize| width.min(WIDTH_MAX))
}

/// `%-08.3f`, taken apart.
#[derive(Default)]
struct Verb {
    left: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zeros: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Verb {
    fn write(&self, out: &mut String, letter: char, value: &Value) {
        let text = match (letter, value) {
            ('v', Value::String(text)) if self.sharp => format!("{text:?}"),
            // Go: a plus asks for the names of fields here, not for a sign.
            ('v', Value::Float(number)) => general(*number, self.precision),
            ('v', value) => shown(value),
            ('T', value) => value.type_name().to_owned(),
            ('s', Value::String(text)) => self.cut(text),
            ('s', Value::Labels(_) | Value::Map(_) | Value::List(_) | Value::Time(_) | Value::Duration(_)) => {
                shown(value)
            }
            ('q', Value::String(text)) if self.sharp && !text.contains('`') => format!("`{text}`"),
            ('q', Value::String(text)) => crate::model::labels::Quoted(&self.cut(text)).to_string(),
            ('x', Value::String(text)) => text.bytes().fold(String::new(), |out, byte| out + &format!("{byte:02x}")),
            ('X', Value::String(text)) => text.bytes().fold(String::new(), |out, byte| out + &format!("{byte:02X}")),
            ('d', Value::Int(number)) => self.signed(value, number.to_string()),
            ('x', Value::Int(number)) => {
                format!("{}{}{:x}", minus(*number), if self.sharp { "0x" } else { "" }, number.unsigned_abs())
            }
            ('X', Value::Int(number)) => format!("{}{:X}", minus(*number), number.unsigned_abs()),
            ('o', Value::Int(number)) => format!("{}{:o}", minus(*number), number.unsigned_abs()),
            ('b', Value::Int(number)) => format!("{}{:b}", minus(*number), number.unsigned_abs()),
            ('c', Value::Int(number)) => {
                u32::try_from(*number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').into()
            }
            ('U', Value::Int(number)) => format!("U+{number:04X}"),
            ('t', Value::Bool(flag)) => flag.to_string(),
            ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Float(number) | Value::Duration(number))
                if matches!(value, Value::Float(_)) =>
            {
                self.signed(value, self.float(letter, *number))
            }
            (_, Value::Nil) => format!("%!{letter}(<nil>)"),
            _ => format!("%!{letter}({}={})", value.type_name(), shown(value)),
        };
        self.pad(out, &text, matches!(value, Value::Int(_) | Value::Float(_)));
    }

    fn float(&self, letter: char, number: f64) -> String {
        if !number.is_finite() {
            return general(number, None);
        }
        match letter {
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'g' => general(number, self.precision),
            'G' => general(number, self.precision).to_uppercase(),
            _ => {
                let text = format!("{number:.*e}", self.precision.unwrap_or(6));
                let (digits, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
                let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
                format!("{digits}{}{sign}{size:0>2}", if letter == 'e' { 'e' } else { 'E' })
            }
        }
    }

    fn cut(&self, text: &str) -> String {
        self.precision.map_or_else(|| text.to_owned(), |letters| text.chars().take(letters).collect())
    }

    fn signed(&self, value: &Value, text: String) -> String {
        let number = matches!(value, Value::Int(_) | Value::Float(_));
        match number && !text.starts_with(['-', '+']) {
            true if self.plus => format!("+{text}"),
            true if self.space => format!(" {text}"),
            _ => text,
        }
    }

    fn pad(&self, out: &mut String, text: &str, number: bool) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.left {
            out.push_str(text);
            out.extend(std::iter::repeat_n(' ', missing));
        } else if self.zeros && number {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            out.push_str(sign);
            out.extend(std::iter::repeat_n('0', missing));
            out.push_str(digits);
        } else {
            out.extend(std::iter::repeat_n(' ', missing));
            out.push_str(text);
        }
    }
}

fn minus(number: i64) -> &'static str {
    if number < 0 { "-" } else { "" }
}
