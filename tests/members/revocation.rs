//! What is handed out and committed of partitions that go: nothing of them comes after the listener was told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer, TopicPartition,
    protocol::{fetch::FetchRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::{MemberScript, Role, ScriptedBroker, assignment_bytes};

use crate::{
    group::{
        Diary, Listen, SHORT, cooperative, count, drive, first_of, generation, member, settle,
        share, subscribed, tp, view,
    },
    support::{LONG, append, broker_with, take, wait_until},
};

/// A leader beside the member, which gives it all partitions of `t` but one, another one in each generation.
fn takes_one_in_turn(broker: &ScriptedBroker, strategy: &str, partitions: i32) {
    let mut round = 0;
    let script = MemberScript::new(["t"]).protocols([strategy]).role(Role::Leader);
    let script = script.assigns_with(move |members| {
        round += 1;
        let kept = (0..partitions).filter(|p| *p != round % partitions).map(|p| ("t", p));
        let bytes = assignment_bytes(kept);
        let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
        others.map(|m| (m.member_id.clone(), bytes.clone())).collect()
    });
    broker.group("g").add(script);
    broker.wait_for_group("g", |group| group.is_stable_with(1));
}

/// What a member owns as its listener knows it.
type Owned = Arc<Mutex<BTreeSet<TopicPartition>>>;

fn watched(broker: &ScriptedBroker, strategy: &str) -> (KafkaConsumer, Owned) {
    let builder = member(broker).partition_assignment_strategy(strategy).max_poll_records(3);
    let consumer = builder.consumer_timeout_ms(50).build().unwrap();
    let owned = Owned::default();
    let told = owned.clone();
    let listener = Listen::new(move |what, _, partitions| {
        let mut owned = told.lock().unwrap();
        for partition in partitions {
            let changed = match what {
                "assigned" => owned.insert(partition.clone()),
                _ => owned.remove(partition),
            };
            assert!(changed, "{what} {partition}");
        }
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    (consumer, owned)
}

/// Reads in one way through several rebalances; `read` says of which partition each thing is that it got.
fn nothing_comes_of_what_is_not_owned(
    strategy: &str,
    read: impl Fn(&KafkaConsumer) -> Vec<TopicPartition>,
) {
    let broker = broker_with(3, 300);
    takes_one_in_turn(&broker, strategy, 3);
    let (consumer, owned) = watched(&broker, strategy);
    let (mut records, mut generations) = (0, BTreeSet::new());
    let start = Instant::now();
    let mut last = start;
    while generations.len() < 6 {
        assert!(start.elapsed() < LONG, "{records} records in the generations {generations:?}");
        let partitions = read(&consumer);
        for partition in &partitions {
            assert!(owned.lock().unwrap().contains(partition), "{strategy}: {partition}");
            records += 1;
            last = Instant::now();
        }
        if !partitions.is_empty() && generations.insert(generation(&consumer)) {
            records = 0;
        } else if records > 20 || last.elapsed() > SHORT {
            // Nothing for long: two generations may give a member the same partitions, read to their ends.
            (records, last) = (0, Instant::now());
            broker.group("g").trigger_rebalance();
        }
    }
}

#[test]
fn fault_109_no_record_of_a_revoked_partition_comes_from_poll() {
    for strategy in ["range", "cooperative-sticky"] {
        nothing_comes_of_what_is_not_owned(strategy, |consumer| {
            let records = consumer.poll(Duration::from_millis(5)).unwrap().into_records();
            records.map(|record| record.topic_partition()).collect()
        });
    }
}

#[test]
fn fault_109_no_record_of_a_revoked_partition_comes_from_iteration() {
    for strategy in ["range", "cooperative-sticky"] {
        nothing_comes_of_what_is_not_owned(strategy, |consumer| {
            consumer.next().into_iter().map(|record| record.unwrap().topic_partition()).collect()
        });
    }
}

#[test]
fn fault_109_no_batch_of_a_revoked_partition_comes_from_poll_batch() {
    for strategy in ["range", "cooperative-sticky"] {
        nothing_comes_of_what_is_not_owned(strategy, |consumer| {
            let batch = consumer.poll_batch(Duration::from_millis(5)).unwrap();
            batch.iter().map(|batch| batch.partition().clone()).collect()
        });
    }
}

#[test]
fn fault_110_what_was_handed_out_is_committed_before_partitions_go_and_nothing_comes_meanwhile() {
    let broker = broker_with(1, 50);
    let diary = Diary::default();
    let builder = member(&broker).enable_auto_commit(true).auto_commit_interval_ms(60_000);
    let consumer = builder.build().unwrap();
    let broker = Arc::new(broker);
    let (seen, written) = (broker.clone(), diary.clone());
    let listener = Listen::new(move |what, _, partitions| {
        written.write(&format!("{:?} {what}", view(&seen).committed(tp(0))), partitions);
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    assert_eq!(take(&consumer, 5).last().unwrap().offset(), 4);
    broker.on::<OffsetCommitRequest>().once().delay(SHORT);
    consumer.enforce_rebalance("a test").unwrap();
    let start = Instant::now();
    let mut early = 0;
    while count::<OffsetCommitRequest>(&broker) == 0 || start.elapsed() < SHORT / 2 {
        assert!(start.elapsed() < LONG);
        early += consumer.poll(Duration::from_millis(3)).unwrap().count();
    }
    assert_eq!(early, 0, "what is buffered is not handed out while it is committed");
    let sent = broker.log_of::<OffsetCommitRequest>()[0].0.at;
    let records = settle(&[&consumer], 1);
    let joined = crate::group::joins(&broker).len();
    assert_eq!(joined, 3);
    let rejoined = broker.log_of::<kafka_blocking::protocol::join_group::JoinGroupRequest>();
    let rejoined = rejoined[2].0.at;
    let between = broker.requests();
    let fetched = between
        .iter()
        // What was sent just before, on another connection, may come just after.
        .filter(|r| r.is::<FetchRequest>() && r.at > sent + SHORT / 2 && r.at < rejoined)
        .map(|r| r.decode::<FetchRequest>().unwrap())
        .filter(|fetch| !fetch.topics.is_empty())
        .count();
    assert_eq!(fetched, 0, "it is not fetched either");
    assert_eq!(diary.take(), ["None assigned t-0", "Some(5) revoked t-0", "Some(5) assigned t-0"]);
    assert_eq!(first_of(&records, 0, &consumer), 5);
}

#[test]
fn fault_110_a_commit_that_hangs_does_not_hold_the_group_up_for_ever() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let builder = member(&broker)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(60_000)
        .max_poll_interval_ms(1_000);
    let consumer = subscribed(builder, &diary);
    take(&consumer, 2);
    broker.on::<OffsetCommitRequest>().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let before = generation(&consumer);
    consumer.enforce_rebalance("a test").unwrap();
    let start = Instant::now();
    let mut records = drive(&[&consumer], "it goes on", || generation(&consumer) > before);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    records.extend(settle(&[&consumer], 1));
    assert_eq!(first_of(&records, 0, &consumer), 0);
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned t-0"]);
}

#[test]
fn fault_111_a_record_that_was_handed_out_can_be_committed_until_its_partition_is_revoked() {
    let broker = broker_with(1, 50);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker), &diary);
    let record = take(&consumer, 3).pop().unwrap();
    let before = generation(&consumer);
    // The keeper hears of the rebalance; the program is busy with the record.
    broker.group("g").trigger_rebalance();
    wait_until("a heartbeat has told it", || {
        let beats = broker.requests();
        beats.iter().filter(|r| r.header.api_key == 12).count() > 3
    });
    consumer.commit_offsets([(tp(0), record.offset() + 1)]).unwrap();
    assert_eq!(view(&broker).committed(tp(0)), Some(3));
    assert_eq!(diary.take(), ["assigned t-0"]);
    assert_eq!(take(&consumer, 1)[0].offset(), 3);
    assert!(generation(&consumer) > before);
    assert_eq!(diary.take(), ["revoked t-0", "assigned t-0"]);
}

#[test]
fn fault_111_a_record_of_a_partition_that_has_gone_cannot_be_committed() {
    let broker = broker_with(3, 50);
    takes_one_in_turn(&broker, "range", 3);
    let (consumer, owned) = watched(&broker, "range");
    let mut late = None;
    let start = Instant::now();
    while late.is_none() {
        assert!(start.elapsed() < LONG);
        let record = take(&consumer, 1).remove(0);
        broker.group("g").trigger_rebalance();
        let before = generation(&consumer);
        drive(&[&consumer], "the next generation", || generation(&consumer) > before);
        settle(&[&consumer], 2);
        let gone = !owned.lock().unwrap().contains(&record.topic_partition());
        late = gone.then_some(record);
    }
    let late = late.unwrap();
    let seen = count::<OffsetCommitRequest>(&broker);
    let error = consumer.commit_offsets([(late.topic_partition(), late.offset() + 1)]).unwrap_err();
    assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
    assert_eq!(count::<OffsetCommitRequest>(&broker), seen);
}

#[test]
fn fault_115_a_commit_that_waits_is_dropped_when_its_partition_has_been_away() {
    for strategy in ["range", "cooperative-sticky"] {
        let broker = broker_with(1, 20);
        let gives = Arc::new(Mutex::new(true));
        let list = gives.clone();
        let script = MemberScript::new(["t"]).protocols([strategy]).role(Role::Leader);
        broker.group("g").add(script.assigns_with(move |members| {
            let own = if *list.lock().unwrap() { vec![("t", 0)] } else { vec![] };
            let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
            others.map(|m| (m.member_id.clone(), assignment_bytes(own.clone()))).collect()
        }));
        let diary = Diary::default();
        let builder = member(&broker).partition_assignment_strategy(strategy);
        let consumer = subscribed(builder, &diary);
        take(&consumer, 2);
        broker.on::<OffsetCommitRequest>().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        let pending = consumer.commit_async().unwrap();
        *gives.lock().unwrap() = false;
        let before = generation(&consumer);
        broker.group("g").trigger_rebalance();
        drive(&[&consumer], "it goes", || {
            generation(&consumer) > before && share(&consumer).is_empty()
        });
        settle(&[&consumer], 0);
        // Meanwhile another one reads and commits.
        broker.group("g").set_committed(tp(0), 9);
        *gives.lock().unwrap() = true;
        broker.group("g").trigger_rebalance();
        let records = drive(&[&consumer], "it comes back", || share(&consumer) == [0]);
        broker.clear_rules();
        let error = pending.wait().unwrap_err();
        assert!(matches!(error, Error::CommitFailed { .. }), "{strategy}: {error:?}");
        assert_eq!(first_of(&records, 0, &consumer), 9, "{strategy}");
        assert_eq!(view(&broker).committed(tp(0)), Some(9), "{strategy}");
        consumer.commit_offsets([(tp(0), 10)]).unwrap();
        assert_eq!(view(&broker).committed(tp(0)), Some(10), "{strategy}");
    }
}

#[test]
fn behaviour_16_what_is_about_to_be_revoked_is_not_read_and_is_again_when_it_stays() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let builder = cooperative(&broker).enable_auto_commit(true).auto_commit_interval_ms(60_000);
    let consumer = builder.build().unwrap();
    consumer.subscribe_with(["t"], diary).unwrap();
    settle(&[&consumer], 2);
    append(&broker, 0, 2);
    append(&broker, 1, 2);
    take(&consumer, 4);
    // One partition is to go, as soon as its position is committed; the group does not want that in the end.
    let other = MemberScript::new(["t"]).protocols(["cooperative-sticky"]).role(Role::Follower);
    broker.on::<OffsetCommitRequest>().once().delay(SHORT);
    let other = broker.group("g").add(other);
    drive(&[&consumer], "it commits", || count::<OffsetCommitRequest>(&broker) == 1);
    append(&broker, 0, 1);
    append(&broker, 1, 1);
    let early = drive(&[&consumer], "one comes", {
        let start = Instant::now();
        move || start.elapsed() > SHORT / 2
    });
    assert_eq!(early.len(), 1, "of the one that stays: {early:?}");
    broker.group("g").leave(other);
    let records = settle(&[&consumer], 2);
    assert_eq!(first_of(&records, 1 - early[0].partition(), &consumer), 2);
}
