//! Reads a topic as a member of a group and prints what it reads: `cargo run --example quickstart --features testing`.
//!
//! Without arguments it brings a broker of its own, in the process: no Kafka, Java or Python is needed. With the address of
//! a real cluster and a topic it reads that, until Ctrl-C:
//!
//! ```sh
//! cargo run --example quickstart --features testing -- localhost:9092 my-topic
//! ```

use std::{env, time::Duration};

use kafka_blocking::{KafkaConsumer, Utf8, testing::ScriptedBroker};

fn main() -> kafka_blocking::Result<()> {
    match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => try_it(),
        [servers, topic] => read(servers, topic, Duration::MAX),
        _ => {
            eprintln!("quickstart [SERVERS TOPIC]");
            std::process::exit(2);
        }
    }
}

/// Makes a broker, writes to it, and reads twice: the second member begins where the first has committed.
fn try_it() -> kafka_blocking::Result<()> {
    let broker = ScriptedBroker::start();
    broker.create_topic("greetings", 2);
    broker.append("greetings", 0, ["hello", "how are you?"]);
    broker.append("greetings", 1, ["bonjour", "ça va ?"]);
    println!("A broker in this process is at {}; a group reads it:", broker.address());
    read(&broker.address(), "greetings", Duration::from_secs(1))?;

    broker.append("greetings", 0, ["goodbye"]);
    println!("One more was written; the group goes on behind what it has committed:");
    read(&broker.address(), "greetings", Duration::from_secs(1))?;

    println!(
        "Now with your own: cargo run --example quickstart --features testing -- localhost:9092 my-topic"
    );
    Ok(())
}

/// Prints what the group has not read yet, until nothing comes for so long; then commits and leaves the group.
fn read(servers: &str, topic: &str, until_quiet: Duration) -> kafka_blocking::Result<()> {
    // KafkaConsumer(topic, group_id='quickstart', bootstrap_servers=servers, auto_offset_reset='earliest', …)
    let consumer = KafkaConsumer::builder()
        .topics(topic)
        .group_id("quickstart")
        .bootstrap_servers(servers)
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(until_quiet)
        .value_deserializer(Utf8)
        .build()?;
    for record in &consumer {
        let record = record?;
        let value = record.value().map_or("(null)", String::as_str);
        println!("  {}:{}:{} {value}", record.topic(), record.partition(), record.offset());
    }
    consumer.close()
}
