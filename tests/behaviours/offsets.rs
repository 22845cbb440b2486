//! What a consumer is told of the offsets of partitions, whether it reads them or not.

use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::{
    Error, OffsetAndTimestamp, TopicPartition, protocol::list_offsets::ListOffsetsRequest,
};
use scripted_broker::{Record, ScriptedBroker};

use crate::{
    support::{append, broker_with, builder, take},
    tp,
};

const T: i64 = 1_700_000_000_000;

/// Three brokers that lead a partition each, where records were written at T and 2 s later.
fn two_records_each() -> ScriptedBroker {
    let broker = ScriptedBroker::cluster(3);
    broker.create_topic("t", 3);
    for partition in 0..3 {
        broker.append("t", partition, [Record::value("first").at(T)]);
        broker.append("t", partition, [Record::value("second").at(T + 2_000)]);
    }
    broker
}

fn leaders_asked(broker: &ScriptedBroker) -> usize {
    let asked = broker.requests().into_iter().filter(|r| r.is::<ListOffsetsRequest>());
    asked.map(|r| r.node).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn behaviour_20_times_are_found_on_all_leaders_and_positions_stay() {
    let broker = two_records_each();
    let consumer = builder(broker.addresses()).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    for (time, expected) in [
        (T, Some((0, T))),
        (T + 1_000, Some((1, T + 2_000))),
        (T + 2_000, Some((1, T + 2_000))),
        (0, Some((0, T))),
        (9_999_999_999_999, None),
    ] {
        let found = consumer.offsets_for_times([0, 1, 2].map(|n| (tp(n), time))).unwrap();
        assert_eq!(found.len(), 3);
        for (partition, found) in found {
            let found = found.map(|f: OffsetAndTimestamp| (f.offset(), f.timestamp()));
            assert_eq!(found, expected, "{partition} at {time}");
        }
    }
    assert_eq!(leaders_asked(&broker), 3);
    assert_eq!(consumer.position(tp(0)).unwrap(), 1);
    assert_eq!(take(&consumer, 1)[0].value(), Some(&b"second"[..]));
}

#[test]
fn behaviour_20_each_partition_may_be_asked_about_another_time() {
    let broker = two_records_each();
    let consumer = builder(broker.addresses()).build().unwrap();
    let times = BTreeMap::from([(tp(0), T), (tp(1), T + 1), (tp(2), i64::MAX)]);
    let found = consumer.offsets_for_times(times).unwrap();
    let offsets: Vec<_> =
        found.values().map(|f| f.as_ref().map(OffsetAndTimestamp::offset)).collect();
    assert_eq!(offsets, [Some(0), Some(1), None]);
    // What was found is where to go.
    consumer.assign([tp(1)]).unwrap();
    consumer.seek(tp(1), found[&tp(1)].as_ref().unwrap()).unwrap();
    assert_eq!(take(&consumer, 1)[0].value(), Some(&b"second"[..]));
}

#[test]
fn behaviour_20_the_ends_of_logs_are_around_the_records() {
    let broker = two_records_each();
    let consumer = builder(broker.addresses()).build().unwrap();
    let all = [tp(0), tp(1), tp(2)];
    let is = |offset: i64| all.iter().map(|p| (p.clone(), offset)).collect::<BTreeMap<_, _>>();
    assert_eq!(consumer.beginning_offsets(&all).unwrap(), is(0));
    assert_eq!(consumer.end_offsets(&all).unwrap(), is(2));
    (0..3).for_each(|partition| broker.delete_records_before("t", partition, 1));
    append(&broker, 2, 3);
    assert_eq!(consumer.beginning_offsets(&all).unwrap(), is(1));
    assert_eq!(consumer.end_offsets(&all).unwrap()[&tp(2)], 5);
    assert!(consumer.assignment().unwrap().is_empty());
}

#[test]
fn behaviour_20_a_question_about_nothing_is_answered_without_a_request() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let before = broker.requests().len();
    let nothing = Vec::<TopicPartition>::new;
    assert!(consumer.beginning_offsets(nothing()).unwrap().is_empty());
    assert!(consumer.end_offsets(nothing()).unwrap().is_empty());
    assert!(consumer.offsets_for_times(Vec::<(TopicPartition, i64)>::new()).unwrap().is_empty());
    assert_eq!(broker.requests().len(), before);
}

#[test]
fn behaviour_21_a_negative_time_is_refused_and_nothing_is_asked() {
    let broker = broker_with(2, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let before = broker.requests().len();
    for time in [-1, -2, i64::MIN] {
        let error = consumer.offsets_for_times([(tp(0), 0), (tp(1), time)]).unwrap_err();
        let Error::IllegalArgument(text) = error else { panic!("{error:?}") };
        assert!(text.contains("t-1") && text.contains(&time.to_string()), "{text}");
    }
    let error = consumer.beginning_offsets([tp(-1)]).unwrap_err();
    assert!(matches!(error, Error::IllegalArgument(_)), "{error:?}");
    assert_eq!(broker.requests().len(), before);
}

#[test]
fn behaviour_22_the_position_after_seek_to_end_is_the_end_without_a_poll() {
    let broker = broker_with(1, 7);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    consumer.seek_to_end([tp(0)]).unwrap();
    assert_eq!(consumer.position_timeout(tp(0), Duration::from_secs(10)).unwrap(), 7);
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 7);
}
