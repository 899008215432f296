//! Who asks, and what they may do and see: users, tokens, and the store as a token's holder sees it.
//!
//! ```text
//! credentials -> Access::admit   a password or a token becomes a Caller, or is refused
//! Caller      -> rights          which routes answer (http asks before a handler runs)
//!             -> view            matchers and a time range; every read goes through a [`ScopedSource`] made of them
//!             -> labels          put on everything the caller writes
//! ```
//!
//! A token's matchers are enforced where samples leave the store, not by rewriting queries: whatever PromQL, parameters
//! or routes come to exist, what they read is what the view lets through. Tokens are kept in the store's journal, by a
//! hash of their secret; the secret itself is shown once and kept nowhere.
//!
//! This room knows no HTTP, no PromQL and no YAML, and reads no clock.
//!
//! Read next: [`Caller`], then [`ScopedSource`], then [`Tokens`].

mod caller;
mod door;
mod pace;
mod right;
mod scoped;
mod secret;
mod token;
mod tokens;
mod users;
#[cfg(test)]
mod tests;

pub use caller::{Caller, Kind, View};
pub use door::{Access, Admission, Credentials, Denied, PasswordCheck, Settings};
pub use right::{Right, Rights};
pub use scoped::ScopedSource;
pub use secret::{Chance, SECRET_PREFIX, system_chance};
pub use token::{Scope, Token, TokenSpec, TokenSpecError};
pub use tokens::{Tokens, TokensError};
pub use users::Users;
