//! A member of a group that commits each record once it is done with it, ported line by line:
//! `cargo run --example group_manual_commit -- localhost:9092 my-topic my-group`.
//!
//! More options follow as `name=value`, such as `consumer_timeout_ms=3000`, which ends the loop.

use kafka_blocking::{KafkaConsumer, OffsetAndMetadata, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |n: usize, default: &str| arguments.get(n).map_or(default, String::as_str).to_owned();

    // consumer = KafkaConsumer('my-topic',
    //                          group_id='my-group',
    //                          bootstrap_servers=['localhost:9092'],
    //                          auto_offset_reset='earliest',
    //                          enable_auto_commit=False)
    let mut builder = KafkaConsumer::builder()
        .topics([argument(1, "my-topic")])
        .group_id(argument(2, "my-group"))
        .bootstrap_servers([argument(0, "localhost:9092")])
        .auto_offset_reset("earliest")
        .enable_auto_commit(false);
    for option in arguments.iter().skip(3) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        builder = builder.set(name, value);
    }
    let consumer = builder.build()?;

    // for message in consumer:
    for message in &consumer {
        let message = message?;
        //     process(message)
        process(message.value());
        //     tp = TopicPartition(message.topic, message.partition)
        let tp = message.topic_partition();
        //     consumer.commit({tp: OffsetAndMetadata(message.offset + 1, 'done', -1)})
        let done = OffsetAndMetadata::new(message.offset() + 1).with_metadata("done");
        consumer.commit_offsets([(&tp, done)])?;
        //     print(tp, consumer.committed(tp))
        println!("{tp} {:?}", consumer.committed(&tp)?);
    }

    // consumer.close()
    consumer.close()
}

fn process(value: Option<&[u8]>) {
    println!("{}", value.map_or_else(|| "None".into(), String::from_utf8_lossy));
}
