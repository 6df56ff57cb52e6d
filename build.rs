//! Sets the linker options a Node.js addon needs, and the tag by which builds of this library tell
//! each other apart: the version and a digest of the sources, so that no change of a layout or of a
//! native function can be left out of it.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    napi_build::setup();
    for input in ["src", "package.json", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rustc-env=LSM_BUILD={:016x}", digest(&sources()));
}

/// The files that a build is made from, wherever it is made: the tests are not in the package.
fn sources() -> Vec<PathBuf> {
    let manifest = fs::read_to_string("package.json").expect("package.json");
    let tests: Vec<_> = manifest.split('"').filter_map(|text| text.strip_prefix('!')).collect();
    let mut files = vec!["Cargo.lock".into(), "Cargo.toml".into()];
    list(Path::new("src"), &mut files);
    files.retain(|file| !tests.iter().any(|test| file.starts_with(test)));
    files.sort();
    files
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a source").path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

/// FNV-1a of names and contents: the same on every machine, with every compiler.
fn digest(files: &[PathBuf]) -> u64 {
    let bytes = files.iter().flat_map(|file| {
        let name = file.to_string_lossy().replace('\\', "/").into_bytes();
        let mut content = fs::read(file).expect("a source");
        content.retain(|&byte| byte != b'\r');
        [name, content].concat()
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
