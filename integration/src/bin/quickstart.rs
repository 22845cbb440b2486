//! The first look: a broker, records from Kafka's Java producer, and the example that prints them.
use std::{
    env,
    process::{Command, ExitCode},
};

use kafka_blocking_integration::Cluster;
use serde_json::json;

fn main() -> ExitCode {
    println!("starting a Kafka 4.4.0 broker");
    let cluster = Cluster::release("4.4.0").start();
    let java = cluster.java();
    java.create_topic("greetings", 2, 1, &[]);
    let records = json!([
        {"key": "de", "value": "Guten Tag", "headers": [["formal", "yes"]]},
        {"key": "en", "value": "Hello"},
        {"key": "fr", "value": "Bonjour"},
        {"key": "ja", "value": "こんにちは"},
        {"value": "no key"},
    ]);
    let written = java.produce("greetings", &records, &[("compression.type", "zstd")]);
    println!(
        "Kafka's Java producer wrote {} records to greetings on {}",
        written.len(),
        cluster.bootstrap()
    );
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    println!("cargo run --example consume -- {} greetings", cluster.bootstrap());
    let done = Command::new(cargo)
        .args(["run", "-q", "--example", "consume", "--", cluster.bootstrap(), "greetings"])
        .status();
    println!("stopping the broker");
    match done {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
