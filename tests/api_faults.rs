//! What callers do wrong, and what their code does to the consumer: errors that say so, and a consumer that works on.

mod support;

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::Duration,
};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer, TopicPartition,
    protocol::{
        Request, api_versions::ApiVersionsRequest, fetch::FetchRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    },
};
use scripted_broker::{Partition, ScriptedBroker};
use socket2::{Domain, Socket, Type};
use support::{append, broker_with, builder, ends_within, offsets, take, wait_until};

const SOON: Duration = Duration::from_millis(300);

fn consumer_of(broker: &ScriptedBroker) -> KafkaConsumer {
    builder(broker.address()).build().unwrap()
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

// No group

#[test]
fn fault_236_without_a_group_no_coordinator_is_asked() {
    let broker = broker_with(2, 2);
    let consumer = consumer_of(&broker);
    consumer.assign([tp(0), tp(1)]).unwrap();
    take(&consumer, 4);
    consumer.seek(tp(1), 0).unwrap();
    take(&consumer, 2);
    assert_eq!(consumer.position(tp(1)).unwrap(), 2);
    consumer.close().unwrap();
    let allowed =
        [ApiVersionsRequest::KEY, MetadataRequest::KEY, ListOffsetsRequest::KEY, FetchRequest::KEY];
    let asked: BTreeSet<i16> = broker.requests().iter().map(|r| r.header.api_key).collect();
    assert!(asked.iter().all(|key| allowed.contains(key)), "{asked:?}");
    assert_eq!(asked.len(), allowed.len());
}

#[test]
fn fault_236_without_a_group_every_subscriber_reads_all_partitions() {
    let broker = broker_with(3, 2);
    for _ in 0..2 {
        let consumer = consumer_of(&broker);
        consumer.subscribe(["t"]).unwrap();
        let seen: BTreeSet<_> =
            take(&consumer, 6).iter().map(|r| (r.partition(), r.offset())).collect();
        assert_eq!(seen.len(), 6);
        assert_eq!(consumer.assignment().unwrap(), [tp(0), tp(1), tp(2)]);
    }
}

// Calls in the wrong order, and wrong arguments

#[test]
fn fault_237_assign_and_subscribe_exclude_each_other_and_the_first_stays() {
    let broker = broker_with(2, 1);
    let consumer = consumer_of(&broker);
    consumer.assign([tp(1)]).unwrap();
    assert!(matches!(consumer.subscribe(["t"]), Err(Error::IllegalState(_))));
    assert_eq!(consumer.assignment().unwrap(), [tp(1)]);
    assert_eq!(take(&consumer, 1)[0].partition(), 1);

    let consumer = builder(broker.address()).topics("t").build().unwrap();
    let Err(Error::IllegalState(text)) = consumer.assign([tp(0)]) else { panic!("both") };
    assert!(text.contains("subscribe()") && text.contains("assign()"), "{text}");
    take(&consumer, 2);
    assert_eq!(consumer.assignment().unwrap(), [tp(0), tp(1)]);
}

#[test]
fn fault_237_nothing_to_read_from_is_an_error_of_the_caller() {
    let broker = broker_with(1, 1);
    let consumer = consumer_of(&broker);
    assert!(matches!(consumer.poll(SOON), Err(Error::IllegalState(_))));
    assert!(matches!(consumer.next(), Some(Err(Error::IllegalState(_)))));
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    consumer.assign(Vec::<TopicPartition>::new()).unwrap();
    assert!(matches!(consumer.poll(SOON), Err(Error::IllegalState(_))));
    // With nothing assigned, there is nothing in the way of a subscription.
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
}

#[test]
fn fault_238_a_seek_that_cannot_be_changes_nothing() {
    let broker = broker_with(2, 3);
    let consumer = consumer_of(&broker);
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    for offset in [-1, i64::MIN] {
        let Err(Error::IllegalArgument(text)) = consumer.seek(tp(0), offset) else { panic!() };
        assert!(text.contains("t-0") && text.contains(&offset.to_string()), "{text}");
    }
    for unassigned in [tp(1), tp(99), TopicPartition::new("u", 0)] {
        let Err(Error::IllegalState(text)) = consumer.seek(&unassigned, 0) else { panic!() };
        assert!(text.contains(&unassigned.to_string()), "{text}");
        assert!(matches!(consumer.position(&unassigned), Err(Error::IllegalState(_))));
    }
    assert!(matches!(consumer.assign([tp(-1)]), Err(Error::IllegalArgument(_))));
    assert_eq!(consumer.assignment().unwrap(), [tp(0)]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 1);
    assert_eq!(offsets(&take(&consumer, 2)), [1, 2]);
}

#[test]
fn fault_239_a_name_that_no_topic_can_have_is_refused_and_changes_nothing() {
    let broker = broker_with(1, 2);
    let consumer = consumer_of(&broker);
    consumer.subscribe(["t"]).unwrap();
    take(&consumer, 1);
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a/b", "a b", "ü", "a\n", long.as_str()] {
        assert!(
            matches!(consumer.subscribe(["t", name]), Err(Error::IllegalArgument(_))),
            "{name:?}"
        );
    }
    assert!(matches!(consumer.subscribe(Vec::<String>::new()), Err(Error::IllegalArgument(_))));
    assert_eq!(take(&consumer, 1)[0].offset(), 1);
    consumer.close().unwrap();
    assert!(matches!(consumer_of(&broker).assign([("a/b", 0)]), Err(Error::IllegalArgument(_))));
    assert!(matches!(
        builder(broker.address()).topics("a/b").build(),
        Err(Error::Configuration(_))
    ));
}

#[test]
fn fault_239_a_name_that_the_broker_refuses_is_an_error_and_another_subscription_works() {
    let broker = broker_with(1, 1);
    broker.on::<MetadataRequest>().rewrite(|response| {
        for topic in response.topics.iter_mut().filter(|t| t.name.as_deref() == Some("odd")) {
            topic.error_code = ErrorCode::INVALID_TOPIC_EXCEPTION.0;
        }
    });
    let consumer = consumer_of(&broker);
    consumer.subscribe(["odd"]).unwrap();
    let error = consumer.poll(support::LONG).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    assert!(error.to_string().contains("odd"), "{error}");
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
    consumer.subscribe(["odd"]).unwrap();
    consumer.close().unwrap();
}

// What does not exist yet

/// How many requests come while a consumer polls for 500 ms, in which there are 5 times 100 ms.
fn requests_in_half_a_second(broker: &ScriptedBroker, consumer: &KafkaConsumer) -> usize {
    let before = broker.requests().len();
    assert!(consumer.poll(Duration::from_millis(500)).unwrap().is_empty());
    broker.requests().len() - before
}

#[test]
fn fault_240_a_topic_that_does_not_exist_is_asked_for_now_and_then_and_read_when_it_appears() {
    let broker = ScriptedBroker::start();
    let consumer = builder(broker.address()).topics("t").retry_backoff_ms(100).build().unwrap();
    let asked = requests_in_half_a_second(&broker, &consumer);
    assert!((1..=12).contains(&asked), "{asked} requests");
    assert!(consumer.assignment().unwrap().is_empty());
    broker.create_topic("t", 2);
    append(&broker, 1, 1);
    assert_eq!(take(&consumer, 1)[0].topic_partition(), tp(1));
}

#[test]
fn fault_240_a_partition_that_does_not_exist_is_read_when_it_appears_and_others_meanwhile() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).retry_backoff_ms(100).build().unwrap();
    consumer.assign([tp(99)]).unwrap();
    let asked = requests_in_half_a_second(&broker, &consumer);
    assert!((1..=12).contains(&asked), "{asked} requests");
    consumer.assign([tp(0), tp(99)]).unwrap();
    assert_eq!(take(&consumer, 1)[0].topic_partition(), tp(0));
    broker.with_state(|state| {
        let partitions = &mut state.topics.get_mut("t").unwrap().partitions;
        partitions.resize_with(100, || Partition { leader: Some(1), ..Partition::default() });
    });
    append(&broker, 99, 1);
    assert_eq!(take(&consumer, 1)[0].topic_partition(), tp(99));
}

#[test]
fn fault_240_partitions_that_are_added_to_a_subscribed_topic_are_read() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").metadata_max_age_ms(50).build().unwrap();
    take(&consumer, 1);
    broker.with_state(|state| {
        let added = Partition { leader: Some(1), ..Partition::default() };
        state.topics.get_mut("t").unwrap().partitions.push(added);
    });
    append(&broker, 1, 1);
    assert_eq!(take(&consumer, 1)[0].topic_partition(), tp(1));
    assert_eq!(consumer.assignment().unwrap(), [tp(0), tp(1)]);
}

// Dead clusters, extreme numbers, the end

#[test]
fn fault_241_what_needs_no_broker_works_without_one() {
    let broker = broker_with(1, 2);
    let consumer = consumer_of(&broker);
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    broker.stop(1);
    ends_within(Duration::ZERO, "calls that do not block", || {
        assert_eq!(consumer.assignment().unwrap(), [tp(0)]);
        assert_eq!(consumer.position(tp(0)).unwrap(), 1);
        consumer.seek(tp(0), 5).unwrap();
        assert_eq!(consumer.position(tp(0)).unwrap(), 5);
        consumer.seek(tp(0), 1).unwrap();
        consumer.assign([tp(0), tp(1)]).unwrap();
        consumer.assign([tp(0)]).unwrap();
        consumer.handle().wakeup();
        assert!(matches!(consumer.poll(SOON), Err(Error::Wakeup)));
    });
    broker.restart(1);
    assert_eq!(take(&consumer, 1)[0].offset(), 1, "it is back");
    broker.stop(1);
    ends_within(Duration::ZERO, "close()", || consumer.close()).unwrap();
}

#[test]
fn fault_242_the_largest_offset_and_the_largest_limit_do_not_overflow() {
    let broker = broker_with(1, 2);
    let consumer = consumer_of(&broker);
    consumer.assign([tp(0)]).unwrap();
    consumer.seek(tp(0), i64::MAX).unwrap();
    assert_eq!(consumer.position(tp(0)).unwrap(), i64::MAX);
    // Out of range: it begins again, at the earliest.
    let mut polled = Vec::new();
    while polled.len() < 2 {
        polled.extend(consumer.poll_max(support::LONG, usize::MAX).unwrap().into_records());
    }
    assert_eq!(offsets(&polled), [0, 1]);
    assert!(matches!(consumer.poll_max(SOON, 0), Err(Error::IllegalArgument(_))));
}

#[test]
fn fault_244_closing_twice_is_as_good_as_once_and_later_calls_say_closed() {
    let broker = broker_with(1, 3);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    take(&consumer, 1); // two more are buffered
    consumer.close().unwrap();
    consumer.close().unwrap();
    wait_until("all connections are closed", || broker.connections(1) == 0);
    assert!(matches!(consumer.poll(SOON), Err(Error::Closed)));
    assert!(matches!(consumer.poll_max(SOON, 1), Err(Error::Closed)));
    assert!(matches!(consumer.assign([tp(0)]), Err(Error::Closed)));
    assert!(matches!(consumer.subscribe(["t"]), Err(Error::Closed)));
    assert!(matches!(consumer.assignment(), Err(Error::Closed)));
    assert!(matches!(consumer.seek(tp(0), 0), Err(Error::Closed)));
    assert!(matches!(consumer.position(tp(0)), Err(Error::Closed)));
    assert!(consumer.next().is_none());
    assert_eq!((&consumer).into_iter().count(), 0);
    consumer.handle().wakeup();
    consumer.handle().stop();
    consumer.close().unwrap();
}

#[test]
fn a_consumer_that_is_dropped_leaves_no_connection() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    take(&consumer, 1);
    assert!(broker.connections(1) > 0);
    drop(consumer);
    wait_until("all connections are closed", || broker.connections(1) == 0);
}

#[test]
fn fault_245_programs_that_are_started_inherit_no_socket_and_no_selector() {
    let before = inherited();
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    take(&consumer, 1);
    assert!(broker.connections(1) > 0);
    assert_eq!(inherited(), before);
    // One that is left open would be seen.
    let left_open = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    left_open.set_cloexec(false).unwrap();
    assert_eq!(inherited().len(), before.len() + 1);
}

/// The sockets, pipes and the like that a program has which this process starts.
fn inherited() -> BTreeSet<String> {
    let listing = Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("ls is everywhere");
    let text = String::from_utf8(listing.stdout).unwrap();
    let targets = text.lines().filter_map(|line| line.split(" -> ").nth(1));
    // Its own output is another pipe each time.
    let targets = targets.filter(|t| t.starts_with("socket:") || t.starts_with("anon_inode:"));
    targets.map(str::to_owned).collect()
}
