//! Programs of kafka-python, which owe our code nothing.
use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    canonical::PartitionDigest,
    child::{kafka_py, output_of},
};

/// Reads a whole topic with kafka-python.
pub fn read_with_kafka_python(bootstrap: &str, topic: &str) -> Vec<PartitionDigest> {
    let answer = run("read.py", &[bootstrap, topic]);
    let partitions = answer["partitions"].as_array().expect("read.py says so");
    partitions.iter().map(PartitionDigest::from_json).collect()
}

/// Writes the records of one partition into a file, a line each, as kafka-python reads them.
pub fn dump_with_kafka_python(bootstrap: &str, topic: &str, partition: i32, file: &Path) {
    let file = file.to_str().expect("test folders have plain names");
    run("read.py", &[bootstrap, topic, "--partition", &partition.to_string(), "--dump", file]);
}

/// Runs a program of `python/` to its end, and gives what it prints.
///
/// # Panics
/// Where it fails, or has not ended within five minutes.
pub fn run(program: &str, arguments: &[&str]) -> Value {
    let process = Command::new("python3")
        .arg(kafka_py())
        .args(["python", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is installed: run integration/setup");
    let done = output_of(program, process);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "kafka-python failed:\n{errors}");
    serde_json::from_slice(&done.stdout).expect("it answers in JSON")
}
