//! Text into tokens: plain text, and what stands between `{{` and `}}`.

use super::TemplateError;

/// A token and the byte it begins at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Outside of actions, trimmed already.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$name`, `$`
    Variable(String),
    /// A function or keyword.
    Word(String),
    /// A quoted text, unquoted.
    Text2(String),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// `|` `(` `)` `,` `=`
    Sign(char),
    /// `:=`
    Declare,
    /// White space between operands: `.a .b` and `.a.b` differ.
    Space,
}

/// The place of a byte as line and column, from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1) + 1;
    (line, column)
}

/// An error at a byte of `text`.
pub(super) fn error(text: &str, at: usize, what: impl Into<String>) -> TemplateError {
    let (line, column) = place(text, at);
    TemplateError { line, column, what: what.into() }
}

/// All tokens of `text`.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let (mut at, mut trim_next) = (0, false);
    while at < text.len() {
        let open = text[at..].find("{{").map_or(text.len(), |found| at + found);
        let mut plain = &text[at..open];
        if trim_next {
            plain = plain.trim_start_matches([' ', '\t', '\r', '\n']);
        }
        let inside = open + 2;
        let trims_before =
            text[open..].starts_with("{{- ") || text[open..].starts_with("{{-\n") || text[open..].starts_with("{{-\t");
        if trims_before {
            plain = plain.trim_end_matches([' ', '\t', '\r', '\n']);
        }
        if !plain.is_empty() {
            tokens.push(Token { kind: Kind::Text(plain.to_owned()), at });
        }
        if open == text.len() {
            break;
        }
        let inside = if trims_before { inside + 1 } else { inside };
        let body = &text[inside..];
        if body.trim_start().starts_with("/*") {
            let end = body.find("*/").ok_or_else(|| error(text, open, "unclosed comment"))?;
            let rest = &body[end + 2..];
            trim_next = rest.trim_start().starts_with("-}}") && rest.starts_with([' ', '\t', '\n']);
            let close = rest.find("}}").ok_or_else(|| error(text, open, "comment ends before closing delimiter"))?;
            at = inside + end + 2 + close + 2;
            continue;
        }
        tokens.push(Token { kind: Kind::Open, at: open });
        let (end, trims_after) = action(text, inside, open, &mut tokens)?;
        tokens.push(Token { kind: Kind::Close, at: end });
        (at, trim_next) = (end, trims_after);
    }
    Ok(tokens)
}

/// The tokens of one action; where it ends, and whether the text behind it is trimmed.
fn action(text: &str, start: usize, open: usize, tokens: &mut Vec<Token>) -> Result<(usize, bool), TemplateError> {
    let mut at = start;
    loop {
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            return Err(error(text, open, "unclosed action"));
        };
        if rest.starts_with("}}") {
            return Ok((at + 2, false));
        }
        if rest.starts_with("-}}") && text[..at].ends_with([' ', '\t', '\n', '\r']) {
            return Ok((at + 3, true));
        }
        let mut push = |kind| tokens.push(Token { kind, at });
        at += match first {
            ' ' | '\t' | '\r' | '\n' => {
                push(Kind::Space);
                rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len()
            }
            '"' | '`' | '\'' => {
                let (kind, length) = quoted(rest).map_err(|what| error(text, at, what))?;
                push(kind);
                length
            }
            ':' if rest.starts_with(":=") => {
                push(Kind::Declare);
                2
            }
            '|' | '(' | ')' | ',' | '=' => {
                push(Kind::Sign(first));
                1
            }
            '.' if !rest[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                let name = word(&rest[1..]);
                push(if name.is_empty() { Kind::Dot } else { Kind::Field(name.to_owned()) });
                1 + name.len()
            }
            '$' => {
                let name = word(&rest[1..]);
                push(Kind::Variable(name.to_owned()));
                1 + name.len()
            }
            '0'..='9' | '.' | '+' | '-' => {
                let (kind, length) = number(rest).map_err(|what| error(text, at, what))?;
                push(kind);
                length
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let name = word(rest);
                push(Kind::Word(name.to_owned()));
                name.len()
            }
            other => return Err(error(text, at, format!("unexpected {other:?} in action"))),
        };
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(text.len());
    &text[..end]
}

fn number(text: &str) -> Result<(Kind, usize), String> {
    let end = text
        .char_indices()
        .find(|(at, letter)| {
            let sign_of_exponent = matches!(letter, '+' | '-') && *at > 0 && text[..*at].ends_with(['e', 'E']);
            let leading_sign = matches!(letter, '+' | '-') && *at == 0;
            !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_') || sign_of_exponent || leading_sign)
        })
        .map_or(text.len(), |(at, _)| at);
    let written = &text[..end];
    let digits = written.replace('_', "");
    let bad = || format!("bad number syntax: {written:?}");
    let (sign, body) = match digits.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8)] {
        if let Some(body) = body.strip_prefix(prefix) {
            return i64::from_str_radix(body, radix).map(|number| (Kind::Int(sign * number), end)).map_err(|_| bad());
        }
    }
    if let Ok(number) = digits.parse::<i64>() {
        return Ok((Kind::Int(number), end));
    }
    digits.parse::<f64>().map(|number| (Kind::Float(number), end)).map_err(|_| bad())
}

/// A quoted text at the beginning of `text`: its value, and how many bytes it takes.
fn quoted(text: &str) -> Result<(Kind, usize), String> {
    let mut letters = text.char_indices();
    let Some((_, quote)) = letters.next() else { return Err("unterminated quoted string".into()) };
    let mut value = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => {
                let length = at + 1;
                return match quote {
                    '\'' => {
                        let mut only = value.chars();
                        match (only.next(), only.next()) {
                            (Some(letter), None) => Ok((Kind::Int(i64::from(u32::from(letter))), length)),
                            _ => Err("malformed character constant".into()),
                        }
                    }
                    _ => Ok((Kind::Text2(value), length)),
                };
            }
            '\n' if quote != '`' => return Err("unterminated quoted string".into()),
            '\\' if quote != '`' => {
                let (_, escaped) = letters.next().ok_or("unterminated quoted string")?;
                let mut code = |digits: usize, radix: u32, first: Option<char>| {
                    let mut written: String = first.into_iter().collect();
                    written.extend(letters.by_ref().take(digits - written.len()).map(|(_, letter)| letter));
                    u32::from_str_radix(&written, radix).ok().and_then(char::from_u32).ok_or("invalid escape")
                };
                value.push(match escaped {
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    '\\' | '"' | '\'' => escaped,
                    'x' => code(2, 16, None)?,
                    'u' => code(4, 16, None)?,
                    'U' => code(8, 16, None)?,
                    '0'..='7' => code(3, 8, Some(escaped))?,
                    _ => return Err("unknown escape in quoted string".into()),
                });
            }
            plain => value.push(plain),
        }
    }
    Err(if quote == '`' { "unterminated raw quoted string" } else { "unterminated quoted string" }.into())
}
