//! The programs of kafka-python's documentation, ported line by line in `examples/`, do what they did.

use std::{path::PathBuf, process::Command};

use scripted_broker::ScriptedBroker;

/// What an example writes, run as a member of group `g` on topic `t` until nothing has come for a second.
fn run(example: &str, broker: &ScriptedBroker, more: &[&str]) -> String {
    let mut path: PathBuf = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&path)
        .args([&broker.address(), "t", "g", "consumer_timeout_ms=1000"])
        .args(more)
        .output()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo build --examples` makes it", path.display())
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it writes text")
}

#[test]
fn the_program_that_commits_by_itself_goes_on_where_it_ended() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b"]);
    let first = run("group_auto_commit", &broker, &["auto_offset_reset=earliest"]);
    assert_eq!(first, "t:0:0: key=None value=Some(\"a\")\nt:0:1: key=None value=Some(\"b\")\n");
    broker.append("t", 0, ["c"]);
    let second = run("group_auto_commit", &broker, &["auto_offset_reset=earliest"]);
    assert_eq!(second, "t:0:2: key=None value=Some(\"c\")\n");
}

#[test]
fn the_program_that_commits_each_record_goes_on_where_it_ended() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b"]);
    let first = run("group_manual_commit", &broker, &[]);
    assert_eq!(first, "a\nt-0 Some(1)\nb\nt-0 Some(2)\n");
    broker.append("t", 0, ["c"]);
    assert_eq!(run("group_manual_commit", &broker, &[]), "c\nt-0 Some(3)\n");
}
