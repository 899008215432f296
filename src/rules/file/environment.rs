//! `%{NAME}` in a rule file, as vmalert reads it: the value of an environment variable.

use std::collections::BTreeMap;

use super::yaml::Place;

/// The variables that files may name, handed in by whoever starts the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// The text with each known `%{NAME}` replaced, and the place and name of each unknown one, which stays as it is:
    /// for Prometheus these are letters like any other.
    pub(super) fn expand(&self, text: &str) -> (String, Vec<(Place, String)>) {
        let (mut expanded, mut unset) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some(start) = rest.find("%{") {
            let (before, tail) = rest.split_at(start);
            expanded.push_str(before);
            let name = tail[2..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            let Some(name) = name else {
                expanded.push_str("%{");
                rest = &tail[2..];
                continue;
            };
            match self.0.get(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    unset.push((place_at(text, text.len() - tail.len()), name.to_owned()));
                    expanded.push_str(&tail[..name.len() + 3]);
                }
            }
            rest = &tail[name.len() + 3..];
        }
        expanded.push_str(rest);
        (expanded, unset)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn place_at(text: &str, byte: usize) -> Place {
    let before = &text[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place { line: before.matches('\n').count() as u64 + 1, column: before[line_start..].chars().count() as u64 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_replaced_and_others_stay() {
        let environment = Environment(BTreeMap::from([("ZONE".to_owned(), "eu".to_owned())]));
        let (text, unset) = environment.expand("a: %{ZONE}\nb: x%{NONE} %{not a name} 5%{\n");
        assert_eq!(text, "a: eu\nb: x%{NONE} %{not a name} 5%{\n");
        assert_eq!(unset, [(Place { line: 2, column: 5 }, "NONE".to_owned())]);
    }
}
