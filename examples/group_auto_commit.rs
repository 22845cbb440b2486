//! A member of a group that commits by itself, ported line by line: `cargo run --example group_auto_commit -- localhost:9092 my-topic my-group`.
//!
//! More options follow as `name=value`, such as `consumer_timeout_ms=3000`, which ends the loop.

use kafka_blocking::{KafkaConsumer, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |n: usize, default: &str| arguments.get(n).map_or(default, String::as_str).to_owned();

    // # To consume latest messages and auto-commit offsets
    // consumer = KafkaConsumer('my-topic',
    //                          group_id='my-group',
    //                          bootstrap_servers=['localhost:9092'])
    let mut builder = KafkaConsumer::builder()
        .topics([argument(1, "my-topic")])
        .group_id(argument(2, "my-group"))
        .bootstrap_servers([argument(0, "localhost:9092")]);
    for option in arguments.iter().skip(3) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        builder = builder.set(name, value);
    }
    let consumer = builder.build()?;

    // for message in consumer:
    for message in &consumer {
        let message = message?;
        //     # message value and key are raw bytes -- decode if necessary!
        //     # e.g., for unicode: `message.value.decode('utf-8')`
        //     print ("%s:%d:%d: key=%s value=%s" % (message.topic, message.partition,
        //                                           message.offset, message.key,
        //                                           message.value))
        println!(
            "{}:{}:{}: key={:?} value={:?}",
            message.topic(),
            message.partition(),
            message.offset(),
            message.key().map(String::from_utf8_lossy),
            message.value().map(String::from_utf8_lossy),
        );
    }

    // consumer.close()
    consumer.close()
}
