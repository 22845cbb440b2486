//! What members and leaders may tell each other, and what comes of it: subscriptions and assignments that are damaged, stale
//! or lopsided. What the assignors make of them is tested beside them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafka_blocking::{
    Error, KafkaConsumer,
    protocol::{
        consumer_protocol_subscription::{ConsumerProtocolSubscription, TopicPartition as Owned},
        metadata::MetadataRequest,
    },
};
use scripted_broker::{Assigns, MemberScript, Role, assignment_bytes, subscription_bytes};

use crate::{
    group::{
        Diary, SHORT, cooperative, drive, drive_for, joins, member, next_error, reader, settle,
        share, subscribed, tp, view,
    },
    support::{append, broker_with, offsets, take},
};

fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", vec![]),
        ("half a version", vec![0]),
        ("a version and no more", vec![0, 1]),
        ("noise", vec![0xff; 40]),
        ("a large count", vec![0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1, b't']),
        ("a negative count", vec![0, 1, 0x80, 0, 0, 0, 0, 1, b't']),
        ("a name that is no text", vec![0, 1, 0, 0, 0, 1, 0, 2, 0xc3, 0x28, 0, 0, 0, 0]),
    ]
}

#[test]
fn fault_102_a_member_whose_subscription_is_garbage_gets_nothing_and_disturbs_nobody() {
    for strategy in ["range", "cooperative-sticky"] {
        for (what, bytes) in garbage() {
            let broker = broker_with(2, 1);
            let diary = Diary::default();
            let builder = member(&broker).partition_assignment_strategy(strategy);
            let consumer = subscribed(builder, &diary);
            settle(&[&consumer], 2);
            let script = MemberScript::raw([(strategy, bytes)]).role(Role::Follower);
            let other = broker.group("g").add(script);
            drive(&[&consumer], what, || view(&broker).is_stable_with(2));
            settle(&[&consumer], 2);
            let id = broker.group("g").member_id(other);
            let group = view(&broker);
            assert_ne!(group.leader.as_deref(), Some(id.as_str()), "{what}");
            assert_eq!(group.member(&id).unwrap().partitions(), [], "{what}");
            drive_for(&[&consumer], Duration::from_millis(60));
            assert_eq!(broker.group("g").refused(other), None, "{what}");
        }
    }
}

#[test]
fn fault_102_members_with_odd_but_readable_subscriptions_get_what_they_ask_for() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 2);
    let twice = subscription_bytes(["t", "t", "not-there"]);
    let script = MemberScript::raw([("range", twice)]).role(Role::Follower);
    let other = broker.group("g").add(script);
    settle(&[&consumer], 1);
    let id = broker.group("g").member_id(other);
    assert_eq!(view(&broker).member(&id).unwrap().partitions().len(), 1);
}

#[test]
fn fault_103_an_assignment_that_is_garbage_is_an_error_and_the_member_joins_again() {
    let mut bad = garbage();
    // No bytes are how some leaders say that there is nothing.
    bad.retain(|(what, _)| *what != "nothing");
    bad.push(("a negative partition", assignment_bytes([("t", -1)])));
    bad.push(("a partition twice", assignment_bytes([("t", 0), ("t", 0)])));
    for strategy in ["range", "cooperative-sticky"] {
        for (what, bytes) in &bad {
            let broker = broker_with(1, 3);
            let diary = Diary::default();
            let builder = member(&broker).partition_assignment_strategy(strategy);
            let consumer = subscribed(builder, &diary);
            take(&consumer, 3);
            consumer.commit().unwrap();
            let leader = MemberScript::new(["t"]).protocols([strategy]).role(Role::Leader);
            let leader = leader.assigns(Assigns::Bytes(bytes.clone()));
            let leader = broker.group("g").add(leader);
            let error = next_error(&consumer);
            assert!(matches!(error, Error::Protocol { .. }), "{what}: {error:?}");
            let joined = joins(&broker).len();
            broker.group("g").change_scripted(leader, |script| {
                script.assigns_everything_to_others();
            });
            broker.group("g").trigger_rebalance();
            let start = std::time::Instant::now();
            while share(&consumer) != [0] || joins(&broker).len() == joined {
                assert!(start.elapsed() < Duration::from_secs(10), "{what}");
                // It may be told of the same more than once.
                let _ = consumer.poll(Duration::from_millis(3));
            }
            append(&broker, 0, 2);
            assert_eq!(offsets(&take(&consumer, 2)), [3, 4], "{what}: it does not go back");
        }
    }
}

trait Everything {
    fn assigns_everything_to_others(&mut self);
}

impl Everything for MemberScript {
    /// Lets the last member that is told of, which is not the leader itself, have the topic.
    fn assigns_everything_to_others(&mut self) {
        self.assigns = Assigns::With(Box::new(|members| {
            let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
            others.map(|m| (m.member_id.clone(), assignment_bytes([("t", 0)]))).collect()
        }));
    }
}

#[test]
fn fault_103_partitions_that_do_not_exist_are_waited_for() {
    let broker = broker_with(1, 1);
    let leader = MemberScript::new(["t"]).role(Role::Leader).assigns_with(|members| {
        let bytes = assignment_bytes([("t", 0), ("t", 1)]);
        members.iter().map(|m| (m.member_id.clone(), bytes.clone())).collect()
    });
    broker.group("g").add(leader);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    take(&consumer, 1);
    assert_eq!(share(&consumer), [0, 1]);
    drive_for(&[&consumer], SHORT);
}

/// A subscription to `t` that claims partitions of a generation.
fn claim(partitions: &[i32], generation: i32) -> Vec<u8> {
    let owned = Owned { topic: "t".to_owned(), partitions: partitions.to_vec() };
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["t".to_owned()],
        owned_partitions: vec![owned],
        generation_id: generation,
        ..ConsumerProtocolSubscription::default()
    };
    subscription.to_bytes(3).unwrap()
}

#[test]
fn fault_104_a_member_that_claims_what_another_has_got_since_does_not_get_it_beside_it() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let consumer = subscribed(cooperative(&broker), &diary);
    settle(&[&consumer], 2);
    let script = MemberScript::raw([("cooperative-sticky", claim(&[0, 1], 0))]);
    let other = broker.group("g").add(script.role(Role::Follower));
    drive(&[&consumer], "they share", || {
        share(&consumer).len() == 1 && view(&broker).is_stable_with(2)
    });
    drive_for(&[&consumer], SHORT);
    let id = broker.group("g").member_id(other);
    let theirs = view(&broker).member(&id).unwrap().partitions();
    let ours = share(&consumer);
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    assert_ne!(tp(ours[0]), theirs[0]);
}

#[test]
fn fault_106_members_with_different_topics_have_every_partition_once_between_them() {
    for strategy in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let broker = broker_with(3, 0);
        broker.create_topic("u", 2);
        broker.create_topic("v", 1);
        let reads = |topics: &[&str]| -> KafkaConsumer {
            let builder = member(&broker).partition_assignment_strategy(strategy);
            let consumer = builder.build().unwrap();
            consumer.subscribe(topics).unwrap();
            consumer
        };
        let (a, b, c) = (reads(&["t"]), reads(&["t", "u"]), reads(&["t", "u", "v"]));
        settle(&[&a, &b, &c], 6);
        assert!(a.assignment().unwrap().iter().all(|p| p.topic() == "t"), "{strategy}");
        assert!(c.assignment().unwrap().contains(&("v", 0).into()), "{strategy}");
    }
}

#[test]
fn behaviour_12_a_leader_looks_after_topics_of_others_and_reads_its_own() {
    let broker = broker_with(1, 0);
    broker.create_topic("u", 2);
    broker.append("u", 0, ["a"]);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    let other = broker.group("g").add(MemberScript::new(["u"]).role(Role::Follower));
    drive(&[&consumer], "they share", || view(&broker).is_stable_with(2));
    let id = broker.group("g").member_id(other);
    let theirs = view(&broker).member(&id).unwrap().partitions();
    assert_eq!(theirs, [("u", 0).into(), ("u", 1).into()]);
    let own = consumer.subscription().unwrap().unwrap();
    assert_eq!(own.into_iter().collect::<Vec<_>>(), ["t"]);
    settle(&[&consumer], 1);
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
    broker.group("g").leave(other);
    drive(&[&consumer], "it is alone", || view(&broker).is_stable_with(1));
    settle(&[&consumer], 1);
    broker.with_state(|state| state.move_leader("t", 0, Some(1)));
    let seen = broker.requests_of::<MetadataRequest>().len();
    append(&broker, 0, 1);
    take(&consumer, 1);
    let after = broker.requests_of::<MetadataRequest>().split_off(seen);
    let names: Vec<String> = after
        .into_iter()
        .flat_map(|request| request.topics.unwrap_or_default())
        .filter_map(|topic| topic.name)
        .collect();
    assert!(!names.iter().any(|name| name == "u"), "{names:?}");
}

#[test]
fn behaviour_13_what_is_assigned_stays_until_the_next_rebalance() {
    let broker = broker_with(1, 0);
    broker.create_topic("u", 1);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    consumer.subscribe_with(["u"], diary.clone()).unwrap();
    assert_eq!(consumer.assignment().unwrap(), [tp(0)]);
    drive(&[&consumer], "it reads the other one", || diary.has("assigned u-0"));
    assert_eq!(consumer.assignment().unwrap(), [("u", 0).into()]);
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned u-0"]);
}

#[test]
fn behaviour_15_an_assignment_of_what_is_not_subscribed_to_changes_nothing() {
    for strategy in ["range", "cooperative-sticky"] {
        let broker = broker_with(1, 1);
        broker.create_topic("u", 1);
        let stray = Arc::new(Mutex::new(false));
        let gives = stray.clone();
        let leader = MemberScript::new(["t"]).protocols([strategy]).role(Role::Leader);
        let leader = leader.assigns_with(move |members| {
            let also =
                if *gives.lock().unwrap() { vec![("t", 0), ("u", 0)] } else { vec![("t", 0)] };
            let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
            others.map(|m| (m.member_id.clone(), assignment_bytes(also.clone()))).collect()
        });
        broker.group("g").add(leader);
        let diary = Diary::default();
        let consumer = subscribed(member(&broker).partition_assignment_strategy(strategy), &diary);
        take(&consumer, 1);
        consumer.commit().unwrap();
        *stray.lock().unwrap() = true;
        let joined = joins(&broker).len();
        broker.group("g").trigger_rebalance();
        drive(&[&consumer], "it joins again and again", || joins(&broker).len() > joined + 1);
        assert!(consumer.assignment().unwrap().iter().all(|p| p.topic() == "t"), "{strategy}");
        *stray.lock().unwrap() = false;
        settle(&[&consumer], 1);
        let lines: BTreeMap<_, _> = diary.take().into_iter().map(|line| (line, ())).collect();
        let eager = strategy == "range";
        let expected =
            if eager { vec!["assigned t-0", "revoked t-0"] } else { vec!["assigned t-0"] };
        assert_eq!(lines.keys().collect::<Vec<_>>(), expected, "{strategy}");
        append(&broker, 0, 1);
        assert_eq!(take(&consumer, 1)[0].offset(), 1, "{strategy}");
    }
}
