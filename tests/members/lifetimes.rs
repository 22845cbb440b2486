//! How long it takes to close or drop a member in trouble, and what is left of it.

use std::time::Duration;

use kafka_blocking::{
    KafkaConsumer,
    protocol::{
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{Assigns, MemberScript, Role, ScriptedBroker};

use crate::{
    group::{
        Diary, SHORT, count, drive, joins, leaves, member, reader, settle, subscribed, tp, view,
    },
    support::{GRACE, broker_with, take, timed, wait_until},
};

/// What a call on a member in this state may take.
const MOST: Duration = Duration::from_millis(500);

#[track_caller]
fn ends_soon<T>(what: &str, most: Duration, call: impl FnOnce() -> T) -> T {
    let (value, took) = timed(call);
    assert!(took <= most, "{what}: {took:?}");
    value
}

#[test]
fn fault_128_a_member_closes_while_it_waits_for_the_others_to_join() {
    let broker = broker_with(2, 0);
    let peer = MemberScript::new(["t"]).joins_after(Duration::MAX);
    broker.group("g").add(peer);
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    let consumer = reader(&broker, &Diary::default());
    drive(&[&consumer], "it waits", || count::<JoinGroupRequest>(&broker) == 2);
    ends_soon("close", MOST, || consumer.close()).unwrap();
    assert_eq!(leaves(&broker), 1);
    assert!(view(&broker).members.iter().all(|m| m.client_id == "scripted"));
}

#[test]
fn fault_128_a_member_closes_while_it_waits_for_its_assignment() {
    let broker = broker_with(2, 0);
    let peer = broker.group("g").add(MemberScript::new(["t"]).role(Role::Leader));
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    broker.group("g").change_scripted(peer, |script| script.assigns = Assigns::Never);
    let consumer = reader(&broker, &Diary::default());
    drive(&[&consumer], "it waits", || count::<SyncGroupRequest>(&broker) == 1);
    ends_soon("close", MOST, || consumer.close()).unwrap();
    assert_eq!(leaves(&broker), 1);
    assert!(view(&broker).members.iter().all(|m| m.client_id == "scripted"));
}

#[test]
fn fault_128_a_member_closes_while_others_wait_for_it() {
    let broker = broker_with(2, 4);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).enable_auto_commit(true), &diary);
    take(&consumer, 3);
    broker.group("g").add(MemberScript::new(["t"]));
    wait_until("the group begins anew", || view(&broker).members.len() == 2);
    ends_soon("close", MOST, || consumer.close()).unwrap();
    assert_eq!(diary.take(), ["assigned t-0 t-1", "revoked t-0 t-1"]);
    let group = broker.wait_for_group("g", |group| group.is_stable_with(1));
    let committed: i64 = (0..2).filter_map(|p| group.committed(tp(p))).sum();
    assert_eq!(committed, 3, "what was handed out is committed");
}

#[test]
fn fault_128_a_member_that_closes_while_the_group_divides_has_what_it_read_committed() {
    let broker = broker_with(2, 4);
    let script = MemberScript::new(["t"]).protocols(["cooperative-sticky"]).role(Role::Leader);
    let peer = broker.group("g").add(script.assigns_with(|members| {
        let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
        let bytes = scripted_broker::assignment_bytes([("t", 0), ("t", 1)]);
        others.map(|m| (m.member_id.clone(), bytes.clone())).collect()
    }));
    let diary = Diary::default();
    let failed = Diary::default();
    let failures = failed.clone();
    let builder = member(&broker)
        .partition_assignment_strategy("cooperative-sticky")
        .enable_auto_commit(true)
        .auto_commit_interval_ms(60_000)
        .default_offset_commit_callback(move |_, result| {
            if result.is_err() {
                failures.write("failed", &[]);
            }
        });
    let consumer = subscribed(builder, &diary);
    take(&consumer, 8);
    broker.group("g").change_scripted(peer, |script| script.syncs_after = SHORT);
    let synced = count::<SyncGroupRequest>(&broker);
    broker.group("g").trigger_rebalance();
    drive(&[&consumer], "it waits", || count::<SyncGroupRequest>(&broker) > synced);
    ends_soon("close", MOST + SHORT, || consumer.close()).unwrap();
    let group = view(&broker);
    assert_eq!((group.committed(tp(0)), group.committed(tp(1))), (Some(4), Some(4)));
    assert_eq!(diary.take(), ["assigned t-0 t-1", "revoked t-0 t-1"]);
    assert_eq!((failed.take(), leaves(&broker)), (vec![], 1));
}

fn in_trouble(trouble: impl FnOnce(&ScriptedBroker)) -> (ScriptedBroker, KafkaConsumer, Diary) {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b"]);
    broker.group("g").set_coordinator(2);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).enable_auto_commit(true), &diary);
    take(&consumer, 1);
    trouble(&broker);
    (broker, consumer, diary)
}

#[test]
fn fault_129_closing_ends_in_time_whatever_is_down() {
    type Trouble = fn(&ScriptedBroker);
    let troubles: [(&str, Trouble); 4] = [
        ("the coordinator is dead", |b| b.stop(2)),
        ("the coordinator hangs", |b| b.pause(2)),
        ("all are dead", |b| [1, 2].into_iter().for_each(|node| b.stop(node))),
        ("all hang", |b| [1, 2].into_iter().for_each(|node| b.pause(node))),
    ];
    for (what, trouble) in troubles {
        let (_broker, consumer, diary) = in_trouble(trouble);
        let timeout = Duration::from_millis(250);
        ends_soon(what, timeout + GRACE, || consumer.close_timeout(timeout)).unwrap();
        assert_eq!(diary.take(), ["assigned t-0", "revoked t-0"], "{what}");
        let (_broker, consumer, _) = in_trouble(trouble);
        ends_soon(what, GRACE, || consumer.close_timeout(Duration::ZERO)).unwrap();
    }
}

#[test]
fn fault_130_a_member_that_is_dropped_leaves_and_commits_nothing() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).enable_auto_commit(true), &diary);
    take(&consumer, 2);
    ends_soon("drop", MOST, || drop(consumer));
    assert!(view(&broker).members.is_empty());
    assert_eq!(view(&broker).committed(tp(0)), None);
    assert_eq!(diary.take(), ["assigned t-0"], "nobody is told");
    wait_until("its connections are closed", || broker.connections(1) == 0);
}

#[test]
fn fault_130_a_member_that_is_dropped_at_any_time_ends() {
    type Trouble = fn(&ScriptedBroker);
    let troubles: [Trouble; 3] =
        [|b| b.stop(2), |b| b.pause(2), |b| [1, 2].into_iter().for_each(|node| b.pause(node))];
    for trouble in troubles {
        let (_broker, consumer, _) = in_trouble(trouble);
        ends_soon("drop", MOST + GRACE, || drop(consumer));
    }
    // Before and in the middle of the first join.
    let broker = broker_with(1, 0);
    ends_soon("drop", MOST, || drop(reader(&broker, &Diary::default())));
    broker.on::<JoinGroupRequest>().after(1).silence();
    let consumer = reader(&broker, &Diary::default());
    drive(&[&consumer], "it has sent its id", || joins(&broker).len() == 2);
    ends_soon("drop", MOST + GRACE, || drop(consumer));
    assert!(view(&broker).members.is_empty());
}

#[test]
fn fault_130_a_member_that_is_dropped_beats_no_more() {
    let broker = broker_with(1, 0);
    let consumer = reader(&broker, &Diary::default());
    settle(&[&consumer], 1);
    let seen = count::<HeartbeatRequest>(&broker);
    drop(consumer);
    std::thread::sleep(SHORT);
    let after = count::<HeartbeatRequest>(&broker);
    assert!(after <= seen + 1, "it beats on: {seen}, {after}");
}
