//! An error and what caused it, as one sentence: for log lines and answers, where only text is left of an error.

use std::error::Error;

/// `error` with its sources, from the outermost to the first.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Many errors print their source themselves; saying it twice helps nobody.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Because {
        what: &'static str,
        source: Option<Box<Because>>,
    }

    #[test]
    fn each_cause_is_said_once() {
        #[track_caller]
        fn check(errors: &[&'static str], sentence: &str) {
            let wrap = |source, &what: &&'static str| Some(Box::new(Because { what, source }));
            let outermost = errors.iter().rev().fold(None, wrap).expect("an error");
            assert_eq!(with_causes(&*outermost), sentence);
        }
        check(&["no room"], "no room");
        check(&["write part", "no room"], "write part: no room");
        check(&["flush", "write part: no room", "no room"], "flush: write part: no room");
    }
}
