//! Compiles `proto/` to Rust with a compiler that is a crate itself, so that nobody needs `protoc`; and lists the files
//! of the page in `ui/dist/`, so that they lie in the program.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto");
    let protocols = ["remote_write_v1.proto", "remote_write_v2.proto", "remote_read.proto", "metrics.proto"];
    let files = protox::compile(protocols, ["proto"])?;
    prost_build::Config::new().compile_fds(files)?;
    list_page()
}

/// Writes the table that `src/http/page.rs` includes: each built file with a tag of its content.
#[expect(clippy::disallowed_methods, reason = "cargo names a build script's folders in no other way")]
fn list_page() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=ui/dist");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("ui/dist");
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();
    if !files.iter().any(|(path, _)| path == "index.html") {
        return Err(format!("{} holds no index.html: it is part of the source, restore it", root.display()).into());
    }
    let mut table = "const FILES: &[File] = &[\n".to_owned();
    for (path, file) in &files {
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(file)?);
        let (tag, place) = (format!("\"{:016x}\"", hasher.finish()), file.display().to_string());
        writeln!(table, "    File {{ path: {path:?}, tag: {tag:?}, bytes: include_bytes!({place:?}) }},")?;
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("page_files.rs"), table)?;
    Ok(())
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<(String, PathBuf)>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, into)?;
        } else {
            let below: Vec<_> = path.strip_prefix(root)?.iter().map(|part| part.to_string_lossy()).collect();
            into.push((below.join("/"), path));
        }
    }
    Ok(())
}
