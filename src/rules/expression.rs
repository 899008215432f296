//! Whether a rule's expression is PromQL.

use crate::promql::Features;
use crate::promql::parse::parse;

/// The expression as PromQL prints it.
///
/// # Errors
/// Where it is no PromQL: the message, with line and column inside the text.
pub(super) fn check(text: &str, features: &Features) -> Result<String, String> {
    match parse(text, features) {
        Ok(expr) => Ok(expr.to_string()),
        Err(refusal) => Err(refusal.to_string()),
    }
}
