//! Compiles `proto/` to Rust with a compiler that is a crate itself, so that nobody needs `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["remote_write_v1.proto", "remote_write_v2.proto", "remote_read.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
