//! What the types promise, and that programs ported line by line compile.

use kafka_blocking::{ConsumerHandle, ConsumerRecord, KafkaConsumer, TopicPartition};
use scripted_broker::{Record, ScriptedBroker};
use static_assertions::{assert_impl_all, assert_not_impl_any};

// kafka-python's "not thread safe", checked by the compiler: it may move, and is not shared.
assert_impl_all!(KafkaConsumer: Send);
assert_not_impl_any!(KafkaConsumer: Sync);
assert_impl_all!(ConsumerHandle: Send, Sync, Clone);
assert_impl_all!(ConsumerRecord: Send, Sync, Clone);

#[test]
fn the_consumer_can_be_used_inside_its_own_loop() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, (0..5).map(|n| Record::value(n.to_string())));
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(500)
        .build()
        .unwrap();
    let partition = TopicPartition::new("t", 0);
    let mut seen = Vec::new();
    for record in &consumer {
        let record = record.unwrap();
        seen.push(record.offset());
        assert_eq!(consumer.position(&partition).unwrap(), record.offset() + 1);
        if record.offset() == 1 {
            consumer.seek(&partition, 3).unwrap();
            assert_eq!(consumer.position(&partition).unwrap(), 3);
        }
    }
    assert_eq!(seen, [0, 1, 3, 4]);
}

#[test]
fn a_consumer_is_an_iterator_for_those_who_take_one() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b", "c"].map(Record::value));
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(300)
        .build()
        .unwrap();
    let lengths = consumer.map(|record| record.unwrap().value().map_or(0, <[u8]>::len));
    assert_eq!(lengths.sum::<usize>(), 3);
}

#[test]
fn a_loop_goes_on_where_the_one_before_it_timed_out() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b"].map(Record::value));
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(200)
        .build()
        .unwrap();
    assert_eq!(consumer.iter().map(|r| r.unwrap().offset()).collect::<Vec<_>>(), [0, 1]);
    assert!(consumer.next().is_none());
    broker.append("t", 0, ["c"].map(Record::value));
    assert_eq!(consumer.iter().map(|r| r.unwrap().offset()).collect::<Vec<_>>(), [2]);
}

#[test]
fn fault_243_a_consumer_moves_to_another_thread_and_its_handle_is_shared() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"].map(Record::value));
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .build()
        .unwrap();
    let handle = consumer.handle();
    let (sender, records) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        for record in &consumer {
            sender.send(record.unwrap()).unwrap();
        }
    });
    assert_eq!(records.recv().unwrap().offset(), 0);
    handle.stop();
    other.join().unwrap();
}
