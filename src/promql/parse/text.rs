//! String literals: Go's escapes read and written.
//!
//! Go strings are bytes and `"\xff"` is a legal one; labels in Weir are UTF-8. A byte that is part of no character is
//! held as the private-use character U+10FF00 + byte, so that it stays itself when printed back, equals no label
//! value that exists, and can be told from real text by [`has_raw_bytes`].

use std::fmt::{self, Write};

const RAW_BYTES: u32 = 0x10_FF00;

/// The byte that `letter` stands for, if it stands for one that is no text.
fn raw_byte(letter: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(letter).checked_sub(RAW_BYTES)?).ok()?;
    (byte >= 0x80).then_some(byte)
}

/// Whether `text` holds bytes that are no UTF-8: then it is no label name or value.
pub fn has_raw_bytes(text: &str) -> bool {
    text.chars().any(|letter| raw_byte(letter).is_some())
}

/// `text` as JSON shows it: each byte that is no UTF-8 as U+FFFD.
pub fn shown(text: &str) -> String {
    text.chars().map(|letter| if raw_byte(letter).is_some() { '\u{FFFD}' } else { letter }).collect()
}

/// Reads a literal with its quotes. The lexer has checked the escapes.
pub(super) fn unquote(literal: &str) -> String {
    let quote = literal.as_bytes()[0];
    let inner = &literal[1..literal.len() - 1];
    if quote == b'`' || !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let Some((escape, tail)) = rest.split_first() else { break };
        rest = tail;
        let mut digits = |count: usize, radix: u32, lead: &str| {
            let count = count.min(rest.len());
            let (number, tail) = rest.split_at(count);
            rest = tail;
            let number = format!("{lead}{}", String::from_utf8_lossy(number));
            u32::from_str_radix(&number, radix).unwrap_or(0)
        };
        match escape {
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'v' => bytes.push(11),
            b'x' => bytes.push(digits(2, 16, "") as u8),
            b'0'..=b'7' => bytes.push(digits(2, 8, &char::from(*escape).to_string()) as u8),
            b'u' | b'U' => {
                let code = digits(if *escape == b'u' { 4 } else { 8 }, 16, "");
                let letter = char::from_u32(code).unwrap_or('\u{FFFD}');
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            itself => bytes.push(*itself),
        }
    }
    from_bytes(&bytes)
}

fn from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push(char::from_u32(RAW_BYTES + u32::from(*byte)).expect("below U+110000"));
        }
    }
    text
}

/// A text as Go's `%q` writes it.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        self.0.chars().try_for_each(|letter| write_letter(out, letter, '"'))?;
        out.write_char('"')
    }
}

/// A character as Go's `%q` writes it.
pub(super) struct QuotedLetter(pub(super) char);

impl fmt::Display for QuotedLetter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('\'')?;
        write_letter(out, self.0, '\'')?;
        out.write_char('\'')
    }
}

/// A character as Go's `%#U` writes it: `U+0061 'a'`.
pub(super) struct CodePoint(pub(super) char);

impl fmt::Display for CodePoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "U+{:04X}", u32::from(self.0))?;
        if is_printable(self.0) { write!(out, " '{}'", self.0) } else { Ok(()) }
    }
}

fn write_letter(out: &mut fmt::Formatter<'_>, letter: char, quote: char) -> fmt::Result {
    if let Some(byte) = raw_byte(letter) {
        return write!(out, "\\x{byte:02x}");
    }
    match letter {
        _ if letter == quote || letter == '\\' => write!(out, "\\{letter}"),
        '\u{7}' => out.write_str("\\a"),
        '\u{8}' => out.write_str("\\b"),
        '\u{c}' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\u{b}' => out.write_str("\\v"),
        _ if is_printable(letter) => out.write_char(letter),
        _ if u32::from(letter) < 0x20 || letter == '\u{7f}' => write!(out, "\\x{:02x}", u32::from(letter)),
        _ if u32::from(letter) < 0x10000 => write!(out, "\\u{:04x}", u32::from(letter)),
        _ => write!(out, "\\U{:08x}", u32::from(letter)),
    }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the plain space.
fn is_printable(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    // The standard library knows what is printable but tells it only through Debug, which besides escapes combining
    // marks at the start of a text; behind another letter it does not.
    let probe: String = ['a', letter].iter().collect();
    probe.escape_debug().nth(1) != Some('\\')
}
