//! Groups of several members, each on a thread of its own or not, that come and go: nobody reads what another has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{KafkaConsumer, protocol::heartbeat::HeartbeatRequest};
use scripted_broker::{Record, ScriptedBroker};

use crate::{
    group::{Diary, count, drive, generation, member, reader, settle, share, view},
    support::{LONG, broker_with},
};

#[test]
fn behaviour_24_four_members_share_four_partitions_in_one_generation() {
    let broker = broker_with(4, 0);
    let members: Vec<KafkaConsumer> = (0..4).map(|_| reader(&broker, &Diary::default())).collect();
    let all: Vec<&KafkaConsumer> = members.iter().collect();
    settle(&all, 4);
    let shares: BTreeSet<Vec<i32>> = all.iter().map(|consumer| share(consumer)).collect();
    assert_eq!(shares.into_iter().collect::<Vec<_>>(), [[0], [1], [2], [3]]);
    let group = view(&broker);
    assert!(group.is_stable_with(4));
    assert!(all.iter().all(|consumer| generation(consumer) == group.generation));
    let seen = count::<HeartbeatRequest>(&broker);
    drive(&all, "all beat", || count::<HeartbeatRequest>(&broker) > seen + 8);
    assert_eq!(view(&broker).generation, group.generation);
}

const PARTITIONS: i32 = 4;
const RECORDS: i64 = 150;

/// What was read, by partition, in the order in which it was.
type Read = Arc<Mutex<BTreeMap<i32, Vec<i64>>>>;

/// Reads for so many polls, a few records each, and closes.
fn read_some(broker: &ScriptedBroker, strategy: &str, polls: usize, read: &Read) {
    let failed = Arc::new(Mutex::new(Vec::new()));
    let failures = failed.clone();
    let consumer = member(broker)
        .default_offset_commit_callback(move |offsets, result| {
            if let Err(error) = result {
                failures.lock().unwrap().push(format!("{offsets:?}: {error}"));
            }
        })
        .partition_assignment_strategy(strategy)
        .enable_auto_commit(true)
        // Longer than the test: whoever goes without a word holds it up.
        .session_timeout_ms(60_000)
        .max_poll_records(9)
        .topics("t")
        .build()
        .unwrap();
    for _ in 0..polls {
        let polled = consumer.poll(Duration::from_millis(40)).unwrap();
        let mut read = read.lock().unwrap();
        for record in polled.into_records() {
            read.entry(record.partition()).or_default().push(record.offset());
        }
    }
    consumer.close().unwrap();
    assert_eq!(*failed.lock().unwrap(), [""; 0], "{strategy}");
}

fn all_is_read_once_and_in_order(strategy: &str) {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 4);
    for partition in 0..PARTITIONS {
        for n in 0..RECORDS {
            broker.append("t", partition, [Record::value(n.to_string())]);
        }
    }
    let read: Read = Arc::default();
    let enough = |read: &Read| {
        let read = read.lock().unwrap();
        read.values().map(Vec::len).sum::<usize>() >= 4 * 150
    };
    let start = Instant::now();
    thread::scope(|scope| {
        for worker in 0..3 {
            let (broker, read, enough) = (&broker, &read, &enough);
            scope.spawn(move || {
                let mut round = worker;
                while !enough(read) {
                    assert!(start.elapsed() < LONG, "it goes on");
                    round += 1;
                    // Some see nothing before they go, some one answer, some more.
                    read_some(broker, strategy, [0, 1, 2, 9, 25][round % 5], read);
                }
            });
        }
    });
    let wanted: Vec<i64> = (0..RECORDS).collect();
    for (partition, offsets) in &*read.lock().unwrap() {
        assert_eq!(offsets, &wanted, "{strategy}: partition {partition}");
    }
    let group = view(&broker);
    for partition in 0..PARTITIONS {
        assert_eq!(group.committed(("t", partition)), Some(RECORDS), "{strategy}");
    }
    assert!(group.members.is_empty(), "{strategy}: all have left");
    assert!(group.generation > 4, "{strategy}: {} generations", group.generation);
}

#[test]
fn fault_133_members_that_come_and_go_read_every_record_once_with_range() {
    all_is_read_once_and_in_order("range");
}

#[test]
fn fault_133_members_that_come_and_go_read_every_record_once_with_roundrobin() {
    all_is_read_once_and_in_order("roundrobin");
}

#[test]
fn fault_133_members_that_come_and_go_read_every_record_once_with_sticky() {
    all_is_read_once_and_in_order("sticky");
}

#[test]
fn fault_133_members_that_come_and_go_read_every_record_once_with_cooperative_sticky() {
    all_is_read_once_and_in_order("cooperative-sticky");
}
