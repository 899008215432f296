//! Rules that are edited by API, as Mimir's ruler has them: namespaces of groups, kept in the journal as their authors
//! wrote them.
//!
//! ```text
//!   key    rules/edited/ + namespace + 0 + group
//!   value  the group's YAML
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::{Journal, JournalChange, StoreError};

use super::file::{self, Defaults, RuleFile};

const PREFIX: &[u8] = b"rules/edited/";
/// Most bytes of a group's text.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most groups in all namespaces.
const GROUPS_MAX: usize = 10_000;

/// All edited groups.
pub(super) struct Edited {
    journal: Arc<dyn Journal>,
    /// By namespace and name: the text, and what it says.
    groups: Mutex<BTreeMap<(String, String), (String, RuleFile)>>,
}

impl Edited {
    /// What was kept. A group that cannot be read any more is logged and left out; its text stays where it is.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub(super) fn recall(journal: Arc<dyn Journal>, defaults: &Defaults) -> Result<Self, StoreError> {
        let mut groups = BTreeMap::new();
        for (key, value) in journal.scan(PREFIX)? {
            let key = String::from_utf8_lossy(&key[PREFIX.len()..]).into_owned();
            let Some((namespace, name)) = key.split_once('\0') else { continue };
            let text = String::from_utf8_lossy(&value).into_owned();
            match file::parse_group(namespace, &text, defaults) {
                Ok(file) => _ = groups.insert((namespace.to_owned(), name.to_owned()), (text, file)),
                Err(problems) => tracing::error!(namespace, name, ?problems, "leave out an edited group"),
            }
        }
        Ok(Edited { journal, groups: Mutex::new(groups) })
    }

    /// The groups as files, one each; a file is named like its namespace.
    pub(super) fn files(&self) -> Vec<RuleFile> {
        self.groups.lock().values().map(|(_, file)| file.clone()).collect()
    }

    /// Namespaces with their groups: names and texts.
    pub(super) fn namespaces(&self) -> Vec<(String, Vec<(String, String)>)> {
        let mut namespaces: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for ((namespace, name), (text, _)) in self.groups.lock().iter() {
            namespaces.entry(namespace.clone()).or_default().push((name.clone(), text.clone()));
        }
        namespaces.into_iter().collect()
    }

    /// Adds a group, or takes its text for the one of the same name. Durable afterwards.
    ///
    /// # Errors
    /// All that is wrong with it; nothing has changed then.
    pub(super) fn set(&self, namespace: &str, text: &str, defaults: &Defaults) -> Result<(), Vec<String>> {
        if namespace.is_empty() || namespace.contains('\0') {
            return Err(vec!["a namespace must have a name".to_owned()]);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(vec![format!("the group is larger than {TEXT_BYTES_MAX} bytes")]);
        }
        let file = file::parse_group(namespace, text, defaults)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let Some(name) = file.groups.first().map(|group| group.name.clone()) else {
            return Err(vec!["there is no group".to_owned()]);
        };
        let mut groups = self.groups.lock();
        let key = (namespace.to_owned(), name);
        if groups.len() == GROUPS_MAX && !groups.contains_key(&key) {
            return Err(vec![format!("there are {GROUPS_MAX} groups already")]);
        }
        let change = (journal_key(&key), Some(text.as_bytes().to_vec()));
        self.journal.write(&[change]).map_err(|refusal| vec![refusal.to_string()])?;
        groups.insert(key, (text.to_owned(), file));
        Ok(())
    }

    /// Removes a group, or a whole namespace; `false` where there is none.
    ///
    /// # Errors
    /// Where the journal cannot take writes.
    pub(super) fn remove(&self, namespace: &str, group: Option<&str>) -> Result<bool, StoreError> {
        let mut groups = self.groups.lock();
        let gone = |(own, name): &(String, String)| own == namespace && group.is_none_or(|group| group == name);
        let changes: Vec<JournalChange> =
            groups.keys().filter(|key| gone(key)).map(|key| (journal_key(key), None)).collect();
        if changes.is_empty() {
            return Ok(false);
        }
        self.journal.write(&changes)?;
        groups.retain(|key, _| !gone(key));
        Ok(true)
    }
}

fn journal_key((namespace, name): &(String, String)) -> Vec<u8> {
    [PREFIX, namespace.as_bytes(), b"\0", name.as_bytes()].concat()
}
