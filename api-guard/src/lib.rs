//! What users of the crate can name and call: a text of it, to be compared with `docs/api.txt`.
//!
//! The compiler says it: rustdoc's description of the crate as JSON, after macros, with derived and automatic traits.
//! That output is not stable yet, so [`describe`] asks for it with `RUSTC_BOOTSTRAP`, for this crate alone, and the
//! readers here look only at what they need.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

mod crate_doc;
mod diff;
mod items;
mod reach;
mod signature;

pub use crate::diff::difference;

/// The formats of rustdoc's JSON that this was seen to work with; the next ones probably will as well.
pub const KNOWN_FORMATS: std::ops::RangeInclusive<u64> = 57..=57;

/// The interface of a crate.
#[derive(Debug)]
pub struct Api {
    /// Every public item and implementation, in blocks that begin with a line without indentation.
    pub text: String,
    /// What it names of other crates than the standard library, by full path, sorted.
    pub foreign: Vec<String>,
    /// What it names of this crate that users cannot name, by full path, sorted.
    pub unnameable: Vec<String>,
    /// The format of the JSON it was read from.
    pub format: u64,
}

impl Api {
    /// Reads what rustdoc wrote.
    #[must_use]
    pub fn read(json: &Value) -> Self {
        let doc = crate_doc::CrateDoc::new(json);
        let reach = reach::Reach::of(&doc);
        let printer = signature::Printer::new(&doc, &reach);
        let text = items::text(&doc, &reach, &printer);
        let (foreign, unnameable) = printer.into_named();
        Self { text, foreign, unnameable, format: doc.format() }
    }
}

/// The folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of a workspace").to_owned()
}

/// The file that the interface is compared with.
#[must_use]
pub fn accepted() -> PathBuf {
    root().join("docs/api.txt")
}

/// Has rustdoc describe kafka-blocking, with all features.
#[must_use]
pub fn describe() -> Value {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["rustdoc", "--quiet", "--package=kafka-blocking", "--lib", "--all-features", "--"])
        // Not for all of cargo: some dependencies would be built anew for it.
        .env("RUSTDOC", root().join("api-guard/rustdoc"))
        .current_dir(root());
    run(&mut cargo);
    load(&root().join(target).join("doc/kafka_blocking.json"))
}

/// Has rustdoc describe the crate of one source file, and writes into the folder `out`.
#[must_use]
pub fn describe_file(source: &Path, out: &Path) -> Value {
    let name = source.file_stem().and_then(|s| s.to_str()).expect("a source file");
    let mut rustdoc = Command::new(root().join("api-guard/rustdoc"));
    rustdoc
        .arg("--edition=2024")
        .arg("--crate-name")
        .arg(name)
        .arg("--out-dir")
        .arg(out)
        .arg(source);
    run(&mut rustdoc);
    load(&out.join(name).with_extension("json"))
}

fn run(command: &mut Command) {
    // Hidden items are left out by our own rules: rustdoc would leave out what is re-exported from a hidden module too.
    command
        .args([
            "-Zunstable-options",
            "--output-format=json",
            "--document-hidden-items",
            "--cap-lints=allow",
        ])
        .env_remove("RUSTDOCFLAGS");
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn load(file: &Path) -> Value {
    let text = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
