//! File patterns: `*` and `?` inside a name, `**` for any depth of folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Most files that one pattern may name.
const MATCHES_MAX: usize = 10_000;

/// The files that `pattern` names, sorted. A pattern without wildcards names itself, whether or not it is there; one
/// with wildcards may match nothing.
pub(in crate::rules) fn expand(pattern: &str) -> io::Result<Vec<PathBuf>> {
    if !pattern.contains(['*', '?']) {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let (root, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (PathBuf::from("/"), rest),
        None => (PathBuf::new(), pattern),
    };
    let steps: Vec<&str> = rest.split('/').filter(|step| !step.is_empty()).collect();
    let mut found = Vec::new();
    walk(&root, &steps, &mut found)?;
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(folder: &Path, steps: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    if !step.contains(['*', '?']) {
        let path = folder.join(step);
        return match rest.is_empty() {
            true if path.is_file() => keep(path, found),
            true => Ok(()),
            false => walk(&path, rest, found),
        };
    }
    let listed = match folder.as_os_str().is_empty() {
        true => fs::read_dir("."),
        false => fs::read_dir(folder),
    };
    let entries = match listed {
        Ok(entries) => entries,
        Err(absent) if matches!(absent.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(refused) => return Err(refused),
    };
    if *step == "**" {
        walk(folder, rest, found)?;
    }
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // As in a shell: hidden files (and Kubernetes' `..data` folders) are named outright or not at all.
        if name.starts_with('.') && !step.starts_with('.') {
            continue;
        }
        let path = folder.join(&name);
        match *step == "**" {
            true if entry.file_type()?.is_dir() => walk(&path, steps, found)?,
            true => {}
            false if !matches(step, &name) => {}
            false if rest.is_empty() && path.is_file() => keep(path, found)?,
            false if rest.is_empty() => {}
            false => walk(&path, rest, found)?,
        }
    }
    Ok(())
}

fn keep(path: PathBuf, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if found.len() == MATCHES_MAX {
        return Err(io::Error::other(format!("the pattern names more than {MATCHES_MAX} files")));
    }
    found.push(path);
    Ok(())
}

/// Whether a whole name with slashes, as object stores have them, fits a whole pattern.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), name.split('/').collect());
    steps_fit(&pattern, &name)
}

fn steps_fit(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        // Any number of folders; what follows must fit somewhere.
        (["**", rest @ ..], _) => (0..=name.len()).any(|skipped| steps_fit(rest, &name[skipped..])),
        ([step, rest @ ..], [own, names @ ..]) => matches(step, own) && steps_fit(rest, names),
        _ => false,
    }
}

/// Whether a name fits one step of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last `*` stands, and how much of the name it has swallowed: enough, since a later star can take over
    // whatever an earlier one could.
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, swallowed)) = star else { return false };
                star = Some((star_at, swallowed + 1));
                at = star_at + 1;
                read = swallowed + 1;
            }
        }
    }
    pattern[at..].iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stay_inside_a_name() {
        #[track_caller]
        fn check(pattern: &str, name: &str, fits: bool) {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        check("*.yml", "a.yml", true);
        check("*.yml", "a.yaml", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*ab", "aab", true);
        check("*", "", true);
    }

    #[test]
    fn names_of_objects_fit_as_paths_do() {
        #[track_caller]
        fn check(pattern: &str, name: &str, wanted: bool) {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
        check("rules/*.yml", "rules/a.yml", true);
        check("rules/*.yml", "rules/b/a.yml", false);
        check("rules/**/*.yml", "rules/a.yml", true);
        check("rules/**/*.yml", "rules/b/c/a.yml", true);
        check("rules/**/b/*.yml", "rules/b/c/a.yml", false);
        check("rules/a?.yml", "rules/ab.yml", true);
    }

    #[test]
    fn two_stars_reach_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yml", "b.txt", "one/c.yml", "one/two/d.yml", ".hidden/e.yml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, wanted: &[&str]| {
            let found = expand(&format!("{}/{pattern}", folder.path().display())).unwrap();
            let wanted: Vec<_> = wanted.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(found, wanted, "{pattern}");
        };
        check("*.yml", &["a.yml"]);
        check("**/*.yml", &["a.yml", "one/c.yml", "one/two/d.yml"]);
        check("*/*.yml", &["one/c.yml"]);
        check("one/**/*.yml", &["one/c.yml", "one/two/d.yml"]);
        check("no/such/*.yml", &[]);
        check("b.txt", &["b.txt"]);
    }
}
