//! What the caller gets, and when.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerBuilder, Error, KafkaConsumer, TopicPartition, Utf8};
use scripted_broker::{Record, encode_batch};

use crate::support::{PATIENCE, broker, next, reader};

#[test]
fn option_topics() {
    let broker = broker(&["of t"]);
    broker.create_topic("u", 1);
    broker.append("u", 0, ["of u"]);
    broker.create_topic("other", 1);
    broker.append("other", 0, ["of other"]);
    let consumer = reader(&broker).topics(["t", "u"]).build().unwrap();
    let mut topics = [next(&consumer), next(&consumer)].map(|r| r.topic().to_owned());
    topics.sort();
    assert_eq!(topics, ["t", "u"]);
    let assigned = consumer.assignment().unwrap();
    assert_eq!(assigned, [TopicPartition::new("t", 0), TopicPartition::new("u", 0)]);
}

#[test]
fn option_key_deserializer() {
    let broker = broker(&[]);
    broker.append("t", 0, [Record::new("7", "a")]);
    let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u8>();
    let consumer = reader(&broker).key_deserializer(number).build().unwrap();
    let record = consumer.next().unwrap().unwrap();
    assert_eq!((record.key(), record.value()), (Some(&7), Some(&b"a"[..])));
}

#[test]
fn option_value_deserializer() {
    let broker = broker(&[]);
    broker.append("t", 0, [Record::new("7", "a")]);
    let consumer = reader(&broker).value_deserializer(Utf8).build().unwrap();
    let record = consumer.next().unwrap().unwrap();
    assert_eq!(record.key(), Some(&b"7"[..]));
    assert_eq!(record.into_value(), Some("a".to_owned()));
}

#[test]
fn option_auto_offset_reset() {
    let broker = broker(&["0", "1", "2"]);
    let consumer = |policy| assigned(reader(&broker).auto_offset_reset(policy));
    assert_eq!(consumer("earliest").position(("t", 0)).unwrap(), 0);
    assert_eq!(consumer("latest").position(("t", 0)).unwrap(), 3);
    let without = consumer("none");
    let polled = without.poll(PATIENCE).unwrap_err();
    assert!(matches!(polled, Error::NoOffsetForPartition { .. }), "{polled}");
    let asked = without.position(("t", 0)).unwrap_err();
    assert!(matches!(asked, Error::NoOffsetForPartition { .. }), "{asked}");
}

#[test]
fn option_auto_offset_reset_where_the_leader_does_not_have_the_position() {
    let broker = broker(&["0", "1", "2"]);
    let consumer = |policy| {
        let consumer = assigned(reader(&broker).auto_offset_reset(policy));
        consumer.seek(("t", 0), 100).unwrap();
        assert_eq!(consumer.position(("t", 0)).unwrap(), 100);
        consumer
    };
    assert_eq!(next(&consumer("earliest")).offset(), 0);

    let latest = consumer("latest");
    let started = Instant::now();
    while latest.position(("t", 0)).unwrap() == 100 {
        assert!(started.elapsed() < PATIENCE, "the position is still out of range");
        assert!(latest.poll(Duration::from_millis(10)).unwrap().is_empty());
    }
    assert_eq!(latest.position(("t", 0)).unwrap(), 3);

    let without = consumer("none");
    let error = without.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::OffsetOutOfRange { offset: 100, .. }), "{error}");
    assert_eq!(without.position(("t", 0)).unwrap(), 100);
}

#[test]
fn option_exclude_internal_topics() {
    let broker = broker(&["of t"]);
    broker.create_topic("__consumer_offsets", 1);
    broker.append("__consumer_offsets", 0, ["of a group"]);
    let read = |exclude: bool| {
        let builder = reader(&broker).topics("").exclude_internal_topics(exclude);
        let consumer = builder.build().unwrap();
        consumer.subscribe_pattern(".*").unwrap();
        next(&consumer);
        consumer.assignment().unwrap()
    };
    let (own, internal) =
        (TopicPartition::new("t", 0), TopicPartition::new("__consumer_offsets", 0));
    assert_eq!(read(true), std::slice::from_ref(&own));
    assert_eq!(read(false), [internal.clone(), own]);

    // It is about patterns only.
    let by_name = reader(&broker).topics("__consumer_offsets").build().unwrap();
    assert_eq!(next(&by_name).topic(), "__consumer_offsets");
    assert_eq!(by_name.assignment().unwrap(), [internal]);
}

#[test]
fn option_check_crcs() {
    let broker = broker(&[]);
    let mut damaged = encode_batch(&[Record::value("a")]);
    damaged[17] ^= 1;
    broker.append_batch("t", 0, damaged);
    let trusting = reader(&broker).check_crcs(false).build().unwrap();
    assert_eq!(next(&trusting).value(), Some(&b"a"[..]));
    let checking = reader(&broker).check_crcs(true).build().unwrap();
    let error = checking.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::CorruptRecord { offset: 0, .. }), "{error}");
}

#[test]
fn option_max_poll_records() {
    let broker = broker(&["0", "1", "2", "3", "4"]);
    let consumer = reader(&broker).max_poll_records(2).build().unwrap();
    assert_eq!([(); 3].map(|()| consumer.poll(PATIENCE).unwrap().count()), [2, 2, 1]);
}

#[test]
fn option_consumer_timeout_ms() {
    let broker = broker(&[]);
    let consumer = reader(&broker).consumer_timeout_ms(300).build().unwrap();
    let started = Instant::now();
    // Without the option it would wait for ever.
    let (done, wait) = mpsc::channel::<()>();
    let handle = consumer.handle();
    let guard = thread::spawn(move || {
        if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            handle.stop();
        }
    });
    assert!(consumer.next().is_none());
    let waited = started.elapsed();
    drop(done);
    guard.join().unwrap();
    assert!((Duration::from_millis(300)..PATIENCE).contains(&waited), "{waited:?}");
}

#[test]
fn option_default_api_timeout_ms() {
    let broker = broker(&[]);
    let consumer = reader(&broker)
        .topics("")
        .fetch_max_wait_ms(100)
        .request_timeout_ms(200)
        .default_api_timeout_ms(300)
        .build()
        .unwrap();
    // There is no such partition, so it never has a position.
    consumer.assign([("t", 5)]).unwrap();
    let started = Instant::now();
    let error = consumer.position(("t", 5)).unwrap_err();
    let waited = started.elapsed();
    let limit = Duration::from_millis(300);
    assert!(matches!(&error, Error::Timeout { after, .. } if *after == limit), "{error}");
    assert!((limit..PATIENCE).contains(&waited), "{waited:?}");
}

/// A consumer of `t-0`, which has no position yet.
fn assigned(builder: ConsumerBuilder) -> KafkaConsumer {
    let consumer = builder.topics("").build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer
}
