//! Holds the code against the drawing in ARCHITECTURE.md: which room may speak of which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may name. What is not listed may name all: `app`, `cli`, `main`.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("store", &["model"]),
    ("ha", &["model"]),
    ("ingest", &["model", "store"]),
    ("tsdb", &["model", "store", "ha"]),
    ("blocks", &["model"]),
    ("promql", &["model", "store"]),
    ("rules", &["model", "store", "promql"]),
    ("access", &["model", "store"]),
    ("http", &["model", "store", "access", "ingest", "promql", "rules"]),
    ("config", &["model", "ingest"]),
    ("clock", &["model"]),
    ("telemetry", &["model", "clock", "config"]),
];

/// Words that only one place may know: the word, and the paths (beginnings) it may stand in.
const HOMES: &[(&str, &[&str])] = &[
    ("rocksdb::", &["src/tsdb/catalogue/"]),
    ("serde_saphyr", &["src/config/", "src/rules/file/"]),
    // The tests of a room encode what senders send.
    ("prost::", &["src/ingest/wire/", "src/ingest/tests/", "src/http/remote_read"]),
    ("SystemTime", &["src/clock.rs"]),
    ("StatusCode::", &["src/http/"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("read a source folder") {
        let path = entry.expect("read a source folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("read a source file");
            found.push((path, text));
        }
    }
    found
}

/// The room a source file belongs to.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("a path below src");
    let first = inside.iter().next().expect("a file").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a text names as `crate::room`, comments left out.
fn mentions(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .collect()
}

#[test]
fn arrows_are_as_drawn() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources(&root().join("src")) {
        let from = room(&path);
        let Some(may) = allowed.get(from.as_str()) else { continue };
        for to in mentions(&text) {
            let is_room = ARROWS.iter().any(|(name, _)| *name == to) || ["app", "cli"].contains(&to.as_str());
            if is_room && to != from && !may.contains(&to.as_str()) {
                wrong.push(format!("{}: {from} may not speak of {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_secret_has_one_home() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&root().join("src")) {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        for (word, homes) in HOMES {
            let spoken = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word));
            if spoken && !homes.iter().any(|home| name.starts_with(home)) {
                wrong.push(format!("{name}: {word} belongs in {homes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_has_a_door_with_a_text() {
    fn check(folder: &Path, wrong: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("read a source folder") {
            let path = entry.expect("read a source folder").path();
            if !path.is_dir() {
                continue;
            }
            let door = path.join("mod.rs");
            match fs::read_to_string(&door) {
                Ok(text) if text.starts_with("//!") => {}
                Ok(_) => wrong.push(format!("{} does not say what happens there", door.display())),
                Err(_) if path.join("main.rs").exists() => {}
                Err(_) => wrong.push(format!("{} has no mod.rs", path.display())),
            }
            check(&path, wrong);
        }
    }
    let mut wrong = Vec::new();
    check(&root().join("src"), &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_room_stands_in_the_architecture() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for (room, _) in ARROWS {
        assert!(text.contains(&format!("`{room}`")), "ARCHITECTURE.md does not mention `{room}`");
    }
}
