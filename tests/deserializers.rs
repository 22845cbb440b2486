//! What deserializers make of keys and values, and what becomes of records that they fail on.

mod support;

use std::{
    num::ParseIntError,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_blocking::{
    Deserializer, Error, Headers, KafkaConsumer, RecordPart, TopicPartition, Utf8,
    protocol::fetch::FetchRequest,
};
use scripted_broker::{Record, ScriptedBroker};
use support::{LONG, append, broker_with, builder};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// What a deserializer fails with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A broker whose topic `t` has one partition, with these records in one batch.
fn broker_of(records: impl IntoIterator<Item = Record>) -> ScriptedBroker {
    let broker = broker_with(1, 0);
    broker.append("t", 0, records);
    broker
}

fn number(data: &[u8]) -> Result<u64, BoxError> {
    Ok(std::str::from_utf8(data)?.parse()?)
}

/// A consumer whose values are numbers.
fn numbers(broker: &ScriptedBroker) -> KafkaConsumer<[u8], u64> {
    builder(broker.address()).topics("t").value_deserializer(number).build().unwrap()
}

// What they give

#[test]
fn keys_and_values_have_the_types_that_their_deserializers_make() {
    let broker = broker_of([Record::new("a", "1"), Record::new("b", "22")]);
    let consumer = builder(broker.address())
        .topics("t")
        .key_deserializer(Utf8)
        .value_deserializer(number)
        .build()
        .unwrap();
    let record = consumer.next().unwrap().unwrap();
    assert_eq!((record.key().map(String::as_str), record.value()), (Some("a"), Some(&1)));
    assert_eq!((record.raw_key(), record.raw_value()), (Some(&b"a"[..]), Some(&b"1"[..])));
    let polled = consumer.poll(LONG).unwrap();
    let record = &polled.records(&tp(0))[0];
    assert_eq!((record.key().map(String::as_str), record.value()), (Some("b"), Some(&22)));
    assert_eq!(record.serialized_value_size(), Some(2));
    let pairs: Vec<_> = polled.into_records().map(|record| record.into_key_value()).collect();
    assert_eq!(pairs, [(Some("b".to_owned()), Some(22))]);
}

#[test]
fn null_stays_none_and_no_deserializer_sees_it_and_empty_is_not_null() {
    let empty = Record { key: Some(Vec::new()), ..Record::value("") };
    let broker = broker_of([Record::default(), empty, Record::new("k", "v")]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let count = move |data: &[u8]| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, BoxError>(data.len())
    };
    let consumer = builder(broker.address())
        .topics("t")
        .key_deserializer(count.clone())
        .value_deserializer(count)
        .build()
        .unwrap();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let record = consumer.next().unwrap().unwrap();
        sizes.push((record.key().copied(), record.value().copied()));
    }
    assert_eq!(sizes, [(None, None), (Some(0), Some(0)), (Some(1), Some(1))]);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

/// Tells which topic, headers and data it was given.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl Deserializer<()> for Witness {
    fn deserialize(&self, topic: &str, headers: Headers<'_>, data: &[u8]) -> Result<(), BoxError> {
        let headers: Vec<_> = headers.map(|header| header.key().into_owned()).collect();
        let data = String::from_utf8(data.to_vec())?;
        self.0.lock().unwrap().push(format!("{topic} {headers:?} {data}"));
        Ok(())
    }
}

#[test]
fn a_deserializer_of_ones_own_sees_topic_and_headers() {
    let broker = broker_of([Record::new("k", "v").header("h1", "x").header("h2", "y")]);
    let witness = Witness::default();
    let consumer = builder(broker.address())
        .topics("t")
        .key_deserializer(witness.clone())
        .value_deserializer(witness.clone())
        .build()
        .unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&()));
    let seen = witness.0.lock().unwrap().clone();
    assert_eq!(seen, [r#"t ["h1", "h2"] k"#, r#"t ["h1", "h2"] v"#]);
}

#[derive(serde::Deserialize, Debug, PartialEq)]
struct Order {
    item: String,
    count: u32,
}

#[test]
fn json_is_read_by_a_closure_and_its_error_says_where() {
    let broker = broker_of([
        Record::value(r#"{"item": "tea", "count": 2}"#),
        Record::value(r#"{"item": "tea", "count": -2}"#),
    ]);
    let consumer = builder(broker.address())
        .topics("t")
        .value_deserializer(|data: &[u8]| serde_json::from_slice::<Order>(data))
        .build()
        .unwrap();
    let order = consumer.next().unwrap().unwrap().into_value();
    assert_eq!(order, Some(Order { item: "tea".to_owned(), count: 2 }));
    let Err(Error::Deserialization(error)) = consumer.next().unwrap() else { panic!("read") };
    let cause = error.source.downcast_ref::<serde_json::Error>().expect("the error of serde_json");
    assert_eq!(cause.line(), 1);
    assert!(error.to_string().contains(&cause.to_string()), "{error}");
}

#[test]
fn a_batch_as_a_whole_goes_past_the_deserializers() {
    let broker = broker_of(["1", "no", "3"].map(Record::value));
    let consumer = numbers(&broker);
    assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&1));
    assert!(consumer.next().unwrap().is_err());
    let batch = consumer.poll_batch(LONG).unwrap().expect("the rest of the batch");
    let values: Vec<_> = batch.iter().map(|r| r.unwrap().value().unwrap().to_vec()).collect();
    assert_eq!(values, [b"no".to_vec(), b"3".to_vec()]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 3);
}

// What they fail on

/// Checks an error of the value "no" at offset 2.
fn is_of_offset_2(consumer: &KafkaConsumer<[u8], u64>, error: &Error) {
    let Error::Deserialization(inner) = error else { panic!("{error:?}") };
    assert_eq!((&inner.partition, inner.offset, inner.part), (&tp(0), 2, RecordPart::Value));
    assert_eq!((inner.key.as_deref(), inner.value.as_deref()), (Some(&b"k"[..]), Some(&b"no"[..])));
    assert!(inner.source.is::<ParseIntError>(), "{:?}", inner.source);
    assert!(error.to_string().contains("t-0") && error.to_string().contains('2'), "{error}");
    assert!(!error.retriable());
    assert_eq!(error.next_position(), Some((tp(0), 3)));
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
}

/// In one batch, or in a batch each.
fn third_is_no_number(in_one_batch: bool) -> ScriptedBroker {
    let broker = broker_with(2, 0);
    let records = ["0", "1", "no", "3"].map(|value| Record::new("k", value));
    if in_one_batch {
        broker.append("t", 0, records);
    } else {
        for record in records {
            broker.append("t", 0, [record]);
        }
    }
    broker
}

#[test]
fn fault_181_poll_gives_the_records_before_and_then_the_error_each_time() {
    for in_one_batch in [true, false] {
        let broker = third_is_no_number(in_one_batch);
        let consumer = numbers(&broker);
        let mut values = Vec::new();
        let error = loop {
            match consumer.poll(LONG) {
                Ok(polled) => values.extend(polled.into_records().filter_map(|r| r.into_value())),
                Err(error) => break error,
            }
        };
        assert_eq!(values, [0, 1]);
        is_of_offset_2(&consumer, &error);
        for _ in 0..3 {
            is_of_offset_2(&consumer, &consumer.poll(Duration::ZERO).unwrap_err());
        }
        let (partition, next) = error.next_position().unwrap();
        consumer.seek(partition, next).unwrap();
        assert_eq!(consumer.poll(LONG).unwrap().records(&tp(0))[0].value(), Some(&3));
        assert_eq!(consumer.position(tp(0)).unwrap(), 4);
    }
}

#[test]
fn fault_181_iteration_gives_the_records_before_and_then_the_error_each_time() {
    for in_one_batch in [true, false] {
        let broker = third_is_no_number(in_one_batch);
        let consumer = numbers(&broker);
        for expected in 0..2 {
            assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&expected));
        }
        let error = consumer.next().unwrap().unwrap_err();
        is_of_offset_2(&consumer, &error);
        for _ in 0..3 {
            is_of_offset_2(&consumer, &consumer.next().unwrap().unwrap_err());
            is_of_offset_2(&consumer, &consumer.poll(LONG).unwrap_err());
        }
        consumer.seek(tp(0), 3).unwrap();
        assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&3));
    }
}

#[test]
fn fault_181_the_error_holds_up_a_paused_partition_no_longer_and_comes_again_when_it_is_resumed() {
    let broker = third_is_no_number(true);
    broker.append("t", 1, ["10", "11"].map(Record::value));
    let consumer = numbers(&broker);
    let mut values = Vec::new();
    let mut collect = |consumer: &KafkaConsumer<[u8], u64>, until: usize| {
        while values.len() < until {
            if let Ok(polled) = consumer.poll(LONG) {
                values.extend(polled.into_records().filter_map(|r| r.into_value()));
            }
            if values.len() < until && consumer.position(tp(0)).unwrap() == 2 {
                consumer.pause([tp(0)]).unwrap();
            }
        }
        values.clone()
    };
    let mut four = collect(&consumer, 4);
    four.sort_unstable();
    assert_eq!(four, [0, 1, 10, 11]);
    consumer.pause([tp(0)]).unwrap();
    append(&broker, 1, 1); // its value is no number either
    assert!(consumer.poll(LONG).unwrap_err().to_string().contains("t-1"));
    consumer.seek(tp(1), 3).unwrap();
    consumer.resume([tp(0)]).unwrap();
    is_of_offset_2(&consumer, &consumer.poll(LONG).unwrap_err());
}

#[test]
fn fault_181_a_key_that_cannot_be_read_is_told_from_a_value() {
    let broker = broker_of([Record::new([0xff], "1"), Record::new("k", "2")]);
    let consumer = builder(broker.address())
        .topics("t")
        .key_deserializer(Utf8)
        .value_deserializer(number)
        .build()
        .unwrap();
    for _ in 0..2 {
        let Err(Error::Deserialization(error)) = consumer.next().unwrap() else { panic!("read") };
        assert_eq!((error.part, error.offset), (RecordPart::Key, 0));
        assert_eq!(error.key.as_deref(), Some(&[0xff][..]));
        assert!(error.to_string().contains("key"), "{error}");
    }
    consumer.seek(tp(0), 1).unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&2));
}

#[test]
fn fault_181_what_failed_once_is_given_when_it_can_be_read() {
    let broker = broker_of(["1", "2", "3"].map(Record::value));
    let calls = AtomicUsize::new(0);
    let consumer = builder(broker.address())
        .topics("t")
        .value_deserializer(move |data: &[u8]| match calls.fetch_add(1, Ordering::Relaxed) {
            1 | 2 => Err("not now".into()),
            _ => number(data),
        })
        .build()
        .unwrap();
    let mut values = Vec::new();
    let mut failures = 0;
    while values.len() < 3 {
        match consumer.poll(LONG) {
            Ok(polled) => values.extend(polled.into_records().filter_map(|r| r.into_value())),
            Err(Error::Deserialization(_)) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    // The first of the two failures is behind a record, which was given instead of it.
    assert_eq!((values, failures), (vec![1, 2, 3], 1));
}

#[test]
fn a_record_that_a_deserializer_fails_on_is_not_fetched_again() {
    let broker = broker_of([Record::new("a", "1"), Record::new("b", "x")]);
    let consumer = numbers(&broker);
    assert_eq!(consumer.next().unwrap().unwrap().value(), Some(&1));
    for _ in 0..5 {
        assert!(consumer.next().unwrap().is_err());
        assert!(consumer.poll(LONG).is_err());
    }
    let asked = broker.requests_of::<FetchRequest>();
    let mut offsets = asked
        .iter()
        .flat_map(|request| request.topics.iter().flat_map(|topic| &topic.partitions))
        .map(|partition| partition.fetch_offset);
    assert!(!offsets.any(|offset| offset == 1), "what is there is not asked for once more");
}
