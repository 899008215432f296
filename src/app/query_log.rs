//! The query log's file: opened to append, and again at each reload, so that it can be moved away.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use parking_lot::Mutex;

/// Where queries are logged.
pub(super) struct QueryLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl QueryLog {
    /// # Errors
    /// Where the file cannot be written.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(QueryLog { path: path.to_owned(), file: Mutex::new(append_to(path)?) })
    }

    /// Goes on in whatever file has the name now.
    ///
    /// # Errors
    /// Where that cannot be written; the old one stays.
    pub(super) fn reopen(&self) -> anyhow::Result<()> {
        *self.file.lock() = append_to(&self.path)?;
        Ok(())
    }

    /// Writes a line, whole and at once. A log that cannot be written must not keep anyone from asking.
    pub(super) fn write_line(&self, line: &str) {
        let line = format!("{line}\n");
        if let Err(error) = self.file.lock().write_all(line.as_bytes()) {
            tracing::warn!(%error, file = %self.path.display(), "a query could not be logged");
        }
    }
}

fn append_to(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.with_context(|| format!("open the query log {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_moved_away_goes_on_after_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("queries.log"), folder.path().join("queries.log.1"));
        let log = QueryLog::open(&path).unwrap();
        log.write_line("one");
        std::fs::rename(&path, &moved).unwrap();
        log.write_line("two");
        log.reopen().unwrap();
        log.write_line("three");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert!(QueryLog::open(&folder.path().join("no/such/folder")).is_err());
    }
}
