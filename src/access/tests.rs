//! Tokens over their life, passwords, and what the door says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use crate::model::{Matcher, Span, Timestamp};
use crate::store::{Journal, JournalChange, JournalEntry, StoreError};

use super::*;

#[derive(Default)]
struct Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Journal for Memory {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => kept.insert(key.clone(), value.clone()),
                None => kept.remove(key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        let kept = self.0.lock().unwrap();
        Ok(kept.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(k, v)| (k.clone(), v.clone())).collect())
    }
}

fn counting() -> Chance {
    let next = AtomicU8::new(1);
    Box::new(move |into| into.fill_with(|| next.fetch_add(1, Ordering::Relaxed)))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn open(journal: &Arc<Memory>) -> Access {
    Access::new(Tokens::open(Arc::clone(journal) as _, counting()).unwrap(), Settings::default())
}

fn wish() -> TokenSpec {
    let matchers = vec![Matcher::equal("customer", "42"), Matcher::regex("job", "web|db").unwrap()];
    TokenSpec {
        name: "customer 42".into(),
        rights: [Right::Read, Right::Write].into_iter().collect(),
        scope: Scope { matchers: matchers.into(), from: Some(at(0)), until: None, max_age: Some(Span::DAY) },
        paths: vec!["/api/v1/query".into(), "/graph.*".into()],
        pace: Some((1.0, 3.0)),
        labels: BTreeMap::from([("customer".to_owned(), "42".to_owned())]),
        expires_at: Some(at(1_000_000)),
    }
}

fn admitted(access: &Access, credentials: Credentials<'_>, now: Timestamp) -> Result<Caller, Denied> {
    match access.admit(credentials, now) {
        Admission::Caller(caller) => Ok(*caller),
        Admission::Unchecked(check) => check.run(),
        Admission::Denied(why) => Err(why),
    }
}

#[test]
fn a_token_outlives_the_process_until_it_is_revoked() {
    let journal = Arc::new(Memory::default());
    let (token, text) = open(&journal).tokens().create(wish(), "alice", at(5)).unwrap();
    let secret = text.rsplit('_').next().unwrap();
    for (key, value) in journal.0.lock().unwrap().iter() {
        let stored = String::from_utf8(value.clone()).unwrap();
        assert!(!stored.contains(secret) && key.starts_with(b"access/token/"), "the secret is not kept: {stored}");
    }

    let access = open(&journal);
    assert_eq!(access.tokens().list(), std::slice::from_ref(&token));
    let caller = admitted(&access, Credentials::Bearer(&text), at(200_000)).unwrap();
    assert_eq!((caller.kind, caller.name.as_str()), (Kind::Token, "customer 42"));
    let view = caller.view.as_ref().unwrap();
    assert_eq!(view.range.map(|range| (range.start(), range.end())), Some((at(200_000 - 86_400), Timestamp::MAX)));
    assert_eq!(view.matchers, wish().scope.matchers);
    assert_eq!(caller.labels.as_ref(), [("customer".to_owned(), "42".to_owned())]);
    assert_eq!(access.tokens().list()[0].last_used_at, Some(at(200_000)));
    // As a password, too, whatever the name.
    assert!(admitted(&access, Credentials::Basic { name: "x", password: &text }, at(200_001)).is_ok());

    assert!(access.tokens().revoke(&token.id).unwrap());
    assert!(!access.tokens().revoke(&token.id).unwrap());
    assert_eq!(admitted(&access, Credentials::Bearer(&text), at(6)).err(), Some(Denied::Wrong));
    assert_eq!(open(&journal).tokens().list(), []);
}

#[test]
fn a_wrong_or_ended_token_opens_nothing_even_where_nobody_needs_one() {
    let access = open(&Arc::default());
    let (token, text) = access.tokens().create(wish(), "", at(5)).unwrap();
    let wrong = [format!("weir_{}_{}", token.id, "0".repeat(48)), text[..text.len() - 1].to_owned(), "weir_".into()];
    for text in &wrong {
        assert_eq!(admitted(&access, Credentials::Bearer(text), at(6)).err(), Some(Denied::Wrong), "{text}");
    }
    assert_eq!(admitted(&access, Credentials::Bearer(&text), at(1_000_000)).err(), Some(Denied::Wrong));
    assert_eq!(admitted(&access, Credentials::None, at(6)).unwrap().rights, Rights::ALL);
    assert_eq!(admitted(&access, Credentials::Bearer("of another system"), at(6)).unwrap().rights, Rights::ALL);
    access.set(Settings { anonymous: false, ..Settings::default() });
    assert_eq!(admitted(&access, Credentials::None, at(6)).unwrap().rights, Rights::NONE);
    assert_eq!(admitted(&access, Credentials::Bearer("of another system"), at(6)).err(), Some(Denied::Wrong));
}

#[test]
fn a_token_asks_at_its_pace() {
    let access = open(&Arc::default());
    let (_, text) = access.tokens().create(wish(), "", at(5)).unwrap();
    let outcomes: Vec<bool> = (0..5).map(|_| admitted(&access, Credentials::Bearer(&text), at(10)).is_ok()).collect();
    assert_eq!(outcomes, [true, true, true, false, false]);
    let denied = admitted(&access, Credentials::Bearer(&text), at(10)).err();
    assert_eq!(denied, Some(Denied::TooOften(Span::from_secs(1))));
    assert!(admitted(&access, Credentials::Bearer(&text), at(11)).is_ok());
}

#[test]
fn paths_and_rights_hold_together() {
    let caller = Caller {
        rights: [Right::Read].into_iter().collect(),
        paths: vec!["/api/v1/query".to_owned(), "/graph.*".to_owned()].into(),
        ..Caller::anonymous(Rights::NONE)
    };
    assert!(caller.may(Right::Read, "/api/v1/query"));
    assert!(caller.may(Right::Graph, "/graph.svg"), "who may read may see pictures");
    assert!(!caller.may(Right::Read, "/api/v1/query_range"));
    assert!(!caller.may(Right::Write, "/api/v1/query"));
}

#[test]
fn what_cannot_be_a_token_is_said() {
    #[track_caller]
    fn check(change: impl Fn(&mut TokenSpec), why: &str) {
        let mut spec = wish();
        change(&mut spec);
        assert_eq!(spec.check(at(0)).err().map(|error| error.to_string()).as_deref(), Some(why));
    }
    check(|spec| spec.name = " ".into(), "a token needs a name");
    check(|spec| spec.rights = Rights::NONE, "a token needs a right: read, graph, write, status or admin");
    check(
        |spec| spec.rights = Rights::ALL,
        "a token with matchers or a time range can have the rights read, graph and write, not status",
    );
    check(|spec| spec.scope.until = Some(at(-1)), "until lies before from");
    check(|spec| spec.pace = Some((0.0, 1.0)), "requestsPerSecond must be above 0 and burst at least 1");
    check(|spec| spec.expires_at = Some(at(-1)), "the token would have expired already");
    check(
        |spec| spec.labels = BTreeMap::from([("__name__".into(), "x".into())]),
        "label \"__name__\" cannot be put on every series",
    );
    assert_eq!(wish().check(at(0)), Ok(()));
}

#[test]
fn a_token_of_another_format_opens_nothing() {
    let journal = Arc::new(Memory::default());
    open(&journal).tokens().create(wish(), "", at(5)).unwrap();
    let entries = journal.scan(b"").unwrap();
    let (key, value) = &entries[0];
    let newer = String::from_utf8(value.clone()).unwrap().replace("\"v\":1", "\"v\":2");
    journal.write(&[(key.clone(), Some(newer.into_bytes()))]).unwrap();
    assert_eq!(open(&journal).tokens().list(), []);
}

#[test]
fn passwords_are_checked_once() {
    let access = open(&Arc::default());
    let hash = bcrypt::hash("right", 4).unwrap();
    let users = Users::new(BTreeMap::from([("alice".to_owned(), hash)]), [7; 32]);
    access.set(Settings { users: Arc::new(users), anonymous: true });
    assert_eq!(admitted(&access, Credentials::None, at(0)).unwrap().rights, Rights::NONE, "users close the door");
    for (name, password, good) in [("alice", "right", true), ("alice", "wrong", false), ("bob", "right", false)] {
        let credentials = Credentials::Basic { name, password };
        assert!(matches!(access.admit(credentials, at(0)), Admission::Unchecked(_)), "{name} is new");
        assert_eq!(admitted(&access, credentials, at(0)).is_ok(), good);
        assert!(!matches!(access.admit(credentials, at(0)), Admission::Unchecked(_)), "{name} is remembered");
        assert_eq!(admitted(&access, credentials, at(0)).is_ok(), good);
    }
}
