//! Prints the records of a topic from its beginning: `cargo run --example consume -- localhost:9092 my-topic`.
//!
//! Ends when nothing has come for a while, by default 3 s; more options follow as `name=value`.

use kafka_blocking::{KafkaConsumer, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "my-topic".to_owned());
    let mut builder = KafkaConsumer::builder()
        .topics([topic])
        .bootstrap_servers(servers)
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(3000);
    for option in arguments {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        builder = builder.set(name, value);
    }
    let consumer = builder.build()?;
    for record in &consumer {
        let record = record?;
        println!(
            "{}:{}:{}: key={} value={}",
            record.topic(),
            record.partition(),
            record.offset(),
            text(record.key()),
            text(record.value()),
        );
    }
    consumer.close()
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "None".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
}
