//! Text becomes tokens, one at a time, as the parser asks for them.
//!
//! PromQL cannot be cut into tokens without knowing where one is: inside braces there are no keywords, inside
//! brackets only durations, and an unclosed parenthesis is noticed here, at the end of the text. The order of these
//! checks decides which of several mistakes is reported, so it follows Prometheus' `promql/parser/lex.go`.

use super::text::{CodePoint, Quoted, QuotedLetter};
use super::token::{Keyword, Kind, Token, reserved};
use crate::promql::ast::{BinaryOp, Position};

/// What the lexer cannot read: from where on, and why.
pub(super) struct LexError {
    pub(super) start: usize,
    pub(super) message: String,
}

type Lexed = Result<Kind, String>;

pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Where the current token starts.
    start: usize,
    /// The next byte to read; always at a character's start.
    at: usize,
    parens: i64,
    in_braces: bool,
    in_brackets: bool,
    /// Between `[` and the first number only a duration expression may stand.
    expects_duration: bool,
    saw_duration: bool,
    saw_colon: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer {
            text,
            start: 0,
            at: 0,
            parens: 0,
            in_braces: false,
            in_brackets: false,
            expects_duration: false,
            saw_duration: false,
            saw_colon: false,
        }
    }

    /// The next token; `Kind::End` for ever once the text is over.
    pub(super) fn next(&mut self) -> Result<Token, LexError> {
        self.skip_blanks();
        self.start = self.at;
        let kind = if self.in_braces {
            self.inside_braces()
        } else if self.expects_duration {
            self.inside_duration()
        } else {
            self.statement()
        };
        match kind {
            Ok(kind) => Ok(Token { kind, position: Position { start: self.start, end: self.at } }),
            Err(message) => Err(LexError { start: self.start, message }),
        }
    }

    /// Skips spaces and, outside duration expressions, comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let spaces = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += spaces;
            if self.expects_duration || self.peek() != Some('#') {
                return;
            }
            let rest = &self.text[self.at..];
            self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn accept_all(&mut self, wanted: impl Fn(char) -> bool) {
        while self.accept(&wanted) {}
    }

    /// Fails behind the token just read rather than at it.
    fn fail_behind(&mut self, message: String) -> Lexed {
        self.start = self.at;
        Err(message)
    }

    fn statement(&mut self) -> Lexed {
        let Some(letter) = self.bump() else {
            return match () {
                () if self.parens != 0 => Err("unclosed left parenthesis".into()),
                () if self.in_brackets => Err("unclosed left bracket".into()),
                () => Ok(Kind::End),
            };
        };
        Ok(match letter {
            ',' => Kind::Comma,
            '*' => Kind::Operator(BinaryOp::Mul),
            '/' => Kind::Operator(BinaryOp::Div),
            '%' => Kind::Operator(BinaryOp::Mod),
            '+' => Kind::Operator(BinaryOp::Add),
            '-' => Kind::Operator(BinaryOp::Sub),
            '^' => Kind::Operator(BinaryOp::Pow),
            '@' => Kind::At,
            '=' => match self.peek() {
                Some('=') => self.and(Kind::Operator(BinaryOp::Equal)),
                Some('~') => return Err("unexpected character after '=': '~'".into()),
                _ => Kind::Assign,
            },
            '!' => match self.bump() {
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => return Err(format!("unexpected character after '!': {}", or_end(other))),
            },
            '<' => match self.peek() {
                Some('=') => self.and(Kind::Operator(BinaryOp::LessEqual)),
                Some('/') => self.and(Kind::Operator(BinaryOp::TrimUpper)),
                _ => Kind::Operator(BinaryOp::Less),
            },
            '>' => match self.peek() {
                Some('=') => self.and(Kind::Operator(BinaryOp::GreaterEqual)),
                Some('/') => self.and(Kind::Operator(BinaryOp::TrimLower)),
                _ => Kind::Operator(BinaryOp::Greater),
            },
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek().is_some_and(|next| next.is_ascii_digit()) => return self.number_or_duration(),
            '"' | '\'' => return self.string(letter),
            '`' => return self.raw_string(),
            ':' if self.in_brackets => return self.colon(),
            _ if self.in_brackets && is_alpha(letter) => {
                return self
                    .duration_word()
                    .ok_or_else(|| format!("unexpected character: {}, expected ':'", QuotedLetter(letter)));
            }
            _ if is_alpha(letter) || letter == ':' => self.word(),
            '(' | ')' => return self.paren(letter),
            '{' => {
                self.in_braces = true;
                Kind::LeftBrace
            }
            '[' if self.in_brackets => return Err("unexpected left bracket '['".into()),
            '[' => {
                (self.in_brackets, self.expects_duration) = (true, true);
                (self.saw_colon, self.saw_duration) = (false, false);
                Kind::LeftBracket
            }
            ']' if !self.in_brackets => return Err("unexpected right bracket ']'".into()),
            ']' => self.close_bracket(),
            _ => return Err(format!("unexpected character: {}", QuotedLetter(letter))),
        })
    }

    /// The token has one more character.
    fn and(&mut self, kind: Kind) -> Kind {
        self.bump();
        kind
    }

    fn paren(&mut self, letter: char) -> Lexed {
        if letter == '(' {
            self.parens += 1;
            return Ok(Kind::LeftParen);
        }
        self.parens -= 1;
        if self.parens < 0 {
            return self.fail_behind("unexpected right parenthesis ')'".into());
        }
        Ok(Kind::RightParen)
    }

    fn close_bracket(&mut self) -> Kind {
        (self.in_brackets, self.expects_duration) = (false, false);
        Kind::RightBracket
    }

    /// A colon behind the first number of a bracket.
    fn colon(&mut self) -> Lexed {
        if self.saw_colon {
            return Err("unexpected colon ':'".into());
        }
        self.saw_colon = true;
        Ok(Kind::Colon)
    }

    fn inside_duration(&mut self) -> Lexed {
        let Some(letter) = self.bump() else {
            return Err("unexpected end of input in duration expression".into());
        };
        let unexpected = || format!("unexpected character in duration expression: {}", QuotedLetter(letter));
        Ok(match letter {
            ']' => self.close_bracket(),
            ':' if !self.saw_duration => {
                return self.fail_behind("unexpected colon before duration in duration expression".into());
            }
            ':' if self.saw_colon => {
                return self.fail_behind("unexpected repeated colon in duration expression".into());
            }
            ':' => {
                self.saw_colon = true;
                Kind::Colon
            }
            '(' | ')' => return self.paren(letter),
            '+' => Kind::Operator(BinaryOp::Add),
            '-' => Kind::Operator(BinaryOp::Sub),
            '*' => Kind::Operator(BinaryOp::Mul),
            '/' => Kind::Operator(BinaryOp::Div),
            '%' => Kind::Operator(BinaryOp::Mod),
            '^' => Kind::Operator(BinaryOp::Pow),
            ',' => Kind::Comma,
            _ if letter.is_ascii_digit()
                || (letter == '.' && self.peek().is_some_and(|next| next.is_ascii_digit())) =>
            {
                (self.saw_duration, self.expects_duration) = (true, false);
                return self.number_or_duration();
            }
            _ if is_alpha(letter) => return self.duration_word().ok_or_else(unexpected),
            _ => return Err(unexpected()),
        })
    }

    /// `step`, `range`, `min_of`, `max_of`: the only words inside brackets. Its first letter has been read.
    fn duration_word(&mut self) -> Option<Kind> {
        let (start, behind_first) = (self.start, self.at);
        self.accept_all(is_alpha);
        let kind = reserved(&self.text[start..self.at]).filter(|kind| {
            use Keyword::{MaxOf, MinOf, Range, Step};
            matches!(kind, Kind::Keyword(Step | Range | MinOf | MaxOf))
        });
        match kind {
            Some(_) => self.saw_duration = true,
            None => self.at = behind_first,
        }
        kind
    }

    fn inside_braces(&mut self) -> Lexed {
        let Some(letter) = self.bump() else {
            return Err("unexpected end of input inside braces".into());
        };
        Ok(match letter {
            ',' => Kind::Comma,
            '"' | '\'' => return self.string(letter),
            '`' => return self.raw_string(),
            '=' if self.peek() == Some('~') => self.and(Kind::Matches),
            '=' => Kind::Assign,
            '!' => match self.bump() {
                Some('~') => Kind::MatchesNot,
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => return Err(format!("unexpected character after '!' inside braces: {}", or_end(other))),
            },
            '{' => return Err("unexpected left brace '{'".into()),
            '}' => {
                self.in_braces = false;
                Kind::RightBrace
            }
            _ if is_alpha(letter) => {
                self.accept_all(is_alphanumeric);
                Kind::Identifier
            }
            _ => return Err(format!("unexpected character inside braces: {}", QuotedLetter(letter))),
        })
    }

    /// A name or a reserved word; its first letter has been read.
    fn word(&mut self) -> Kind {
        self.accept_all(|letter| is_alphanumeric(letter) || letter == ':');
        let word = &self.text[self.start..self.at];
        match reserved(word) {
            // Old queries use these as metric names; only a parenthesis makes them modifiers.
            Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(') =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        }
    }

    fn string(&mut self, quote: char) -> Lexed {
        loop {
            match self.bump() {
                None | Some('\n') => return Err("unterminated quoted string".into()),
                // Go cannot tell this character from a byte that is no UTF-8, and neither can its users.
                Some('\u{FFFD}') => return Err("invalid UTF-8 rune".into()),
                Some('\\') => self.escape(quote)?,
                Some(letter) if letter == quote => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Lexed {
        loop {
            match self.bump() {
                None => return Err("unterminated raw string".into()),
                Some('\u{FFFD}') => return Err("invalid UTF-8 rune".into()),
                Some('`') => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape whose backslash has been read.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        const UNTERMINATED: &str = "escape sequence not terminated";
        let (digits, radix, limit) = match self.peek() {
            None => return Err(UNTERMINATED.into()),
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return self.skip(),
            Some(letter) if letter == quote => return self.skip(),
            Some('0'..='7') => (3, 8, 255),
            Some('x') => self.and_then((2, 16, 255)),
            Some('u') => self.and_then((4, 16, 0x10_FFFF)),
            Some('U') => self.and_then((8, 16, 0x10_FFFF)),
            Some(letter) => return Err(format!("unknown escape sequence {}", CodePoint(letter))),
        };
        let mut code = 0_u64;
        for _ in 0..digits {
            let letter = self.bump().ok_or(UNTERMINATED)?;
            let Some(digit) = letter.to_digit(radix) else {
                return Err(format!("illegal character {} in escape sequence", CodePoint(letter)));
            };
            code = code * u64::from(radix) + u64::from(digit);
        }
        if code > limit || (0xD800..0xE000).contains(&code) {
            return Err("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), String> {
        self.bump();
        Ok(())
    }

    fn and_then<T>(&mut self, value: T) -> T {
        self.bump();
        value
    }

    /// A number or a duration whose first character has been read.
    fn number_or_duration(&mut self) -> Lexed {
        self.at = self.start;
        if self.number() {
            return Ok(Kind::Number);
        }
        if self.rest_of_duration() {
            return Ok(Kind::Duration);
        }
        Err(format!("bad number or duration syntax: {}", Quoted(&self.text[self.start..self.at])))
    }

    /// Reads what may be a number; whether it is one, the parser finds out. Where this fails it has read as far as
    /// the message shall show.
    fn number(&mut self) -> bool {
        let from = self.at;
        let mut hexadecimal = false;
        if self.accept(|letter| letter == '0') && self.accept(|letter| matches!(letter, 'x' | 'X')) {
            self.accept(|letter| letter == '_');
            hexadecimal = true;
        }
        let is_digit = |letter: char| letter.is_digit(if hexadecimal { 16 } else { 10 });
        let is_exponent = |letter: char| matches!(letter, 'e' | 'E');
        self.accept(|letter| letter == '.');
        self.accept(is_digit);
        let (mut saw_dot, mut saw_exponent) = (false, false);
        while let Some(letter) = self.peek() {
            if !(is_digit(letter) || matches!(letter, '.' | '_') || is_exponent(letter)) {
                break;
            }
            if letter == '.' {
                self.bump();
                if saw_dot || self.accept(|next| matches!(next, '_' | '.')) || hexadecimal {
                    return false;
                }
                saw_dot = true;
            } else if is_exponent(letter) {
                self.bump();
                if saw_exponent {
                    return false;
                }
                saw_exponent = true;
                self.accept(|next| matches!(next, '+' | '-'));
                if self.accept(|next| matches!(next, '.' | '_') || is_exponent(next)) || self.peek().is_none() {
                    return false;
                }
            } else if letter == '_' {
                self.bump();
                if self.accept(|next| matches!(next, '.' | '_') || is_exponent(next)) || self.peek().is_none() {
                    return false;
                }
            } else {
                self.accept_all(is_digit);
            }
        }
        self.at != from && !self.peek().is_some_and(is_alphanumeric)
    }

    /// The unit behind a number, and more numbers with units. (Prometheus: `acceptRemainingDuration`.)
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(|letter| "smhdwy".contains(letter)) {
            return false;
        }
        self.accept(|letter| letter == 's');
        while self.accept(|letter| letter.is_ascii_digit()) {
            self.accept_all(|letter| letter.is_ascii_digit());
            if !self.accept(|letter| "smhdw".contains(letter)) {
                return false;
            }
            self.accept(|letter| letter == 's');
        }
        !self.accept(is_alphanumeric)
    }
}

/// A character in a message, or Go's -1 for the end of the text.
fn or_end(letter: Option<char>) -> QuotedLetter {
    QuotedLetter(letter.unwrap_or('\u{FFFD}'))
}

fn is_alpha(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphabetic()
}

fn is_alphanumeric(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}
