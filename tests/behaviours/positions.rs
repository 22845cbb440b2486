//! Where partitions stand, whether they are paused, and how far their logs reach: what a consumer says of what it reads.

use kafka_blocking::{
    ALL_ASSIGNED, Error, TopicPartition, protocol::list_offsets::ListOffsetsRequest,
};
use scripted_broker::{Marker, Record};

use crate::{
    assigned,
    support::{append, broker_with, builder, take, wait_until},
    tp,
};

#[test]
fn behaviour_23_paused_tells_what_pause_resume_and_unsubscribe_have_done() {
    let broker = broker_with(3, 1);
    let consumer = assigned(&broker, &[0, 1, 2]);
    let nothing = Vec::<TopicPartition>::new();
    assert_eq!(consumer.paused().unwrap(), nothing);
    consumer.pause([tp(2), tp(0)]).unwrap();
    consumer.pause([tp(0)]).unwrap();
    assert_eq!(consumer.paused().unwrap(), [tp(0), tp(2)]);
    assert_eq!(take(&consumer, 1)[0].partition(), 1);
    consumer.resume([tp(0), tp(1)]).unwrap();
    assert_eq!(consumer.paused().unwrap(), [tp(2)]);
    consumer.unsubscribe().unwrap();
    assert_eq!(consumer.paused().unwrap(), nothing);
    // What was paused before is not when it is assigned anew.
    consumer.assign([tp(2)]).unwrap();
    assert_eq!(consumer.paused().unwrap(), nothing);
    assert_eq!(take(&consumer, 1)[0].partition(), 2);
}

#[test]
fn behaviour_23_what_paused_gives_is_the_callers_own() {
    let broker = broker_with(2, 1);
    let consumer = assigned(&broker, &[0, 1]);
    consumer.pause([tp(0)]).unwrap();
    consumer.paused().unwrap().clear();
    assert_eq!(consumer.paused().unwrap(), [tp(0)]);
}

#[test]
fn fault_238_pausing_what_is_not_assigned_is_an_error_and_pauses_nothing() {
    let broker = broker_with(2, 1);
    let consumer = assigned(&broker, &[0]);
    for result in [consumer.pause([tp(0), tp(1)]), consumer.resume([tp(1)])] {
        let Err(Error::IllegalState(text)) = result else { panic!("{result:?}") };
        assert!(text.contains("t-1"), "{text}");
    }
    assert_eq!(consumer.paused().unwrap(), []);
    assert_eq!(take(&consumer, 1)[0].partition(), 0);
}

#[test]
fn behaviour_71_the_high_watermark_is_that_of_the_last_fetch() {
    let broker = broker_with(2, 3);
    let consumer = assigned(&broker, &[0, 1]);
    assert_eq!((consumer.highwater(tp(0)).unwrap(), consumer.lag(tp(0)).unwrap()), (None, None));
    consumer.pause([tp(1)]).unwrap();
    take(&consumer, 1);
    assert_eq!(consumer.highwater(tp(0)).unwrap(), Some(3));
    assert_eq!(consumer.lag(tp(0)).unwrap(), Some(2));
    assert_eq!(consumer.highwater(tp(1)).unwrap(), None, "it was never fetched");
    take(&consumer, 2);
    append(&broker, 0, 4);
    take(&consumer, 1);
    wait_until("a later fetch tells the new end", || {
        consumer.poll(std::time::Duration::ZERO).unwrap();
        consumer.highwater(tp(0)).unwrap() == Some(7)
    });
    for unassigned in [("t", 5), ("u", 0)] {
        let error = consumer.highwater(unassigned).unwrap_err();
        let name = TopicPartition::from(unassigned).to_string();
        assert!(matches!(&error, Error::IllegalState(text) if text.contains(&name)), "{error:?}");
    }
}

#[test]
fn behaviour_71_the_high_watermark_counts_open_transactions_also_when_committed_records_are_read() {
    let broker = broker_with(1, 1);
    broker.append_transactional("t", 0, 7, ["open", "too"].map(Record::value));
    let consumer =
        builder(broker.address()).topics("t").isolation_level("read_committed").build().unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    assert_eq!(consumer.highwater(tp(0)).unwrap(), Some(3));
    assert_eq!(consumer.lag(tp(0)).unwrap(), Some(0), "nothing more can be read");
    broker.append_marker("t", 0, 7, Marker::Commit);
    take(&consumer, 2);
    assert_eq!(consumer.highwater(tp(0)).unwrap(), Some(4));
}

fn questions(broker: &scripted_broker::ScriptedBroker) -> usize {
    broker.requests_of::<ListOffsetsRequest>().len()
}

#[test]
fn behaviour_76_seeking_to_an_end_is_lazy_and_position_resolves_it() {
    let broker = broker_with(2, 4);
    let consumer = assigned(&broker, &[0, 1]);
    take(&consumer, 8);
    let before = questions(&broker);
    consumer.seek_to_beginning(ALL_ASSIGNED).unwrap();
    consumer.seek_to_end([tp(1)]).unwrap();
    assert_eq!(questions(&broker), before);
    // As it is looked up only now, what was written since is before the end.
    append(&broker, 1, 2);
    assert_eq!(consumer.position(tp(1)).unwrap(), 6);
    assert_eq!(consumer.position(tp(0)).unwrap(), 0);
    assert!(questions(&broker) > before);
    assert_eq!(take(&consumer, 4)[3].topic_partition(), tp(0));
    consumer.seek_to_end(ALL_ASSIGNED).unwrap();
    consumer.seek(tp(0), 1).unwrap();
    assert_eq!(consumer.position(tp(0)).unwrap(), 1, "the last wish counts");
    assert_eq!(consumer.position(tp(1)).unwrap(), 6);
}

#[test]
fn behaviour_76_seeking_what_is_not_assigned_is_an_error_that_names_it_and_changes_nothing() {
    let broker = broker_with(2, 4);
    let consumer = builder(broker.address()).build().unwrap();
    for none in [consumer.seek_to_beginning(ALL_ASSIGNED), consumer.seek_to_end(ALL_ASSIGNED)] {
        assert!(matches!(none, Err(Error::IllegalState(_))), "{none:?}");
    }
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 2);
    let mixed = [tp(0), tp(1)];
    for result in [consumer.seek_to_beginning(&mixed), consumer.seek_to_end(&mixed)] {
        let Err(Error::IllegalState(text)) = result else { panic!("{result:?}") };
        assert!(text.contains("t-1"), "{text}");
    }
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
    assert_eq!(take(&consumer, 1)[0].offset(), 2);
}
