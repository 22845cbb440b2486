//! Consumers without a group, and patterns in a group.

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{
    ConsumerBuilder, Error, GroupState, KafkaConsumer, Result,
    protocol::{
        Request, find_coordinator::FindCoordinatorRequest, join_group::JoinGroupRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    builder, count,
    errors::warnings_of,
    support::{self, broker_with, ends_within, take, wait_until},
};

fn alone(broker: &ScriptedBroker) -> ConsumerBuilder {
    support::builder(broker.address()).topics("t")
}

/// That nothing was asked that is about groups.
fn no_coordinator_was_asked(broker: &ScriptedBroker) {
    let of_groups = [
        FindCoordinatorRequest::KEY,
        OffsetCommitRequest::KEY,
        OffsetFetchRequest::KEY,
        JoinGroupRequest::KEY,
    ];
    let asked: BTreeSet<i16> = broker.requests().iter().map(|r| r.header.api_key).collect();
    assert!(asked.iter().all(|key| !of_groups.contains(key)), "{asked:?}");
}

#[test]
fn fault_236_without_a_group_nothing_can_be_committed_nor_asked_for() {
    let broker = broker_with(1, 3);
    let consumer = alone(&broker).build().unwrap();
    take(&consumer, 3);
    type Call = fn(&KafkaConsumer) -> Result<()>;
    let calls: [(&str, Call); 8] = [
        ("commit", |c| c.commit()),
        ("commit_offsets", |c| c.commit_offsets([(("t", 0), 1)])),
        ("commit_async", |c| c.commit_async().map(drop)),
        ("commit_async_then", |c| c.commit_async_then(|_, _| panic!("never")).map(drop)),
        ("commit_offsets_async", |c| c.commit_offsets_async([(("t", 0), 1)]).map(drop)),
        ("committed", |c| c.committed(("t", 0)).map(drop)),
        ("committed_metadata", |c| c.committed_metadata(("t", 0)).map(drop)),
        ("enforce_rebalance", |c| c.enforce_rebalance("why not")),
    ];
    for (name, call) in calls {
        match ends_within(Duration::ZERO, name, || call(&consumer)) {
            Err(Error::IllegalState(text)) => assert!(text.contains("group_id"), "{name}: {text}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    support::append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 3);
    ends_within(Duration::ZERO, "unsubscribe", || consumer.unsubscribe()).unwrap();
    consumer.close().unwrap();
    no_coordinator_was_asked(&broker);
}

#[test]
fn behaviour_9_without_a_group_a_consumer_stands_nowhere() {
    let broker = broker_with(1, 1);
    let consumer = alone(&broker).build().unwrap();
    take(&consumer, 1);
    let standing = consumer.group_metadata().unwrap();
    assert_eq!((standing.group_id, standing.group_instance_id), (None, None));
    assert_eq!((standing.generation_id, standing.member_id.as_str()), (-1, ""));
    assert_eq!(standing.state, GroupState::Unjoined);
}

#[test]
fn behaviour_50_without_a_group_auto_commit_is_off_with_a_warning_where_it_was_asked_for() {
    let broker = broker_with(1, 3);
    let about = |warnings: Vec<String>| {
        warnings.into_iter().filter(|w| w.contains("enable_auto_commit")).count()
    };
    let read = |builder: ConsumerBuilder| {
        let consumer = builder.auto_commit_interval_ms(1).build().unwrap();
        take(&consumer, 3);
        consumer.poll(Duration::from_millis(10)).unwrap();
        consumer.close().unwrap();
    };
    assert_eq!(about(warnings_of(|| read(alone(&broker).enable_auto_commit(true)))), 1);
    assert_eq!(about(warnings_of(|| read(alone(&broker)))), 0, "nobody asked for it");
    assert_eq!(about(warnings_of(|| read(alone(&broker).enable_auto_commit(false)))), 0);
    no_coordinator_was_asked(&broker);
}

#[test]
fn behaviour_51_a_member_with_a_pattern_joins_with_the_topics_that_match_and_with_no_other() {
    let broker = ScriptedBroker::start();
    for topic in ["fizz", "foo1", "foo2"] {
        broker.create_topic(topic, 1);
        broker.append(topic, 0, [topic.to_owned()]);
    }
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_pattern("foo").unwrap();
    let read: BTreeSet<_> = take(&consumer, 2).iter().map(|r| r.topic().to_owned()).collect();
    let matching = BTreeSet::from(["foo1".to_owned(), "foo2".to_owned()]);
    assert_eq!(read, matching);
    assert_eq!(consumer.subscription().unwrap(), Some(matching.clone()));
    let view = broker.group(crate::GROUP).view();
    assert_eq!(BTreeSet::from_iter(view.members[0].topics()), matching);
    assert_eq!(count::<JoinGroupRequest>(&broker), 2, "for its name, and to join: not once more");
    // A topic that comes later joins in.
    broker.create_topic("foo3", 1);
    broker.append("foo3", 0, ["late"]);
    let consumer = {
        drop(consumer);
        builder(&broker).metadata_max_age_ms(50).build().unwrap()
    };
    consumer.subscribe_pattern("foo").unwrap();
    wait_until("the third topic", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 3
    });
    broker.create_topic("foo4", 1);
    wait_until("the fourth topic", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 4
    });
}

#[test]
fn behaviour_51_without_a_group_the_topics_that_match_are_all_assigned_here() {
    let broker = ScriptedBroker::start();
    for topic in ["fizz", "foo1", "foo2"] {
        broker.create_topic(topic, 2);
    }
    let consumer = support::builder(broker.address()).build().unwrap();
    consumer.subscribe_pattern("foo").unwrap();
    wait_until("all of them", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 4
    });
    no_coordinator_was_asked(&broker);
}

#[test]
fn behaviour_79_a_pattern_matches_internal_topics_only_where_it_may() {
    let broker = ScriptedBroker::start();
    broker.create_topic("__consumer_offsets", 1);
    broker.create_topic("__consumer_likes", 1);
    for (excludes, topics) in
        [(true, vec!["__consumer_likes"]), (false, vec!["__consumer_likes", "__consumer_offsets"])]
    {
        let consumer = builder(&broker).exclude_internal_topics(excludes).build().unwrap();
        consumer.subscribe_pattern("__consumer_.*").unwrap();
        wait_until("partitions", || {
            consumer.poll(Duration::from_millis(5)).unwrap();
            consumer.assignment().unwrap().len() == topics.len()
        });
        let assigned = consumer.assignment().unwrap();
        assert_eq!(assigned.iter().map(|p| p.topic()).collect::<Vec<_>>(), topics);
        consumer.close().unwrap();
    }
    // By its name it can be read in any case.
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe(["__consumer_offsets"]).unwrap();
    wait_until("its partition", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 1
    });
}
