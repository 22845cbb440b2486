//! The program that the fuzzer runs: one for all targets, as linking one for each would take longer than a short run of it.
//!
//! `FUZZ_TARGET` names the target. With `list` as its name the targets are listed, and with `FUZZ_SEEDS` the inputs to
//! begin with are written into that folder. Built without the fuzzer, it takes the files that it is given.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
use std::sync::OnceLock;
use std::{fs, path::Path, process};

use kafka_blocking_fuzz::{TARGETS, Target};

#[cfg(fuzzing)]
static TARGET: OnceLock<Target> = OnceLock::new();

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(init: begin(), |bytes: &[u8]| (TARGET.get_or_init(begin).run)(bytes));

#[cfg(not(fuzzing))]
fn main() {
    let target = begin();
    for file in std::env::args_os().skip(1) {
        println!("{} {}", target.name, file.display());
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (target.run)(&bytes);
    }
}

/// The target that is named, unless something else is asked for.
fn begin() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    if name == "list" {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        process::exit(0);
    }
    let Some(target) = kafka_blocking_fuzz::target(&name) else {
        eprintln!("FUZZ_TARGET={name}: there is no such target");
        process::exit(2);
    };
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let file = Path::new(&folder).join(format!("seed-{number:04}"));
            fs::write(file, seed).expect("a folder to write to");
        }
        process::exit(0);
    }
    target
}
