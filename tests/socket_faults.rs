//! What only real sockets do: half-sent requests, ends of connections behind data, wake-ups at any moment.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{
    KafkaConsumer,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest},
};
use scripted_broker::{Record, ScriptedBroker};
use support::{GRACE, LONG, builder, ends_within, take};

mod support;

/// So many that a request which names them all does not fit into the buffers of a socket.
const MANY: i32 = 12_000;

/// Two brokers that lead the partitions of `t` in turn. The first has stopped to read when a consumer asks it about all of
/// its six thousand, after a record of each broker was read.
fn half_sent(request_timeout_ms: u64) -> (ScriptedBroker, KafkaConsumer) {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", usize::try_from(MANY).unwrap());
    for partition in 0..2 {
        broker.append("t", partition, ["first"]);
    }
    let consumer = builder(broker.addresses())
        .send_buffer_bytes(4_096)
        .request_timeout_ms(request_timeout_ms)
        .connections_max_idle_ms(60_000)
        .build()
        .expect("the brokers answer");
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    take(&consumer, 2);
    broker.pause(1);
    consumer.assign((0..MANY).map(|partition| ("t", partition))).unwrap();
    (broker, consumer)
}

/// How many partitions a request of ListOffsets names, and on which connection to the first broker it came.
fn asked(broker: &ScriptedBroker) -> Vec<(usize, u64)> {
    let all = broker.log_of::<ListOffsetsRequest>();
    let those = all.iter().filter(|(logged, _)| logged.node == 1);
    those
        .map(|(logged, request)| {
            (request.topics.iter().map(|t| t.partitions.len()).sum(), logged.connection)
        })
        .collect()
}

#[test]
fn fault_10_a_request_that_is_half_sent_when_its_time_is_over_goes_with_its_connection() {
    let (broker, consumer) = half_sent(1_500);
    let before: BTreeSet<u64> = broker.requests().iter().map(|r| r.connection).collect();
    // Given up when there are two more connections, which are accepted and not read either: the fetch was sent before, and is
    // given up first.
    let (start, open) = (Instant::now(), broker.connections(1));
    while broker.connections(1) < open + 2 {
        assert!(start.elapsed() < LONG, "its time is never over");
        assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    }
    broker.resume(1);
    for partition in [10, 4_000, MANY - 2] {
        broker.append("t", partition, ["next"]);
        assert_eq!(take(&consumer, 1)[0].partition(), partition);
    }
    // It was asked again on another connection. What was sent half is no request; where the kernel had taken all of it, it is.
    let whole: Vec<_> = asked(&broker).into_iter().filter(|(named, _)| *named > 5_000).collect();
    assert!(whole.iter().any(|(_, connection)| !before.contains(connection)), "{whole:?}");
}

#[test]
fn fault_11_a_broker_that_stops_to_read_holds_up_neither_the_others_nor_the_caller() {
    let (broker, consumer) = half_sent(30_000);
    // Sooner than the request's time is over: nothing here waits for that.
    for partition in [11, 4_001, MANY - 1] {
        broker.append("t", partition, ["next"]);
        assert_eq!(take(&consumer, 1)[0].partition(), partition);
    }
    let short = Duration::from_millis(50);
    for _ in 0..10 {
        let none = ends_within(short, "poll", || consumer.poll(short).unwrap());
        assert!(none.is_empty());
    }
}

#[test]
fn fault_33_what_was_sent_before_the_end_of_a_connection_is_read_first() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    // Answers of several pieces: the end is there while most of it waits in the kernel.
    for n in 0..40 {
        broker.append("t", 0, [format!("{n}:{}", "x".repeat(300_000))]);
    }
    let consumer = builder(broker.addresses())
        .reconnect_backoff_ms(1)
        .reconnect_backoff_max_ms(5)
        .max_partition_fetch_bytes(500_000)
        .build()
        .expect("the broker answers");
    broker.on::<FetchRequest>().close_after();
    consumer.assign([("t", 0)]).unwrap();
    let offsets: Vec<i64> = take(&consumer, 40).iter().map(|record| record.offset()).collect();
    assert_eq!(offsets, (0..40).collect::<Vec<_>>());
    // Each answer was taken as a whole: nothing was asked for twice.
    let asked = broker.requests_of::<FetchRequest>();
    let asked = asked.iter().flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    let asked: Vec<i64> = asked.map(|p| p.fetch_offset).filter(|offset| *offset < 40).collect();
    assert!(asked.windows(2).all(|pair| pair[0] < pair[1]), "{asked:?}");
}

/// Records come at odd moments, while a consumer polls as briefly as it can, or waits: none may have to wait for the next
/// thing that happens, which is seconds away.
fn none_is_overlooked(consumer: &KafkaConsumer, broker: &ScriptedBroker, poll: Duration) {
    for n in 0..100_u64 {
        let pause = Duration::from_micros(n * 7_919 % 3_000);
        let took = thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(pause);
                broker.append("t", 0, [n.to_string()]);
            });
            let begin = Instant::now();
            while consumer.poll(poll).unwrap().is_empty() {
                assert!(begin.elapsed() < LONG, "record {n} was overlooked");
            }
            begin.elapsed()
        });
        assert!(took < Duration::from_secs(2) + GRACE, "record {n} came after {took:?}");
    }
}

#[test]
fn fault_182_an_answer_that_comes_between_looking_and_waiting_is_not_overlooked() {
    for poll in [Duration::ZERO, Duration::from_micros(300), LONG] {
        let broker = ScriptedBroker::start();
        broker.create_topic("t", 1);
        let consumer = builder(broker.addresses()).fetch_max_wait_ms(15_000).build().unwrap();
        consumer.assign([("t", 0)]).unwrap();
        none_is_overlooked(&consumer, &broker, poll);
    }
}

#[test]
fn fault_182_a_member_whose_keeper_looks_at_the_sockets_too_overlooks_nothing_either() {
    for poll in [Duration::ZERO, Duration::from_micros(300), LONG] {
        let broker = ScriptedBroker::start();
        broker.create_topic("t", 1);
        // The keeper looks each millisecond.
        let consumer = builder(broker.addresses())
            .group_id("g")
            .heartbeat_interval_ms(1)
            .fetch_max_wait_ms(15_000)
            .build()
            .unwrap();
        consumer.subscribe(["t"]).unwrap();
        none_is_overlooked(&consumer, &broker, poll);
    }
}

#[test]
fn fault_219_nulls_empty_values_and_a_thousand_headers_come_as_they_were_sent() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let mut many = Record::value("many");
    many.headers = (0..1_000)
        .map(|n| (format!("h{}", n % 10), (n % 3 > 0).then(|| n.to_string().into_bytes())))
        .collect();
    let headers = many.headers.clone();
    let record = |key: Option<&str>, value: Option<&str>| Record {
        key: key.map(|text| text.as_bytes().to_vec()),
        value: value.map(|text| text.as_bytes().to_vec()),
        ..Record::value("")
    };
    let cases = [
        (None, None),
        (None, Some("")),
        (Some(""), None),
        (Some(""), Some("")),
        (Some("k"), Some("v")),
    ];
    broker.append("t", 0, cases.map(|(key, value)| record(key, value)));
    broker.append("t", 0, [many]);
    let consumer = builder(broker.addresses()).topics("t").build().unwrap();
    let records = take(&consumer, cases.len() + 1);
    for ((key, value), record) in cases.iter().zip(&records) {
        assert_eq!(record.key(), key.map(str::as_bytes));
        assert_eq!(record.value(), value.map(str::as_bytes));
    }
    let read: Vec<(String, Option<Vec<u8>>)> = records[cases.len()]
        .headers()
        .map(|header| (header.key().into_owned(), header.value().map(<[u8]>::to_vec)))
        .collect();
    assert_eq!(read, headers, "in their order, with what has the same name");
}
