//! A whole consumer against scripted brokers, on real sockets.

use std::time::{Duration, Instant};

use kafka_blocking::{
    ErrorCode, KafkaConsumer,
    protocol::{fetch::FetchRequest, metadata::MetadataRequest},
};
use scripted_broker::{BadServer, Record, ScriptedBroker};

fn consumer(broker: &ScriptedBroker) -> KafkaConsumer {
    KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(2000)
        .topics("t")
        .build()
        .unwrap()
}

fn values(consumer: &KafkaConsumer, count: usize) -> Vec<String> {
    let records = consumer.iter().take(count).map(|r| r.unwrap());
    records.map(|r| String::from_utf8(r.value().unwrap().to_vec()).unwrap()).collect()
}

#[test]
fn a_consumer_reads_what_was_appended_before_and_after_it_came() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, [Record::new("k", "a").header("h", "v"), "b".into()]);
    let consumer = consumer(&broker);
    let first = consumer.iter().next().unwrap().unwrap();
    assert_eq!((first.topic(), first.partition(), first.offset()), ("t", 0, 0));
    assert_eq!((first.key(), first.value()), (Some(&b"k"[..]), Some(&b"a"[..])));
    assert_eq!(values(&consumer, 1), ["b"]);
    broker.append("t", 0, ["c"]);
    assert_eq!(values(&consumer, 1), ["c"]);
    consumer.seek(("t", 0), 1).unwrap();
    assert_eq!(values(&consumer, 2), ["b", "c"]);
}

#[test]
fn a_leader_that_moves_or_fails_costs_no_record() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let consumer = consumer(&broker);
    assert_eq!(values(&consumer, 1), ["a"]);
    broker.move_leader("t", 0, 2);
    broker.append("t", 0, ["b"]);
    assert_eq!(values(&consumer, 1), ["b"]);
    broker.on::<FetchRequest>().times(2).fail(ErrorCode::KAFKA_STORAGE_ERROR);
    broker.close_connections(2);
    broker.append("t", 0, ["c"]);
    assert_eq!(values(&consumer, 1), ["c"]);
}

/// Builds a consumer that cannot come about; gives the error's text, and how long it took.
fn refused(server: &str) -> (String, Duration) {
    let begin = Instant::now();
    let built =
        KafkaConsumer::builder().bootstrap_servers(server).bootstrap_timeout_ms(400).build();
    (built.unwrap_err().to_string(), begin.elapsed())
}

#[test]
fn what_is_no_broker_is_an_error_in_time_that_names_the_address_and_the_cause() {
    let servers = [
        (BadServer::silent(), "ApiVersions"),
        (BadServer::refusing(), "refused"),
        (BadServer::with_full_backlog(), "connecting"),
        (BadServer::http(), "HTTP"),
    ];
    for (server, cause) in servers {
        let (text, took) = refused(&server.address());
        assert!(text.contains(&server.address()) && text.contains(cause), "{cause}: {text}");
        assert!(took < Duration::from_millis(650), "{cause}: {took:?}");
    }
    let (text, _) = refused(&BadServer::garbage(1).address());
    assert!(text.contains("127.0.0.1"), "{text}");
}

#[test]
fn a_broker_that_answers_nothing_but_api_versions_is_named_too() {
    let broker = ScriptedBroker::start();
    broker.on::<MetadataRequest>().silence();
    let (text, took) = refused(&broker.address());
    assert!(took < Duration::from_millis(650), "{took:?}");
    assert!(text.contains("no brokers available"), "{text}");
}
