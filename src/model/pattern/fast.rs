//! Most label patterns are a few literals with `.*` around them: recognised once, matched without an automaton.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// How many values an expression may stand for to be treated as a list of them.
const VALUES_MAX: usize = 4096;
/// How many values may come from lists in a row: `[ab][cd]`. Beyond, an automaton is smaller.
const PRODUCT_MAX: usize = 512;
/// How many bytes these values may have together.
const VALUE_BYTES_MAX: usize = 1 << 18;

/// A way to match a whole value.
#[derive(Debug, PartialEq)]
pub(super) enum Fast {
    /// `.*`
    Any,
    /// `.+`
    NonEmpty,
    /// `a|b|c`: these values, sorted, each once.
    Values(Box<[Box<str>]>),
    /// `prefix.*suffix`; at least this many characters between.
    Ends {
        /// How the value starts.
        prefix: Box<str>,
        /// How it ends.
        suffix: Box<str>,
        /// 0 or 1.
        between: usize,
    },
    /// `.*needle.*`; whether a character must stand before and behind.
    Contains {
        /// What is in the value.
        needle: Box<str>,
        /// `.+` before it.
        before: bool,
        /// `.+` behind it.
        behind: bool,
    },
    /// `(?i)text`; decides ASCII values only.
    AnyCase(Box<str>),
}

impl Fast {
    /// Whether `value` matches; `None` where this cannot tell.
    pub(super) fn matches(&self, value: &str) -> Option<bool> {
        Some(match self {
            Fast::Any => true,
            Fast::NonEmpty => !value.is_empty(),
            Fast::Values(values) if values.len() <= 8 => values.iter().any(|wanted| **wanted == *value),
            Fast::Values(values) => values.binary_search_by(|wanted| (**wanted).cmp(value)).is_ok(),
            Fast::Ends { prefix, suffix, between } => {
                value.len() >= prefix.len() + suffix.len() + between
                    && value.starts_with(&**prefix)
                    && value.ends_with(&**suffix)
            }
            Fast::Contains { needle, before, behind } => {
                let mut letters = value.chars();
                let there = (!before || letters.next().is_some()) && (!behind || letters.next_back().is_some());
                there && letters.as_str().contains(&**needle)
            }
            Fast::AnyCase(text) if value.is_ascii() => value.eq_ignore_ascii_case(text),
            Fast::AnyCase(_) => return None,
        })
    }
}

/// The fast way for an expression that must match a whole value, if there is one.
pub(super) fn recognise(hir: &Hir) -> Option<Fast> {
    let pieces = pieces(hir);
    if pieces.iter().any(|piece| !piece.properties().look_set().is_empty()) {
        return None;
    }
    if let Some(values) = values(&pieces) {
        return Some(Fast::Values(values));
    }
    match &pieces[..] {
        [only] => any_run(only).map(|least| if least == 0 { Fast::Any } else { Fast::NonEmpty }),
        [prefix, run] if any_run(run).is_some() => ends(Some(prefix), run, None),
        [run, suffix] if any_run(run).is_some() => ends(None, run, Some(suffix)),
        [prefix, run, suffix] if any_run(run).is_some() => ends(Some(prefix), run, Some(suffix)),
        [run, needle, other] => Some(Fast::Contains {
            needle: literal(needle)?.into(),
            before: any_run(run)? > 0,
            behind: any_run(other)? > 0,
        }),
        _ => None,
    }
    .or_else(|| any_case(&pieces))
}

fn ends(prefix: Option<&&Hir>, run: &Hir, suffix: Option<&&Hir>) -> Option<Fast> {
    let text = |piece: Option<&&Hir>| piece.map_or(Some(""), |piece| literal(piece)).map(Box::from);
    Some(Fast::Ends { prefix: text(prefix)?, suffix: text(suffix)?, between: any_run(run)? })
}

/// The parts of a concatenation without groups around them and without anchors at its ends.
fn pieces(hir: &Hir) -> Vec<&Hir> {
    let whole = bare(hir);
    let mut pieces: Vec<&Hir> = match whole.kind() {
        HirKind::Concat(parts) => parts.iter().map(bare).collect(),
        _ => vec![whole],
    };
    if pieces.first().is_some_and(|first| matches!(first.kind(), HirKind::Look(Look::Start))) {
        pieces.remove(0);
    }
    if pieces.last().is_some_and(|last| matches!(last.kind(), HirKind::Look(Look::End))) {
        pieces.pop();
    }
    pieces
}

fn bare(hir: &Hir) -> &Hir {
    let mut hir = hir;
    while let HirKind::Capture(capture) = hir.kind() {
        hir = &capture.sub;
    }
    hir
}

fn literal(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// The least length of `.*` or `.+` where `.` is every character; `None` for all else.
fn any_run(hir: &Hir) -> Option<usize> {
    let HirKind::Repetition(Repetition { min: least @ (0 | 1), max: None, sub, .. }) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(class)) = bare(sub).kind() else { return None };
    let all = class.ranges().len() == 1 && class.ranges()[0].start() == '\0' && class.ranges()[0].end() == char::MAX;
    all.then_some(*least as usize)
}

/// All values that the pieces in a row can stand for, sorted, if they are few.
fn values(pieces: &[&Hir]) -> Option<Box<[Box<str>]>> {
    let mut values = concatenated(pieces.iter().copied())?;
    values.sort_unstable();
    values.dedup();
    Some(values.into_iter().map(String::into_boxed_str).collect())
}

fn concatenated<'a>(parts: impl Iterator<Item = &'a Hir>) -> Option<Vec<String>> {
    let mut values = vec![String::new()];
    for part in parts {
        let tails = alternatives(part)?;
        if values.len() > 1 && tails.len() > 1 && values.len() * tails.len() > PRODUCT_MAX {
            return None;
        }
        values = values.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
        within_bounds(&values)?;
    }
    Some(values)
}

fn alternatives(hir: &Hir) -> Option<Vec<String>> {
    let values = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(_) => vec![literal(hir)?.to_owned()],
        HirKind::Class(Class::Unicode(class)) => {
            let letters: usize = class.ranges().iter().map(|range| range.len()).sum();
            if letters > PRODUCT_MAX {
                return None;
            }
            class.iter().flat_map(|range| (range.start()..=range.end()).map(String::from)).collect()
        }
        HirKind::Capture(capture) => alternatives(&capture.sub)?,
        HirKind::Concat(parts) => concatenated(parts.iter())?,
        HirKind::Alternation(parts) => {
            let mut values = Vec::new();
            for part in parts {
                values.extend(alternatives(part)?);
                within_bounds(&values)?;
            }
            values
        }
        HirKind::Repetition(Repetition { min: 0, max: Some(1), sub, .. }) => {
            let mut values = alternatives(sub)?;
            values.push(String::new());
            values
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) | HirKind::Repetition(_) => return None,
    };
    within_bounds(&values)?;
    Some(values)
}

fn within_bounds(values: &[String]) -> Option<()> {
    let bytes: usize = values.iter().map(String::len).sum();
    (values.len() <= VALUES_MAX && bytes <= VALUE_BYTES_MAX).then_some(())
}

/// `(?i)text` as its lower-case ASCII text.
fn any_case(pieces: &[&Hir]) -> Option<Fast> {
    let mut text = String::new();
    for piece in pieces {
        match piece.kind() {
            HirKind::Literal(_) => {
                let part = literal(piece)?;
                // A letter that is not folded must keep its case.
                if !part.is_ascii() || part.bytes().any(|byte| byte.is_ascii_alphabetic()) {
                    return None;
                }
                text.push_str(part);
            }
            HirKind::Class(Class::Unicode(class)) => {
                // `k` and `s` fold to letters beyond ASCII as well; values that have such are not decided here.
                let ascii: Vec<char> = class
                    .iter()
                    .flat_map(|range| range.start()..=range.end().min('\u{80}'))
                    .filter(char::is_ascii)
                    .take(3)
                    .collect();
                let [upper, lower] = ascii[..] else { return None };
                if upper.to_ascii_lowercase() != lower || upper == lower {
                    return None;
                }
                text.push(lower);
            }
            _ => return None,
        }
    }
    Some(Fast::AnyCase(text.into()))
}

/// A text that every match starts with.
pub(super) fn prefix(hir: &Hir) -> String {
    known_start(hir).0
}

/// How a match starts, and whether that is all of it.
fn known_start(hir: &Hir) -> (String, bool) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (String::new(), true),
        HirKind::Literal(_) => literal(hir).map_or((String::new(), false), |text| (text.to_owned(), true)),
        HirKind::Class(_) => (String::new(), false),
        HirKind::Capture(capture) => known_start(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => (known_start(&repetition.sub).0, false),
        HirKind::Repetition(_) => (String::new(), false),
        HirKind::Concat(parts) => {
            let mut start = String::new();
            for part in parts {
                let (text, whole) = known_start(part);
                start.push_str(&text);
                if !whole {
                    return (start, false);
                }
            }
            (start, true)
        }
        HirKind::Alternation(parts) => {
            let mut starts = parts.iter().map(|part| known_start(part).0);
            let first = starts.next().unwrap_or_default();
            let common = starts.fold(first, |common, other| {
                let length = common.char_indices().zip(other.chars()).take_while(|((_, a), b)| a == b).last();
                let length = length.map_or(0, |((at, letter), _)| at + letter.len_utf8());
                common[..length].to_owned()
            });
            (common, false)
        }
    }
}
