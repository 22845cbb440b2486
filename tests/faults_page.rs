//! Whether `docs/faults.md` says of every fault which tests there are, and names none that there are not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// How many faults the catalogue has.
const FAULTS: u32 = 285;

/// What the page says of one fault.
#[derive(Default)]
struct Entry {
    /// Files and the tests in them.
    tests: BTreeSet<(String, String)>,
    has_reason: bool,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The page: `**12**` begins a fault, and a line below it with a file names tests, or `No test:` says why there is none.
fn page() -> BTreeMap<u32, Entry> {
    let text = fs::read_to_string(root().join("docs/faults.md")).expect("docs/faults.md");
    let mut entries: BTreeMap<u32, Entry> = BTreeMap::new();
    let (mut last, mut file) = (None, String::new());
    for line in text.lines() {
        if let Some((number, _)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
            let number = number.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(entries.insert(number, Entry::default()).is_none(), "{number} is there twice");
            last = Some(number);
        } else if line.starts_with('#') {
            last = None;
        }
        let Some(entry) = last.and_then(|number| entries.get_mut(&number)) else { continue };
        let list = line.trim_start();
        if list.starts_with("- No test: ") || list.starts_with("- Not all: ") {
            entry.has_reason = true;
        } else if list.starts_with("- `") || (line.starts_with("  `") && !file.is_empty()) {
            for name in line.split('`').skip(1).step_by(2) {
                if name.ends_with(".rs") {
                    file = name.to_owned();
                } else {
                    entry.tests.insert((file.clone(), name.to_owned()));
                }
            }
        } else {
            file.clear();
        }
    }
    entries
}

/// All tests of the project, with their files.
fn tests() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    collect(&root(), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry of it").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root()).expect("below it").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("text");
            found.extend(functions(&text).map(|function| (file.clone(), function.to_owned())));
        }
    }
}

/// The functions of a file that are tests, by their attribute.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ")
            && std::mem::take(&mut is_test)
        {
            return rest.split(['(', '<']).next();
        }
        None
    })
}

fn fault_of(test: &str) -> Option<u32> {
    test.strip_prefix("fault_")?.split('_').next()?.parse().ok()
}

#[test]
fn every_fault_is_on_the_page_with_its_tests_or_with_the_reason_why_there_is_none() {
    let page = page();
    let numbers: Vec<u32> = page.keys().copied().collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
    let empty = page.iter().filter(|(_, entry)| entry.tests.is_empty() && !entry.has_reason);
    let empty: Vec<u32> = empty.map(|(number, _)| *number).collect();
    assert!(empty.is_empty(), "neither a test nor a reason: {empty:?}");
}

#[test]
fn every_test_on_the_page_of_faults_exists_in_its_file() {
    let tests = tests();
    let named = page()
        .into_iter()
        .flat_map(|(number, entry)| entry.tests.into_iter().map(move |test| (number, test)));
    let missing: Vec<_> = named.filter(|(_, test)| !tests.contains(test)).collect();
    assert!(missing.is_empty(), "docs/faults.md names what there is not: {missing:#?}");
}

#[test]
fn every_test_of_a_fault_is_on_the_page_under_its_number() {
    let page = page();
    let all = tests();
    let numbered: Vec<_> =
        all.iter().filter_map(|test| fault_of(&test.1).map(|number| (number, test))).collect();
    assert!(numbered.len() > 400, "only {} tests of faults were found", numbered.len());
    let missing: Vec<_> = numbered
        .iter()
        .filter(|(number, test)| page.get(number).is_none_or(|e| !e.tests.contains(*test)))
        .collect();
    assert!(missing.is_empty(), "docs/faults.md does not name them: {missing:#?}");
}
