//! What the cooperative protocol takes from a member in a rebalance, and what it leaves alone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kafka_blocking::{
    ConsumerRecord, Error, ErrorCode, KafkaConsumer,
    protocol::{
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest,
        offset_commit::OffsetCommitRequest,
    },
};
use scripted_broker::{MemberScript, Role, ScriptedBroker, ScriptedMemberId, assignment_bytes};

use crate::{
    group::{
        Diary, Listen, SESSION, SHORT, cooperative, drive, drive_for, first_of, generation, joins,
        member, settle, share, subscribed, tp, view,
    },
    support::{append, broker_with, offsets, take},
};

/// What a scripted leader gives to the one member beside it.
#[derive(Clone, Default)]
struct Gives(Arc<Mutex<Vec<i32>>>);

impl Gives {
    fn set(&self, partitions: &[i32]) {
        *self.0.lock().unwrap() = partitions.to_vec();
    }
}

/// A leader that gives these partitions of `t` to the members beside it, and has none itself.
fn leader(
    broker: &ScriptedBroker,
    strategy: &str,
    partitions: &[i32],
) -> (Gives, ScriptedMemberId) {
    let gives = Gives::default();
    gives.set(partitions);
    let list = gives.clone();
    let script = MemberScript::new(["t"]).protocols([strategy]).role(Role::Leader);
    let script = script.assigns_with(move |members| {
        let partitions = list.0.lock().unwrap().clone();
        let bytes = assignment_bytes(partitions.into_iter().map(|p| ("t", p)));
        let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
        others.map(|m| (m.member_id.clone(), bytes.clone())).collect()
    });
    let id = broker.group("g").add(script);
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    (gives, id)
}

/// Has the group assign these partitions to the member.
#[track_caller]
fn reassign(
    broker: &ScriptedBroker,
    consumer: &KafkaConsumer,
    gives: &Gives,
    partitions: &[i32],
) -> Vec<ConsumerRecord> {
    gives.set(partitions);
    let before = generation(consumer);
    broker.group("g").trigger_rebalance();
    let mut records = drive(&[consumer], "the next generation", || generation(consumer) > before);
    records.extend(settle(&[consumer], partitions.len()));
    records
}

#[test]
fn fault_107_partitions_that_a_member_keeps_have_no_gap_and_stay_paused() {
    let broker = broker_with(4, 200);
    let (a, b) = (Diary::default(), Diary::default());
    let first = subscribed(cooperative(&broker).max_poll_records(7), &a);
    let early = settle(&[&first], 4);
    first.pause([tp(0), tp(3)]).unwrap();
    let mut got = vec![Vec::new(); 4];
    let mut note = |records: Vec<ConsumerRecord>| {
        for record in records {
            got[usize::try_from(record.partition()).unwrap()].push(record.offset());
        }
    };
    note(early);
    let mut seen = 0;
    note(drive(&[&first], "it reads", || {
        seen += 1;
        seen == 20
    }));
    let second = cooperative(&broker).build().unwrap();
    second.subscribe_with(["t"], b).unwrap();
    // Only the first one's records are looked at: what the second one reads begins where the group has committed.
    let mut turns = 0;
    while share(&first).len() + share(&second).len() != 4 || share(&second).is_empty() {
        turns += 1;
        assert!(turns < 2000, "they share");
        note(first.poll(Duration::from_millis(3)).unwrap().into_records().collect());
        second.poll(Duration::from_millis(3)).unwrap();
    }
    let kept = share(&first);
    for _ in 0..10 {
        note(first.poll(Duration::from_millis(3)).unwrap().into_records().collect());
    }
    for (partition, offsets) in (0..).zip(&got) {
        let all: Vec<i64> = (0..).take(offsets.len()).collect();
        assert_eq!(offsets, &all, "partition {partition} has no gap, and nothing comes twice");
    }
    assert!(kept.iter().any(|p| !got[usize::try_from(*p).unwrap()].is_empty()) || kept == [0, 3]);
    let paused: Vec<_> = [0, 3].into_iter().filter(|p| kept.contains(p)).map(tp).collect();
    assert_eq!(first.paused().unwrap(), paused);
    let given: Vec<String> = a.take().into_iter().filter(|l| l.starts_with("revoked")).collect();
    assert_eq!(given.len(), 1, "{given:?}");
    assert_eq!(share(&second).len(), 2);
    assert!(second.paused().unwrap().is_empty());
}

#[test]
fn fault_107_records_come_while_the_group_rebalances() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let (_, peer) = leader(&broker, "cooperative-sticky", &[0, 1]);
    let consumer = subscribed(cooperative(&broker), &diary);
    settle(&[&consumer], 2);
    broker.group("g").change_scripted(peer, |p| p.joins_after = Duration::from_millis(800));
    let (before, joined) = (generation(&consumer), joins(&broker).len());
    broker.group("g").trigger_rebalance();
    drive(&[&consumer], "it waits for the peer", || joins(&broker).len() > joined);
    append(&broker, 0, 3);
    assert_eq!(offsets(&take(&consumer, 3)), [0, 1, 2]);
    assert_eq!(generation(&consumer), before, "it came before the next generation");
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    settle(&[&consumer], 2);
    append(&broker, 0, 1);
    assert_eq!(offsets(&take(&consumer, 1)), [3]);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
}

#[test]
fn fault_108_a_commit_that_crosses_a_rebalance_costs_nothing() {
    let broker = broker_with(2, 0);
    append(&broker, 0, 2);
    let diary = Diary::default();
    let (_, peer) = leader(&broker, "cooperative-sticky", &[0, 1]);
    let consumer = subscribed(cooperative(&broker), &diary);
    take(&consumer, 1);
    broker.group("g").change_scripted(peer, |p| p.joins_after = SHORT);
    let (before, joined) = (generation(&consumer), joins(&broker).len());
    broker.group("g").trigger_rebalance();
    drive(&[&consumer], "it waits for the peer", || joins(&broker).len() > joined);
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::ILLEGAL_GENERATION);
    let error = consumer.commit_offsets([(tp(0), 1)]).unwrap_err();
    assert!(matches!(error, Error::RebalanceInProgress), "{error:?}");
    assert_eq!(share(&consumer), [0, 1]);
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    settle(&[&consumer], 2);
    consumer.commit_offsets([(tp(0), 1)]).unwrap();
    append(&broker, 0, 1);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
    assert_eq!(view(&broker).committed(tp(0)), Some(1));
}

#[test]
fn fault_108_a_commit_of_the_last_generation_that_is_refused_in_this_one_costs_nothing() {
    let broker = broker_with(2, 0);
    append(&broker, 0, 2);
    let diary = Diary::default();
    leader(&broker, "cooperative-sticky", &[0, 1]);
    let consumer = subscribed(cooperative(&broker), &diary);
    settle(&[&consumer], 2);
    let before = generation(&consumer);
    broker.on::<OffsetCommitRequest>().once().rewrite(|response| {
        response.topics.iter_mut().flat_map(|t| &mut t.partitions).for_each(|p| {
            p.error_code = ErrorCode::ILLEGAL_GENERATION.0;
        });
    });
    broker.on::<OffsetCommitRequest>().once().delay(SHORT);
    let pending = consumer.commit_offsets_async([(tp(0), 1)]).unwrap();
    broker.group("g").trigger_rebalance();
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    settle(&[&consumer], 2);
    let error = pending.wait().unwrap_err();
    assert!(matches!(error, Error::RebalanceInProgress), "{error:?}");
    drive_for(&[&consumer], SHORT / 3);
    assert_eq!(share(&consumer), [0, 1]);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
}

#[test]
fn behaviour_14_a_partition_that_is_kept_keeps_its_place_and_one_that_comes_back_begins_anew() {
    let broker = broker_with(3, 5);
    let diary = Diary::default();
    let (gives, _) = leader(&broker, "cooperative-sticky", &[0, 1]);
    let consumer = subscribed(cooperative(&broker).max_poll_records(1), &diary);
    settle(&[&consumer], 2);
    consumer.seek(tp(0), 2).unwrap();
    consumer.seek(tp(1), 3).unwrap();
    consumer.pause([tp(0), tp(1)]).unwrap();
    reassign(&broker, &consumer, &gives, &[0, 2]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
    assert_eq!(consumer.paused().unwrap(), [tp(0)]);
    let records = reassign(&broker, &consumer, &gives, &[0, 1]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
    assert_eq!(first_of(&records, 1, &consumer), 0, "nothing was committed, and it is not paused");
    consumer.resume([tp(0)]).unwrap();
    assert_eq!(first_of(&[], 0, &consumer), 2);
}

#[test]
fn behaviour_62_an_eager_member_gives_everything_back_before_it_joins() {
    let broker = Arc::new(broker_with(2, 0));
    let diary = Diary::default();
    let consumer = member(&broker).partition_assignment_strategy("range").build().unwrap();
    let (seen, written) = (broker, diary.clone());
    let listener = Listen::new(move |what, _, partitions| {
        written.write(&format!("{} joins: {what}", joins(&seen).len()), partitions);
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    settle(&[&consumer], 2);
    let before = generation(&consumer);
    consumer.enforce_rebalance("a test").unwrap();
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    settle(&[&consumer], 2);
    let told = diary.take();
    let expected =
        ["2 joins: assigned t-0 t-1", "2 joins: revoked t-0 t-1", "3 joins: assigned t-0 t-1"];
    assert_eq!(told, expected);
}

#[test]
fn behaviour_62_a_cooperative_member_gives_back_only_what_it_no_longer_subscribes_to() {
    let broker = Arc::new(broker_with(2, 3));
    broker.create_topic("u", 1);
    broker.append("u", 0, ["a", "b", "c"]);
    let diary = Diary::default();
    let consumer = cooperative(&broker).max_poll_records(1).build().unwrap();
    let listener = |broker: &Arc<ScriptedBroker>, diary: &Diary| {
        let (seen, written) = (broker.clone(), diary.clone());
        Listen::new(move |what, consumer, partitions| {
            written.write(&format!("{} joins: {what}", joins(&seen).len()), partitions);
            assert!(consumer.poll(Duration::ZERO).is_err());
            Ok(())
        })
    };
    consumer.subscribe_with(["t", "u"], listener(&broker, &diary)).unwrap();
    settle(&[&consumer], 3);
    consumer.seek(tp(1), 1).unwrap();
    consumer.subscribe_with(["t"], listener(&broker, &diary)).unwrap();
    let records = settle(&[&consumer], 2);
    assert!(records.iter().all(|record| record.topic() == "t"), "{records:?}");
    let told = diary.take();
    assert_eq!(told, ["2 joins: assigned t-0 t-1 u-0", "2 joins: revoked u-0"]);
    assert!(consumer.position(tp(1)).unwrap() >= 1, "what it keeps keeps its place");
}

#[test]
fn behaviour_63_only_what_comes_and_goes_is_told_and_who_gives_something_back_joins_again() {
    let broker = broker_with(5, 0);
    let diary = Diary::default();
    let (gives, _) = leader(&broker, "cooperative-sticky", &[0, 1, 2]);
    let consumer = subscribed(cooperative(&broker), &diary);
    settle(&[&consumer], 3);
    assert_eq!(diary.take(), ["assigned t-0 t-1 t-2"]);

    let joined = joins(&broker).len();
    reassign(&broker, &consumer, &gives, &[1, 2, 3]);
    drive(&[&consumer], "it joins again", || joins(&broker).len() == joined + 2);
    settle(&[&consumer], 3);
    assert_eq!(diary.take(), ["revoked t-0", "assigned t-3"]);

    let joined = joins(&broker).len();
    reassign(&broker, &consumer, &gives, &[1, 2, 3]);
    drive_for(&[&consumer], SHORT);
    assert_eq!((diary.take(), joins(&broker).len()), (vec![], joined + 1), "nothing has changed");

    let joined = joins(&broker).len();
    reassign(&broker, &consumer, &gives, &[1, 2, 3, 4]);
    drive_for(&[&consumer], SHORT);
    assert_eq!(diary.take(), ["assigned t-4"]);
    assert_eq!(joins(&broker).len(), joined + 1, "it has only got more");
}

/// A cooperative member with a partition, whose session ends soon, and which has asked to join anew.
fn joining_anew(broker: &ScriptedBroker, diary: &Diary) -> KafkaConsumer {
    let consumer = subscribed(cooperative(broker).session_timeout_ms(SESSION), diary);
    settle(&[&consumer], 1);
    let before = joins(broker).len();
    consumer.enforce_rebalance("for once").unwrap();
    drive(&[&consumer], "it joins anew", || joins(broker).len() > before);
    consumer
}

#[test]
fn fault_87_a_cooperative_member_whose_join_is_lost_gives_up_with_its_session_what_others_may_read()
{
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    broker.on::<JoinGroupRequest>().after(2).once().silence();
    let consumer = joining_anew(&broker, &diary);
    broker.on::<HeartbeatRequest>().silence();
    drive(&[&consumer], "its session ends", || diary.has("lost t-0"));
    broker.clear_rules();
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0", "assigned t-0"]);
}

#[test]
fn a_cooperative_member_whose_join_is_lost_hears_by_a_heartbeat_that_it_is_none_any_more() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    broker.on::<JoinGroupRequest>().after(2).once().silence();
    let consumer = joining_anew(&broker, &diary);
    assert_eq!(diary.take(), ["assigned t-0"]);
    broker.on::<HeartbeatRequest>().once().fail(ErrorCode::UNKNOWN_MEMBER_ID);
    drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["lost t-0", "assigned t-0"]);
}

#[test]
fn a_cooperative_member_keeps_its_partitions_while_its_group_waits_longer_than_a_session() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = joining_anew(&broker, &diary);
    settle(&[&consumer], 1);
    let late = MemberScript::new(["t"]).protocols(["cooperative-sticky"]);
    broker.group("g").add(late.joins_after(2 * SESSION));
    broker.wait_for_group("g", |group| group.members.len() == 2);
    settle(&[&consumer], 1);
    let before = generation(&consumer);
    broker.group("g").trigger_rebalance();
    drive(&[&consumer], "it has joined", || generation(&consumer) > before);
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned t-0"]);
}
