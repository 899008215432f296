//! The door: credentials in, a caller out.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::{Span, Timestamp};

use super::caller::Caller;
use super::right::Rights;
use super::secret::SECRET_PREFIX;
use super::tokens::{Found, Tokens};
use super::users::Users;

/// What a request says of who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// `Authorization: Bearer`, or a token by another way.
    Bearer(&'a str),
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        name: &'a str,
        /// The password, or a token.
        password: &'a str,
    },
    /// An `Authorization` that is neither.
    Unreadable,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The credentials are wrong, or have ended.
    Wrong,
    /// They are right, but come too often; they may come back after this long.
    TooOften(Span),
}

/// What comes of credentials.
pub enum Admission {
    /// Somebody.
    Caller(Box<Caller>),
    /// A password that was not seen before: [`PasswordCheck::run`] takes a while, so whoever asks says where it runs.
    Unchecked(PasswordCheck),
    /// Nobody.
    Denied(Denied),
}

/// A password to be checked.
pub struct PasswordCheck {
    users: Arc<Users>,
    name: String,
    password: String,
}

impl PasswordCheck {
    /// Checks it. Takes as long as bcrypt does: tens to hundreds of milliseconds of one CPU.
    ///
    /// # Errors
    /// Where it is wrong.
    pub fn run(&self) -> Result<Caller, Denied> {
        match self.users.check(&self.name, &self.password) {
            true => Ok(Caller::user(&self.name)),
            false => Err(Denied::Wrong),
        }
    }
}

/// Who is let in beside the holders of tokens; a reload may change it.
#[derive(Clone)]
pub struct Settings {
    /// Users with passwords. Where there are any, nobody is let in without credentials.
    pub users: Arc<Users>,
    /// Whether requests without credentials are answered at all.
    pub anonymous: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { users: Arc::default(), anonymous: true }
    }
}

/// Lets callers in.
pub struct Access {
    tokens: Tokens,
    settings: ArcSwap<Settings>,
}

impl Access {
    /// Over these tokens.
    pub fn new(tokens: Tokens, settings: Settings) -> Self {
        Access { tokens, settings: ArcSwap::from_pointee(settings) }
    }

    /// The tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Takes other settings over.
    pub fn set(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Whether requests without credentials are answered.
    pub fn is_open(&self) -> bool {
        let settings = self.settings.load();
        settings.anonymous && settings.users.is_empty()
    }

    /// Whether there are users with passwords.
    pub fn has_users(&self) -> bool {
        !self.settings.load().users.is_empty()
    }

    /// Whose credentials these are. Wrong credentials are refused even where none are needed: a revoked token must
    /// not open more than it did. Only what no one here gave out is passed over where the door is open, as a
    /// Prometheus without users passes it over.
    pub fn admit(&self, credentials: Credentials<'_>, now: Timestamp) -> Admission {
        let nobody = || match self.is_open() {
            true => Admission::Caller(Box::new(Caller::anonymous(Rights::ALL))),
            false => Admission::Denied(Denied::Wrong),
        };
        match credentials {
            Credentials::None => {
                let rights = if self.is_open() { Rights::ALL } else { Rights::NONE };
                Admission::Caller(Box::new(Caller::anonymous(rights)))
            }
            Credentials::Bearer(token) | Credentials::Basic { password: token, .. }
                if token.starts_with(SECRET_PREFIX) =>
            {
                match self.tokens.find(token, now) {
                    Found::Caller(caller) => Admission::Caller(caller),
                    Found::Unknown => Admission::Denied(Denied::Wrong),
                    Found::TooOften(wait) => Admission::Denied(Denied::TooOften(wait)),
                }
            }
            Credentials::Basic { name, password } if self.has_users() => {
                let users = Arc::clone(&self.settings.load().users);
                match users.remembered(name, password) {
                    Some(true) => Admission::Caller(Box::new(Caller::user(name))),
                    Some(false) => Admission::Denied(Denied::Wrong),
                    None => {
                        let (name, password) = (name.to_owned(), password.to_owned());
                        Admission::Unchecked(PasswordCheck { users, name, password })
                    }
                }
            }
            Credentials::Bearer(_) | Credentials::Basic { .. } | Credentials::Unreadable => nobody(),
        }
    }
}
