//! The interface of kafka-blocking is the one that was accepted, and names nothing that it should not.

use std::{fs, sync::LazyLock};

use api_guard::{Api, KNOWN_FORMATS, accepted, describe, difference, root};

static API: LazyLock<Api> = LazyLock::new(|| Api::read(&describe()));

/// Bounds that users cannot name, on purpose: they seal `Setting`.
const SEALS: &[&str] =
    &["crate::options::FromList", "crate::options::FromNumber", "crate::options::FromText"];

/// Of Kafka's messages, which users have as `testing::protocol`: rustdoc's JSON does not follow a re-export of a module.
/// They are as Kafka's schemas say, so that listing them all would guard nothing.
const MESSAGES: &str = "crate::protocol::";

#[test]
fn the_interface_is_the_accepted_one() {
    let before = fs::read_to_string(accepted()).expect("docs/api.txt");
    let Some(difference) = difference(&before, &API.text) else { return };
    let doubt = if KNOWN_FORMATS.contains(&API.format) {
        ""
    } else {
        "\nThis compiler's rustdoc writes a format that api-guard was not tried with; if you changed nothing, look there."
    };
    panic!(
        "the interface differs from docs/api.txt:\n\n{difference}\n\
         If that is meant, accept it:  cargo run -p kafka-blocking-api-guard{doubt}\n"
    );
}

#[test]
fn what_it_names_of_other_crates_stands_in_the_design() {
    let design = fs::read_to_string(root().join("docs/design.md")).expect("docs/design.md");
    let (_, section) = design
        .split_once("\n## Foreign types in the public API\n")
        .expect("docs/design.md has a section of foreign types");
    let section = section.split("\n## ").next().expect("a first part");
    let mut listed: Vec<_> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.contains("::"))
        .map(str::to_owned)
        .collect();
    listed.sort();
    assert_eq!(
        API.foreign, listed,
        "left: what public signatures name of other crates; right: the `paths` that docs/design.md lists of them"
    );
}

#[test]
fn what_it_names_of_this_crate_can_be_named_by_users() {
    let unnameable = API.unnameable.iter().filter(|path| !path.starts_with(MESSAGES));
    assert_eq!(
        unnameable.collect::<Vec<_>>(),
        SEALS,
        "left: what public signatures name though users cannot; hide the item with #[doc(hidden)], or export the type"
    );
}
