//! Calls about what is not there, on a cluster that is well: they end in time, and name it.

use std::time::Duration;

use kafka_blocking::{Error, KafkaConsumer, Result};
use scripted_broker::ScriptedBroker;

use crate::support::{broker_with, builder, ends_within, take};

const SHORT: Duration = Duration::from_millis(300);

fn consumer_of(broker: &ScriptedBroker) -> KafkaConsumer {
    builder(broker.address())
        .request_timeout_ms(200)
        .default_api_timeout_ms(SHORT)
        .consumer_timeout_ms(SHORT)
        .build()
        .unwrap()
}

/// A call that cannot succeed, as what it asks for is not there.
fn times_out(operation: &str, names: &str, call: impl Fn() -> Result<()>) {
    let error = ends_within(SHORT, operation, call).unwrap_err();
    assert!(matches!(&error, Error::Timeout { operation: o, .. } if *o == operation), "{error:?}");
    assert!(error.to_string().contains(names), "{names} is missing in: {error}");
}

#[test]
fn behaviour_82_a_call_about_a_partition_that_does_not_exist_ends_in_time_and_names_it() {
    let broker = broker_with(1, 1);
    for (missing, name) in [(("t", 99), "t-99"), (("nowhere", 0), "nowhere-0")] {
        let consumer = consumer_of(&broker);
        consumer.assign([missing]).unwrap();
        times_out("position", name, || consumer.position(missing).map(drop));
        times_out("position", name, || consumer.position_timeout(missing, SHORT).map(drop));
        let asked = [missing, ("t", 0)];
        times_out("beginning_offsets", name, || consumer.beginning_offsets(asked).map(drop));
        times_out("end_offsets", name, || consumer.end_offsets_timeout(asked, SHORT).map(drop));
        times_out("offsets_for_times", name, || {
            consumer.offsets_for_times([(missing, 0), (("t", 0), 0)]).map(drop)
        });
    }
}

#[test]
fn behaviour_82_reading_what_does_not_exist_is_empty_in_time_and_other_partitions_go_on() {
    let broker = broker_with(1, 2);
    let consumer = consumer_of(&broker);
    consumer.assign([("t", 99), ("nowhere", 0)]).unwrap();
    assert!(ends_within(SHORT, "poll", || consumer.poll(SHORT)).unwrap().is_empty());
    assert!(ends_within(SHORT, "poll_batch", || consumer.poll_batch(SHORT)).unwrap().is_none());
    assert!(ends_within(SHORT, "next", || consumer.next()).is_none());
    consumer.assign([("t", 99), ("nowhere", 0), ("t", 0)]).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 0);
    consumer.poll_max(crate::support::LONG, 1).unwrap();
    consumer.seek(("t", 0), 0).unwrap();
    assert_eq!(take(&consumer, 2)[1].offset(), 1);
}

#[test]
fn behaviour_21_a_question_about_a_time_in_a_partition_that_does_not_exist_times_out() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let timeout = Duration::from_millis(500);
    let ask = || consumer.offsets_for_times_timeout([(("t", 100), 0)], timeout);
    let error = ends_within(timeout, "offsets_for_times", ask).unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. }) && error.to_string().contains("t-100"),
        "{error}"
    );
}

#[test]
fn behaviour_27_a_reset_waits_for_a_leader_and_gives_up_within_its_time_without_losing_the_wish() {
    let broker = broker_with(1, 3);
    broker.with_state(|state| state.move_leader("t", 0, None));
    let consumer = consumer_of(&broker);
    consumer.assign([("t", 0)]).unwrap();
    consumer.seek_to_end([("t", 0)]).unwrap();
    times_out("position", "t-0", || consumer.position(("t", 0)).map(drop));
    broker.move_leader("t", 0, 1);
    // Without another seek: it still is to go to the end.
    let position = consumer.position_timeout(("t", 0), crate::support::LONG);
    assert_eq!(position.unwrap(), 3);
}
