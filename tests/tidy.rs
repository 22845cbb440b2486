//! Rules about the source itself that no linter knows.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The layers from the lowest to the highest: a file may name only what stands in its own layer or before it.
/// `docs/design.md` says what each is for.
const LAYERS: &[&[&str]] = &[
    &["error", "types", "options", "plants"],
    &["wire"],
    &["protocol"],
    &["records"],
    &["net"],
    &["client", "testing"],
    &["assignors"],
    &["subscriptions"],
    &["fetcher", "coordinator"],
    &["consumer"],
    &["lib"],
];

/// What stands apart from its folder: values that are parsed at the top and used below.
const PARSED_VALUES: &[&str] = &["consumer::options"];

/// The only files that may read the clock or wait.
const CLOCK_READERS: &[&str] =
    &["consumer/driver.rs", "consumer/keeper.rs", "testing/broker.rs", "testing/event_loop.rs"];

/// The only files that may start a thread.
const THREAD_STARTERS: &[&str] = &["net/helpers.rs", "consumer/keeper.rs", "testing/broker.rs"];

/// Machines and decoders, which must do the same each time: no order that depends on a hash.
const ORDERED: &[&str] = &[
    "wire",
    "protocol",
    "records",
    "net",
    "client",
    "assignors",
    "subscriptions",
    "fetcher",
    "coordinator",
    "consumer",
];

/// The macros that log.
const LEVELS: &[&str] = &["log::error", "log::warn", "log::info", "log::debug", "log::trace"];

#[test]
fn layers_look_down() {
    let mut wrong = Vec::new();
    for file in sources() {
        let own = layer(&file.module)
            .unwrap_or_else(|| panic!("{}: in no layer of tests/tidy.rs", file.path));
        for (number, line) in file.code() {
            for name in crate_names(line) {
                if PARSED_VALUES.iter().any(|allowed| {
                    line.contains(&format!("crate::{allowed}")) || line.contains(allowed)
                }) {
                    continue;
                }
                if layer(&name).is_some_and(|other| other > own) {
                    wrong.push(format!("{}:{number}: {} names {name}", file.path, file.module));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "layers may only look down:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_loop_reads_the_clock_or_sleeps() {
    let words = [
        "Instant::now",
        "SystemTime::now",
        "thread::sleep",
        ".elapsed()",
        "park_timeout",
        "recv_timeout",
    ];
    assert_absent(&words, CLOCK_READERS);
}

#[test]
fn fault_35_the_time_of_day_is_asked_for_nowhere() {
    assert_absent(&["SystemTime", "UNIX_EPOCH"], &[]);
}

#[test]
fn only_helpers_and_the_keeper_start_threads() {
    assert_absent(&["thread::spawn", "thread::Builder", "thread::scope"], THREAD_STARTERS);
}

#[test]
fn machines_depend_on_no_hash_order() {
    for file in sources().filter(|f| ORDERED.contains(&f.module.as_str())) {
        for (number, line) in file.code() {
            let hashed =
                ["HashMap", "HashSet", "RandomState"].iter().any(|word| line.contains(word));
            assert!(!hashed, "{}:{number}: use a BTreeMap or a Vec", file.path);
        }
    }
}

#[test]
fn machines_have_no_random_source_of_their_own() {
    for file in sources().filter(|f| f.path != "consumer/driver.rs") {
        for (number, line) in file.code() {
            let free = ["fastrand::u64(", "Rng::new()", "fastrand::f64("]
                .iter()
                .any(|word| line.contains(word));
            assert!(!free, "{}:{number}: randomness comes from a seed that is given", file.path);
        }
    }
}

#[test]
fn every_file_says_first_which_question_it_answers() {
    for file in sources() {
        assert!(file.text.starts_with("//! "), "{}: begins without //!", file.path);
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for file in sources() {
        let lines = file.code().count();
        assert!(
            lines <= 500,
            "{}: {lines} lines without its tests; does it still answer one question?",
            file.path
        );
    }
}

#[test]
fn log_targets_are_listed_in_the_documentation() {
    let documentation = fs::read_to_string(root().join("lib.rs")).expect("src/lib.rs");
    let used: BTreeSet<String> = sources().flat_map(|file| log_targets(&file.text)).collect();
    assert!(used.len() > 1, "no targets were found");
    for target in &used {
        assert!(
            documentation.contains(&format!("`{target}`")),
            "src/lib.rs does not list the log target {target}"
        );
    }
    let listed = documentation.lines().filter(|line| line.starts_with("//!")).flat_map(|line| {
        line.split('`').filter(|word| word.starts_with("kafka_blocking::")).map(str::to_owned)
    });
    for target in listed {
        assert!(used.contains(&target), "src/lib.rs lists {target}, to which nothing is logged");
    }
}

#[test]
fn what_is_logged_has_a_target() {
    for file in sources() {
        for (number, line) in file.code() {
            let logs = LEVELS.iter().any(|level| line.contains(&format!("{level}!(")));
            assert!(
                !logs || line.contains("target: \"kafka_blocking::"),
                "{}:{number}: begin with target: \"kafka_blocking::…\", in the same line",
                file.path
            );
        }
    }
}

fn assert_absent(words: &[&str], allowed: &[&str]) {
    for file in sources().filter(|f| !allowed.contains(&f.path.as_str())) {
        for (number, line) in file.code() {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{}:{number}: {word} belongs into {allowed:?}",
                    file.path
                );
            }
        }
    }
}

struct Source {
    /// Below `src/`.
    path: String,
    /// The first part of its path.
    module: String,
    text: String,
}

impl Source {
    /// The lines with their numbers, without comments and up to the tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
        let whole_file_is_tests = self.path.ends_with("tests.rs");
        lines
            .take_while(move |(_, line)| *line != "#[cfg(test)]" && !whole_file_is_tests)
            .filter(|(_, line)| !line.starts_with("//"))
    }
}

/// The targets of everything that a file logs.
fn log_targets(text: &str) -> Vec<String> {
    let targets = text.split("target: \"").skip(1).filter_map(|rest| rest.split('"').next());
    targets.filter(|target| target.starts_with("kafka_blocking")).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> impl Iterator<Item = Source> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "the sources were not found");
    files.into_iter().map(move |file| {
        let path =
            file.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        let module = path.split(['/', '.']).next().expect("a first part").to_owned();
        Source { text: fs::read_to_string(&file).expect("a source file"), path, module }
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// The modules of this crate that a line names: `crate::x`, or `x::…` within a `use crate::{…}` block.
fn crate_names(line: &str) -> Vec<String> {
    let known = || LAYERS.iter().copied().flatten().filter(|m| **m != "lib");
    let named = |module: &&&str| {
        line.contains(&format!("crate::{module}::"))
            || line.starts_with(&format!("{module}::"))
            || line.contains(&format!("{{{module}::"))
    };
    known().filter(named).map(|m| (*m).to_owned()).collect()
}
