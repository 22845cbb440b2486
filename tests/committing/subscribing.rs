//! What members may and may not subscribe to, and what becomes of topics that are wrong, or not there yet.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode, GroupState,
    protocol::{join_group::JoinGroupRequest, metadata::MetadataRequest},
};

use crate::{
    GROUP, builder, count, manual,
    support::{LONG, append, broker_with, ends_within, take, wait_until},
};

#[test]
fn fault_237_a_member_cannot_assign_and_who_assigns_is_no_member() {
    let broker = broker_with(2, 2);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 4);
    let refused = consumer.assign([("t", 0)]);
    assert!(matches!(refused, Err(Error::IllegalState(_))), "{refused:?}");
    assert_eq!(consumer.assignment().unwrap().len(), 2, "nothing has changed");
    consumer.unsubscribe().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let refused = consumer.subscribe(["t"]);
    assert!(matches!(refused, Err(Error::IllegalState(_))), "{refused:?}");
    assert_eq!(consumer.assignment().unwrap(), [("t", 0).into()]);
    assert_eq!(broker.group(GROUP).view().members.len(), 0);
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    assert_eq!(consumer.group_metadata().unwrap().state, GroupState::Unjoined);
    consumer.commit().unwrap();
    assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(1));
}

#[test]
fn fault_239_a_topic_that_the_broker_refuses_keeps_no_member_from_leaving() {
    let broker = broker_with(1, 1);
    for unsubscribes in [true, false] {
        broker.clear_rules();
        let consumer = builder(&broker).build().unwrap();
        broker.on::<MetadataRequest>().fail(ErrorCode::INVALID_TOPIC_EXCEPTION);
        consumer.subscribe(["refused"]).unwrap();
        let error = ends_within(LONG, "poll()", || consumer.poll(LONG)).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION), "{error}");
        if unsubscribes {
            ends_within(Duration::ZERO, "unsubscribe()", || consumer.unsubscribe()).unwrap();
            broker.clear_rules();
            consumer.subscribe(["t"]).unwrap();
            assert_eq!(take(&consumer, 1)[0].offset(), 0);
        }
        ends_within(Duration::ZERO, "close()", || consumer.close()).unwrap();
    }
}

#[test]
fn fault_240_a_topic_that_does_not_exist_is_joined_for_and_read_when_it_comes() {
    let broker = broker_with(1, 0);
    let consumer = builder(&broker).metadata_max_age_ms(50).build().unwrap();
    consumer.subscribe(["later", "t"]).unwrap();
    wait_until("what there is", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap() == [("t", 0).into()]
    });
    let joins = count::<JoinGroupRequest>(&broker);
    consumer.poll(Duration::from_millis(150)).unwrap();
    assert_eq!(count::<JoinGroupRequest>(&broker), joins, "no rebalance for what is not there");
    broker.create_topic("later", 2);
    wait_until("all of it", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 3
    });
    broker.append("later", 1, ["a"]);
    assert_eq!(take(&consumer, 1)[0].topic(), "later");
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
}
