//! What makes a group divide its partitions anew: topics that come, go and grow, members that come, go and die, patterns, and
//! subscriptions that change.

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{ErrorCode, KafkaConsumer, protocol::metadata::MetadataRequest};
use scripted_broker::{MemberScript, Role, ScriptedBroker};

use crate::{
    group::{
        Diary, SESSION, SHORT, count, drive, drive_for, first_of, generation, joins, leaves,
        member, reader, settle, share, subscribed, tp, view,
    },
    support::{append, broker_with, take},
};

/// How often metadata come in these tests.
const AGE: Duration = Duration::from_millis(60);

fn by_pattern(broker: &ScriptedBroker, pattern: &str, diary: &Diary) -> KafkaConsumer {
    let consumer = member(broker).metadata_max_age_ms(AGE).build().unwrap();
    consumer.subscribe_pattern_with(pattern, diary.clone()).unwrap();
    consumer
}

#[test]
fn fault_132_topics_that_come_and_go_cost_a_pattern_one_rebalance_each() {
    let broker = ScriptedBroker::start();
    broker.create_topic("m-1", 1);
    broker.create_topic("other", 1);
    let diary = Diary::default();
    let consumer = by_pattern(&broker, "m-", &diary);
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned m-1-0"]);
    let before = generation(&consumer);

    broker.create_topic("m-2", 1);
    settle(&[&consumer], 2);
    drive_for(&[&consumer], AGE * 5);
    assert_eq!(diary.take(), ["revoked m-1-0", "assigned m-1-0 m-2-0"]);
    assert_eq!(generation(&consumer), before + 1);

    broker.delete_topic("m-1");
    settle(&[&consumer], 1);
    drive_for(&[&consumer], AGE * 8);
    assert_eq!(diary.take(), ["revoked m-1-0 m-2-0", "assigned m-2-0"]);
    assert_eq!(generation(&consumer), before + 2);
}

#[test]
fn fault_132_a_pattern_that_matches_nothing_waits_for_a_topic_without_haste() {
    let broker = ScriptedBroker::start();
    let diary = Diary::default();
    let consumer = by_pattern(&broker, "m-", &diary);
    drive_for(&[&consumer], AGE * 10);
    assert!(diary.is_empty());
    let asked = count::<MetadataRequest>(&broker);
    assert!(asked < 25, "{asked} requests");
    assert!(joins(&broker).len() <= 2, "{:?}", joins(&broker));
    broker.create_topic("m-1", 1);
    broker.append("m-1", 0, ["a"]);
    assert_eq!(take(&consumer, 1)[0].topic(), "m-1");
    assert_eq!(diary.take(), ["assigned m-1-0"]);
}

#[test]
fn fault_134_the_last_of_many_subscriptions_counts() {
    let broker = broker_with(1, 0);
    for n in 0..10 {
        broker.create_topic(&format!("u{n}"), 1);
        broker.append(&format!("u{n}"), 0, ["a"]);
    }
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    for n in 0..10 {
        consumer.subscribe_with([format!("u{n}")], diary.clone()).unwrap();
        // Somewhere on its way.
        consumer.poll(Duration::from_millis(n % 4)).unwrap();
        if n % 2 == 0 {
            consumer.unsubscribe().unwrap();
        }
    }
    let record = take(&consumer, 1).remove(0);
    assert_eq!(record.topic(), "u9");
    assert_eq!(consumer.assignment().unwrap(), [("u9", 0).into()]);
    drive_for(&[&consumer], SHORT);
    assert_eq!(diary.take().last().unwrap(), "assigned u9-0");
    assert_eq!(view(&broker).members.len(), 1);
}

#[test]
fn fault_134_subscriptions_that_nobody_read_in_between_join_once() {
    let broker = broker_with(1, 1);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    for _ in 0..10 {
        consumer.unsubscribe().unwrap();
        consumer.subscribe_with(["t"], diary.clone()).unwrap();
    }
    take(&consumer, 1);
    assert_eq!((joins(&broker).len(), leaves(&broker)), (2, 0));
    assert_eq!(diary.take(), ["assigned t-0"]);
}

#[test]
fn behaviour_68_a_leader_that_sees_a_topic_grow_has_the_group_share_the_new_partitions() {
    let broker = broker_with(1, 1);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).metadata_max_age_ms(AGE), &diary);
    take(&consumer, 1);
    let before = generation(&consumer);
    broker.with_state(|state| state.add_partitions("t", 1));
    settle(&[&consumer], 2);
    append(&broker, 1, 1);
    assert_eq!(first_of(&[], 1, &consumer), 0);
    drive_for(&[&consumer], AGE * 4);
    assert_eq!(generation(&consumer), before + 1);
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned t-0 t-1"]);
}

#[test]
fn behaviour_68_a_topic_that_a_broker_does_not_know_for_a_moment_costs_no_rebalance() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).metadata_max_age_ms(AGE / 3), &diary);
    settle(&[&consumer], 2);
    let (before, asked) = (generation(&consumer), count::<MetadataRequest>(&broker));
    broker.on::<MetadataRequest>().times(2).rewrite(|response| {
        for topic in response.topics.iter_mut() {
            topic.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
            topic.partitions = Vec::new();
        }
    });
    drive(&[&consumer], "metadata", || count::<MetadataRequest>(&broker) > asked + 4);
    assert_eq!((generation(&consumer), diary.take()), (before, vec!["assigned t-0 t-1".into()]));
}

#[test]
fn behaviour_68_a_topic_that_does_not_exist_costs_no_rebalance() {
    let broker = broker_with(2, 0);
    let consumer = member(&broker).metadata_max_age_ms(AGE / 3).build().unwrap();
    consumer.subscribe(["t", "missing"]).unwrap();
    settle(&[&consumer], 2);
    let (before, asked) = (generation(&consumer), count::<MetadataRequest>(&broker));
    drive(&[&consumer], "metadata", || count::<MetadataRequest>(&broker) > asked + 6);
    assert_eq!(generation(&consumer), before);
}

#[test]
fn behaviour_68_a_follower_leaves_topics_that_grow_to_the_leader() {
    let broker = broker_with(2, 0);
    broker.group("g").add(MemberScript::new(["t"]).role(Role::Leader));
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).metadata_max_age_ms(AGE), &diary);
    settle(&[&consumer], 1);
    let joined = joins(&broker).len();
    broker.with_state(|state| state.add_partitions("t", 4));
    drive_for(&[&consumer], AGE * 5);
    assert_eq!(joins(&broker).len(), joined);
    assert_eq!(diary.take().len(), 1);
}

#[test]
fn behaviour_78_members_that_come_leave_and_die_each_make_the_group_divide_anew() {
    let broker = broker_with(4, 0);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 4);
    let group = broker.group("g");
    let peer = || MemberScript::new(["t"]).role(Role::Follower);

    let other = group.add(peer());
    settle(&[&consumer], 2);
    group.leave(other);
    settle(&[&consumer], 4);
    let other = group.add(peer().session_timeout(SHORT));
    settle(&[&consumer], 2);
    group.change_scripted(other, |script| script.frozen = true);
    settle(&[&consumer], 4);
    let told = diary.take();
    assert_eq!(told.len(), 9, "{told:?}");
    assert!(told.iter().step_by(2).all(|line| line.starts_with("assigned")), "{told:?}");
}

#[test]
fn behaviour_78_a_topic_that_is_deleted_or_made_later_makes_the_group_divide_anew() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = member(&broker).metadata_max_age_ms(AGE).build().unwrap();
    consumer.subscribe_with(["t", "u"], diary.clone()).unwrap();
    settle(&[&consumer], 1);
    broker.create_topic("u", 1);
    settle(&[&consumer], 2);
    broker.delete_topic("t");
    settle(&[&consumer], 1);
    drive_for(&[&consumer], AGE * 5);
    let expected =
        ["assigned t-0", "revoked t-0", "assigned t-0 u-0", "revoked t-0 u-0", "assigned u-0"];
    assert_eq!(diary.take(), expected);
}

#[test]
fn behaviour_78_subscribing_replaces_the_topics_and_the_listener() {
    let broker = broker_with(1, 0);
    broker.create_topic("u", 1);
    let (old, new) = (Diary::default(), Diary::default());
    let consumer = reader(&broker, &old);
    settle(&[&consumer], 1);
    assert_eq!(old.take(), ["assigned t-0"]);
    consumer.subscribe_with(["u"], new.clone()).unwrap();
    drive(&[&consumer], "it reads the other one", || new.has("assigned u-0"));
    let topics: BTreeSet<String> = consumer.subscription().unwrap().unwrap();
    assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["u"]);
    assert_eq!(
        (old.take(), new.take()),
        (vec![], vec!["revoked t-0".into(), "assigned u-0".into()])
    );
    consumer.subscribe(["t"]).unwrap();
    drive(&[&consumer], "it reads the first one", || consumer.assignment().unwrap() == [tp(0)]);
    assert_eq!((old.take(), new.take()), (vec![], vec![]), "there is no listener any more");
}

#[test]
fn behaviour_83_nothing_is_assigned_until_a_poll_has_joined_and_what_is_given_is_a_copy() {
    let broker = broker_with(1, 0);
    let consumer = subscribed(member(&broker).session_timeout_ms(SESSION), &Diary::default());
    std::thread::sleep(SHORT / 3);
    assert!(consumer.assignment().unwrap().is_empty());
    assert_eq!(joins(&broker).len(), 0, "only a call that reads joins");
    settle(&[&consumer], 1);
    let mut copy = consumer.assignment().unwrap();
    copy.clear();
    assert_eq!(share(&consumer), [0]);
}
