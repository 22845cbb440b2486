//! What `bob` may not do: errors name the topics or the group, and everything else goes on.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerBuilder, Error, KafkaConsumer, Result};
use kafka_blocking_integration::{JavaTool, Login, Resource};

use super::{at, cluster};

/// Who has just the rights that a test gives him, by PLAIN.
fn bob() -> ConsumerBuilder {
    at("SASL_PLAINTEXT", "SASL_PLAINTEXT")
        .set("sasl_mechanism", "PLAIN")
        .set("sasl_plain_username", "bob")
        .set("sasl_plain_password", "bob-secret")
        .set("default_api_timeout_ms", "10000")
        .set("request_timeout_ms", "5000")
        .consumer()
}

/// A topic of one partition with records, and what bob may do with it.
fn topic(name: &'static str, rights: &[&str]) -> &'static str {
    java().create_topic(name, 1, 1, &[]);
    write(name, 20);
    if !rights.is_empty() {
        java().allow("bob", Resource::Topic(name), rights);
    }
    name
}

fn java() -> &'static JavaTool {
    cluster().java()
}

fn write(topic: &str, records: usize) {
    Login::new(cluster().bootstrap(), &[]).write_with_kafka_python(topic, records);
}

#[test]
fn fault_277_a_topic_that_may_not_be_read_is_named_and_the_others_go_on() {
    let _logs = cluster().logs_on_failure();
    let (open, shut) = (topic("open", &["READ", "DESCRIBE"]), topic("shut", &["DESCRIBE"]));
    java().allow("bob", Resource::Group(open), &["READ"]);
    let consumer = bob().group_id(open).topics([open, shut]).build().unwrap();
    let mut polled = Polled::default();
    polled.until(&consumer, |p| p.records.len() == 20 && p.denied.contains_key("topics shut"));
    // It is said again now and then, and not all the time.
    let mut later = Polled::default();
    let began = Instant::now();
    write(open, 20);
    while began.elapsed() < Duration::from_secs(2) || later.records.len() < 20 {
        later.once(&consumer);
    }
    assert_eq!(later.records, (20..40).collect::<Vec<_>>());
    assert!(later.denied.keys().all(|said| said == "topics shut"), "{later:?}");
    assert!(later.denied.values().sum::<u32>() <= 30, "{later:?}");
    consumer.close().unwrap();
    assert_eq!(java().committed(open)[&(open, 0).into()], 40);
}

#[test]
fn fault_278_a_topic_that_may_not_be_seen_is_named_by_every_call_that_asks_for_it() {
    let _logs = cluster().logs_on_failure();
    let hidden = topic("hidden", &[]);
    java().allow("bob", Resource::Group(hidden), &["READ"]);
    let consumer = bob().group_id(hidden).build().unwrap();
    let named = |result: Result<()>| {
        let Err(Error::TopicAuthorizationFailed { topics }) = result else { panic!("{result:?}") };
        assert_eq!(topics, [hidden]);
    };
    named(consumer.partitions_for_topic(hidden).map(drop));
    named(consumer.end_offsets([(hidden, 0)]).map(drop));
    named(consumer.beginning_offsets([(hidden, 0)]).map(drop));
    named(consumer.offsets_for_times([((hidden, 0), 0)]).map(drop));
    consumer.subscribe([hidden]).unwrap();
    named(Err(error_of(&consumer)));
    consumer.unsubscribe().unwrap();
    consumer.assign([(hidden, 0)]).unwrap();
    named(Err(error_of(&consumer)));
    named(consumer.position((hidden, 0)).map(drop));
}

#[test]
fn fault_279_a_group_that_may_not_be_used_is_named_and_reading_without_it_works() {
    let _logs = cluster().logs_on_failure();
    let open = topic("ungrouped", &["READ", "DESCRIBE"]);
    let named = |error: Error| {
        let Error::GroupAuthorizationFailed { group } = error else { panic!("{error:?}") };
        assert_eq!(&*group, "forbidden");
    };
    let consumer = bob().group_id("forbidden").topics(open).build().unwrap();
    named(error_of(&consumer));
    named(consumer.committed((open, 0)).unwrap_err());
    consumer.unsubscribe().unwrap();
    consumer.assign([(open, 0)]).unwrap();
    consumer.seek((open, 0), 5).unwrap();
    let mut polled = Polled::default();
    polled.until(&consumer, |p| p.records.len() == 15);
    assert_eq!(polled.records, (5..20).collect::<Vec<_>>());
    named(consumer.commit().unwrap_err());
    named(consumer.commit_offsets([((open, 0), 7)]).unwrap_err());
}

#[test]
fn fault_280_a_pattern_takes_only_what_may_be_seen_without_an_error() {
    let _logs = cluster().logs_on_failure();
    let seen = topic("pattern-seen", &["READ", "DESCRIBE"]);
    topic("pattern-unseen", &[]);
    java().allow("bob", Resource::Group(seen), &["READ"]);
    let consumer = bob().group_id(seen).build().unwrap();
    consumer.subscribe_pattern("^pattern-.*").unwrap();
    let mut polled = Polled::default();
    polled.until(&consumer, |p| p.records.len() == 20);
    assert!(polled.denied.is_empty(), "{polled:?}");
    assert_eq!(consumer.assignment().unwrap(), [(seen, 0).into()]);
}

#[test]
fn fault_281_rights_that_are_taken_and_given_back_lead_on_from_the_same_position() {
    let _logs = cluster().logs_on_failure();
    let lent = topic("lent", &["READ", "DESCRIBE"]);
    java().allow("bob", Resource::Group(lent), &["READ"]);
    let consumer = bob().group_id(lent).topics(lent).build().unwrap();
    let mut polled = Polled::default();
    polled.until(&consumer, |p| p.records.len() == 20);
    for (round, rights) in [&["READ"][..], &["READ", "DESCRIBE"]].into_iter().enumerate() {
        java().disallow("bob", Resource::Topic(lent), rights);
        polled.denied.clear();
        polled.until(&consumer, |p| p.denied.contains_key("topics lent"));
        write(lent, 20);
        java().allow("bob", Resource::Topic(lent), rights);
        polled.until(&consumer, |p| p.records.len() == 40 + 20 * round);
    }
    java().disallow("bob", Resource::Group(lent), &["READ"]);
    polled.until(&consumer, |p| p.denied.contains_key("group lent"));
    write(lent, 20);
    java().allow("bob", Resource::Group(lent), &["READ"]);
    polled.until(&consumer, |p| p.records.last() == Some(&79));
    // What was not committed while the group was closed to him may come again, and nothing is left out.
    polled.records.dedup();
    assert_eq!(polled.records[..60], (0..60).collect::<Vec<_>>());
    consumer.close().unwrap();
}

#[test]
fn fault_282_without_any_rights_a_consumer_is_made_and_closed_at_once() {
    let consumer = bob().group_id("none").topics("none").build().unwrap();
    let began = Instant::now();
    let _ = consumer.close();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let consumer = bob().group_id("none").topics("none").build().unwrap();
    error_of(&consumer);
    let began = Instant::now();
    let _ = consumer.close();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// The first error of `poll`.
fn error_of(consumer: &KafkaConsumer) -> Error {
    let patience = Instant::now() + PATIENCE;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Ok(records) => assert!(records.is_empty() && Instant::now() < patience, "no error"),
            Err(error) => return error,
        }
    }
}

/// What calls of `poll` have given: offsets, and what was denied how often.
#[derive(Debug, Default)]
struct Polled {
    records: Vec<i64>,
    denied: BTreeMap<String, u32>,
}

impl Polled {
    fn once(&mut self, consumer: &KafkaConsumer) {
        let denied = match consumer.poll(Duration::from_millis(50)) {
            Ok(records) => {
                self.records.extend(records.into_records().map(|record| record.offset()));
                return;
            }
            Err(Error::TopicAuthorizationFailed { topics }) => {
                format!("topics {}", topics.join(","))
            }
            Err(Error::GroupAuthorizationFailed { group }) => format!("group {group}"),
            Err(error) => panic!("{error}"),
        };
        *self.denied.entry(denied).or_default() += 1;
    }

    fn until(&mut self, consumer: &KafkaConsumer, done: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < patience, "{self:?}");
            self.once(consumer);
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
