//! An expression in Go's syntax becomes one in that of the `regex` crate which means the same, or Go's error.
//!
//! The two read most expressions alike and differ quietly in the rest: here `\d \w \s \b` are ASCII, `[a&&b]` and
//! `[[a]` are plain classes, a `{` that starts no repetition is a literal, `\Q..\E` quotes, `\07` is octal, and
//! repetitions end at 1000. So nothing passes through unread: each piece is parsed by Go's rules (`regexp/syntax`,
//! Perl flags) and written in a form that leaves the crate no choice.

use std::collections::HashSet;
use std::fmt::Write;

use super::PatternError;

/// The deepest nesting of groups. (Go allows 1000; the matcher's compiler recurses, so less here.)
const GROUPS_DEEP_MAX: usize = 200;
/// How many classes such as `\pL` an expression may hold: each is hundreds of ranges once it is parsed.
const UNICODE_CLASSES_MAX: usize = 500;
/// The largest count of a repetition, and the largest product of nested ones.
const REPEAT_MAX: u64 = 1000;

/// `source` for the `regex` crate, not anchored.
pub(super) fn translate(source: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        source,
        rest: source,
        out: String::with_capacity(source.len() + 8),
        groups: Vec::new(),
        level: Level::default(),
        names: HashSet::new(),
        unicode_classes: 0,
        posix_end: source.rfind(":]").unwrap_or(0),
    };
    translator.run()?;
    Ok(translator.out)
}

fn error<T>(code: &str, expr: &str) -> Result<T, PatternError> {
    Err(PatternError(format!("error parsing regexp: {code}: `{expr}`")))
}

/// What has been read of one group.
#[derive(Default)]
struct Level {
    /// The product of repetitions in the last piece, if it can be repeated at all.
    last: Option<u64>,
    /// The largest such product in the group.
    most: u64,
}

impl Level {
    fn push(&mut self, product: u64) {
        self.last = Some(product);
        self.most = self.most.max(product);
    }
}

struct Translator<'a> {
    source: &'a str,
    rest: &'a str,
    out: String,
    groups: Vec<Level>,
    level: Level,
    names: HashSet<&'a str>,
    unicode_classes: usize,
    /// Where the last `:]` stands; without it a class full of `[:` would be searched for one again and again.
    posix_end: usize,
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), PatternError> {
        // Where the repetition directly before starts, for the message about `a**`.
        let mut last_repeat: Option<&'a str> = None;
        while let Some(letter) = self.rest.chars().next() {
            let repeat = match letter {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.out.push('|');
                    self.level.last = None;
                    None
                }
                '^' | '$' | '.' => {
                    self.skip(1);
                    self.out.push(letter);
                    self.level.push(1);
                    None
                }
                '[' => self.class()?,
                '*' | '+' | '?' => Some(self.repeat(1, None, last_repeat)?),
                '{' => match counts(self.rest) {
                    Some(counts) => Some(self.repeat(counts.length, Some(counts), last_repeat)?),
                    None => self.literal_first(),
                },
                '\\' => self.escape()?,
                _ => self.literal_first(),
            };
            last_repeat = repeat;
        }
        if self.groups.is_empty() { Ok(()) } else { error("missing closing )", self.source) }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn literal(&mut self, letter: char) {
        self.out.push_str(&regex_syntax::escape(letter.encode_utf8(&mut [0; 4])));
        self.level.push(1);
    }

    /// The next character stands for itself.
    fn literal_first(&mut self) -> Option<&'a str> {
        if let Some(letter) = self.rest.chars().next() {
            self.skip(letter.len_utf8());
            self.literal(letter);
        }
        None
    }

    fn open(&mut self) -> Result<Option<&'a str>, PatternError> {
        if self.rest.starts_with("(?P<") || self.rest.starts_with("(?<") {
            self.open_named()?;
        } else if self.rest.starts_with("(?") {
            self.open_flags()?;
        } else {
            self.skip(1);
            self.descend("(")?;
        }
        Ok(None)
    }

    fn descend(&mut self, written: &str) -> Result<(), PatternError> {
        if self.groups.len() >= GROUPS_DEEP_MAX {
            return error("expression nests too deeply", self.source);
        }
        self.groups.push(std::mem::take(&mut self.level));
        self.out.push_str(written);
        Ok(())
    }

    fn open_named(&mut self) -> Result<(), PatternError> {
        let Some(end) = self.rest.find('>') else { return error("invalid named capture", self.rest) };
        let (capture, rest) = self.rest.split_at(end + 1);
        let name = &capture[capture.find('<').map_or(0, |at| at + 1)..end];
        let valid = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if !valid || !self.names.insert(name) {
            return error("invalid named capture", capture);
        }
        self.rest = rest;
        // The crate's names start with no digit; such a group keeps its number only.
        let named = !name.starts_with(|letter: char| letter.is_ascii_digit());
        let written = if named { format!("(?P<{name}>") } else { "(".to_owned() };
        self.descend(&written)
    }

    /// `(?i)`, `(?s-i:`: flags up to the colon or the closing parenthesis.
    fn open_flags(&mut self) -> Result<(), PatternError> {
        let before = self.rest;
        let (mut negated, mut saw_flag) = (false, false);
        for (at, letter) in before.char_indices().skip(2) {
            let end = at + letter.len_utf8();
            match letter {
                'i' | 'm' | 's' | 'U' => saw_flag = true,
                '-' if !negated => (negated, saw_flag) = (true, false),
                ':' | ')' if !negated || saw_flag => {
                    self.skip(end);
                    if letter == ':' {
                        return self.descend(&before[..end]);
                    }
                    // `(?)` sets nothing; the crate does not know it.
                    if end > "(?)".len() {
                        self.out.push_str(&before[..end]);
                    }
                    return Ok(());
                }
                _ => return error("invalid or unsupported Perl syntax", &before[..end]),
            }
        }
        error("invalid or unsupported Perl syntax", before)
    }

    fn close(&mut self) -> Result<Option<&'a str>, PatternError> {
        let Some(outer) = self.groups.pop() else { return error("unexpected )", self.source) };
        let inner = std::mem::replace(&mut self.level, outer);
        self.level.push(inner.most.max(1));
        self.skip(1);
        self.out.push(')');
        Ok(None)
    }

    /// A repetition `length` bytes long; returns where it starts.
    fn repeat(
        &mut self,
        length: usize,
        counts: Option<Counts>,
        last_repeat: Option<&'a str>,
    ) -> Result<&'a str, PatternError> {
        let before = self.rest;
        let written = &before[..length];
        if let Some(Counts { least, most, .. }) = counts
            && (least > REPEAT_MAX || most.is_some_and(|most| most > REPEAT_MAX || most < least))
        {
            return error("invalid repeat count", written);
        }
        self.skip(length);
        if self.rest.starts_with('?') {
            self.skip(1);
        }
        let whole = &before[..before.len() - self.rest.len()];
        if let Some(last) = last_repeat {
            return error("invalid nested repetition operator", &last[..last.len() - self.rest.len()]);
        }
        let Some(product) = self.level.last else { return error("missing argument to repetition operator", whole) };
        if let Some(Counts { least, most, .. }) = counts {
            let times = most.unwrap_or(least);
            let repeated = if times == 0 { 1 } else { product.saturating_mul(times) };
            if (least >= 2 || times >= 2) && repeated > REPEAT_MAX {
                return error("invalid repeat count", whole);
            }
            self.level.push(repeated);
        }
        self.out.push_str(whole);
        Ok(before)
    }

    fn escape(&mut self) -> Result<Option<&'a str>, PatternError> {
        let zero_width = match self.rest.as_bytes().get(1) {
            Some(b'A') => Some("\\A"),
            Some(b'z') => Some("\\z"),
            Some(b'b') => Some("(?-u:\\b)"),
            Some(b'B') => Some("(?-u:\\B)"),
            Some(b'Q') => {
                self.quoted();
                return Ok(None);
            }
            _ => None,
        };
        if let Some(written) = zero_width {
            self.skip(2);
            self.out.push_str(written);
            self.level.push(1);
        } else if let Some(class) = self.known_class()? {
            self.out.push_str(&class);
            self.level.push(1);
        } else {
            let letter = self.escaped_letter()?;
            self.literal(letter);
        }
        Ok(None)
    }

    /// `\Q...\E`, or to the end.
    fn quoted(&mut self) {
        let inner = &self.rest[2..];
        let (quoted, rest) = inner.split_once("\\E").unwrap_or((inner, ""));
        self.rest = rest;
        quoted.chars().for_each(|letter| self.literal(letter));
    }

    /// A class by name: `\d`, `\pL`, `\p{Greek}`.
    fn known_class(&mut self) -> Result<Option<String>, PatternError> {
        let class = match self.rest.as_bytes().get(1) {
            Some(b'd') => "[0-9]",
            Some(b'D') => "[^0-9]",
            Some(b's') => "[\\t\\n\\x0C\\r ]",
            Some(b'S') => "[^\\t\\n\\x0C\\r ]",
            Some(b'w') => "[0-9A-Za-z_]",
            Some(b'W') => "[^0-9A-Za-z_]",
            Some(b'p' | b'P') => return self.unicode_class().map(Some),
            _ => return Ok(None),
        };
        self.skip(2);
        Ok(Some(class.to_owned()))
    }

    fn unicode_class(&mut self) -> Result<String, PatternError> {
        let mut negated = self.rest.as_bytes()[1] == b'P';
        let Some(first) = self.rest[2..].chars().next() else {
            return error("invalid character class range", self.rest);
        };
        let (whole, mut name) = if first == '{' {
            let Some(end) = self.rest.find('}') else { return error("invalid character class range", self.rest) };
            (&self.rest[..=end], &self.rest[3..end])
        } else {
            let end = 2 + first.len_utf8();
            (&self.rest[..end], &self.rest[2..end])
        };
        if let Some(inverse) = name.strip_prefix('^') {
            (negated, name) = (!negated, inverse);
        }
        let Some(class) = unicode_table(name) else { return error("invalid character class range", whole) };
        self.unicode_classes += 1;
        if self.unicode_classes > UNICODE_CLASSES_MAX {
            return error("expression too large", self.source);
        }
        self.skip(whole.len());
        Ok(format!("\\{}{{{class}}}", if negated { 'P' } else { 'p' }))
    }

    /// A backslash and what follows, as the one character it stands for.
    fn escaped_letter(&mut self) -> Result<char, PatternError> {
        let before = self.rest;
        let mut letters = before.chars();
        letters.next();
        let Some(letter) = letters.next() else { return error("trailing backslash at end of expression", "") };
        let code = match letter {
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            // A digit alone would refer back to a group, which RE2 cannot do.
            '1'..='7' if !letters.as_str().starts_with(|next| ('0'..='7').contains(&next)) => None,
            '0'..='7' => {
                let mut code = letter as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = letters.clone().next().and_then(|next| next.to_digit(8)) else { break };
                    letters.next();
                    code = code * 8 + digit;
                }
                Some(code)
            }
            'x' => hexadecimal(&mut letters),
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Some(letter as u32),
            _ => None,
        };
        self.rest = letters.as_str();
        match code.and_then(char::from_u32) {
            Some(letter) => Ok(letter),
            None => error("invalid escape sequence", &before[..before.len() - self.rest.len()]),
        }
    }

    fn class(&mut self) -> Result<Option<&'a str>, PatternError> {
        let before = self.rest;
        self.skip(1);
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.skip(1);
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.starts_with("[:")
                && self.source.len() - self.rest.len() < self.posix_end
                && let Some(end) = self.rest[2..].find(":]")
            {
                let name = &self.rest[..end + 4];
                if !is_posix_class(name) {
                    return error("invalid character class range", name);
                }
                self.skip(name.len());
                self.out.push_str(name);
                continue;
            }
            if self.rest.starts_with('\\')
                && let Some(class) = self.known_class()?
            {
                self.out.push_str(&class);
                continue;
            }
            self.class_range(before)?;
        }
        self.skip(1);
        self.out.push(']');
        self.level.push(1);
        Ok(None)
    }

    fn class_range(&mut self, class: &str) -> Result<(), PatternError> {
        let before = self.rest;
        let low = self.class_letter(class)?;
        let mut high = low;
        if self.rest.starts_with('-') && self.rest.len() >= 2 && !self.rest.starts_with("-]") {
            self.skip(1);
            high = self.class_letter(class)?;
            if high < low {
                return error("invalid character class range", &before[..before.len() - self.rest.len()]);
            }
        }
        write!(self.out, "\\x{{{:X}}}-\\x{{{:X}}}", low as u32, high as u32).expect("a String takes every write");
        Ok(())
    }

    fn class_letter(&mut self, class: &str) -> Result<char, PatternError> {
        match self.rest.chars().next() {
            None => error("missing closing ]", class),
            Some('\\') => self.escaped_letter(),
            Some(letter) => {
                self.skip(letter.len_utf8());
                Ok(letter)
            }
        }
    }
}

/// `{least,most}`
#[derive(Clone, Copy)]
struct Counts {
    least: u64,
    /// `None` where there is no upper end.
    most: Option<u64>,
    length: usize,
}

/// The repetition that `text` starts with; without one its brace is a literal.
fn counts(text: &str) -> Option<Counts> {
    let (least, rest) = digits(&text[1..]);
    let least = count(least)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = digits(rest);
            (Some(count(most)?), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    Some(Counts { least, most, length: text.len() - rest.len() })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn count(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
    // Too many digits are too large a number, not a literal.
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The digits behind `\x`.
fn hexadecimal(letters: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = letters.next()?;
    if first != '{' {
        let high = first.to_digit(16);
        let low = letters.next().and_then(|letter| letter.to_digit(16));
        return Some(high? * 16 + low?);
    }
    let (mut code, mut digits) = (0_u32, 0);
    loop {
        match letters.next()? {
            '}' => return (digits > 0).then_some(code),
            letter => code = code * 16 + letter.to_digit(16)?,
        }
        digits += 1;
        if code > 0x10_FFFF {
            return None;
        }
    }
}

/// Go knows general categories and scripts, by their exact names, and nothing else.
fn unicode_table(name: &str) -> Option<&str> {
    const CATEGORIES: &str = "Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No \
                              P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs";
    if CATEGORIES.split(' ').any(|category| category == name) {
        return Some(name);
    }
    let is_name = name.len() > 2
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphabetic());
    (is_name && regex_syntax::parse(&format!("\\p{{Script={name}}}")).is_ok()).then_some(name)
}

fn is_posix_class(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    let name = name.trim_start_matches("[:").trim_end_matches(":]");
    NAMES.contains(&name.strip_prefix('^').unwrap_or(name))
}
