//! What holds of every method on a cluster that has died after `build()`.

use std::{thread, time::Duration};

use kafka_blocking::{ConsumerBuilder, Error, KafkaConsumer};

use crate::{
    methods::{ANSWERS_ALONE, API, ASKS, Asks, READS, Reads, UNREAD},
    support::{self, builder, ends_within, timed},
};

pub(crate) const GIVEN: Duration = Duration::from_millis(150);
pub(crate) const REQUEST: Duration = Duration::from_millis(200);
const TIMES: [Duration; 3] = [GIVEN, Duration::from_millis(1), Duration::ZERO];

/// What may stand in an error's text as its cause: one of these.
#[derive(Clone, Copy)]
pub(crate) struct Causes(pub(crate) &'static [&'static str]);

/// Lets a cluster at an address die, and looks whether what is called then ends in time and names one of the causes.
pub(crate) type Check = fn(&str, &mut dyn FnMut(), Causes);

/// Builds a consumer for each method at `address`, where partition 0 of `t` has one record and partition 1 none; lets the
/// cluster die, and calls all methods side by side, each again and again.
pub(crate) fn calls_end_in_time(address: &str, die: &mut dyn FnMut(), causes: Causes) {
    let asking: Vec<_> = ASKS.iter().map(|asks| (asks, consumer_at(address))).collect();
    let reading: Vec<_> = READS.iter().map(|reads| (reads, consumer_at(address))).collect();
    let (iterating, alone) = (consumer_at(address), consumer_at(address));
    die();
    let consumers = thread::scope(|scope| {
        let mut threads = vec![
            scope.spawn(move || iteration_ends(iterating)),
            scope.spawn(move || needs_no_broker(alone)),
        ];
        threads.extend(asking.into_iter().map(|(asks, consumer)| {
            scope.spawn(move || {
                consumer.assign([("t", 0), UNREAD]).unwrap();
                asking_fails(asks, consumer, address, causes)
            })
        }));
        threads.extend(reading.into_iter().map(|(reads, consumer)| {
            scope.spawn(move || {
                consumer.assign([("t", 0), UNREAD]).unwrap();
                reading_is_empty(reads, consumer)
            })
        }));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    ends_do_not_wait(consumers);
}

/// A consumer that has read partition 0 and does not know where partition 1 begins.
fn consumer_at(address: &str) -> KafkaConsumer {
    let consumer = builder_at(address).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(consumer.poll(support::LONG).unwrap().count(), 1);
    consumer
}

/// Consumers whose calls do not take long.
pub(crate) fn builder_at(address: &str) -> ConsumerBuilder {
    builder(address)
        .consumer_timeout_ms(GIVEN)
        .request_timeout_ms(REQUEST)
        .default_api_timeout_ms(API)
        .socket_connection_setup_timeout_ms(REQUEST)
}

pub(crate) fn asking_fails(
    asks: &Asks,
    consumer: KafkaConsumer,
    address: &str,
    causes: Causes,
) -> KafkaConsumer {
    // The first with nothing noticed yet; a machine that is busy may have other things to say at first.
    let mut texts: Vec<String> = Vec::new();
    let named = |text: &String| causes.0.iter().any(|cause| text.contains(cause));
    while texts.len() < 2 || !texts.last().is_some_and(named) {
        assert!(texts.len() < 8, "none of {:?} in {texts:?}", causes.0);
        texts.push(fails(asks, API, address, || (asks.by_default)(&consumer)));
    }
    for timeout in TIMES {
        fails(asks, timeout, address, || (asks.within)(&consumer, timeout));
    }
    consumer
}

/// Calls; gives what the error says.
fn fails(
    asks: &Asks,
    timeout: Duration,
    address: &str,
    call: impl Fn() -> kafka_blocking::Result<()>,
) -> String {
    let error = ends_within(timeout, asks.operation, call).unwrap_err();
    let text = error.to_string();
    match error {
        Error::Timeout { operation, after, .. } => {
            assert_eq!((operation, after), (asks.operation, timeout));
        }
        other => panic!("{}: {other:?}", asks.operation),
    }
    for named in [asks.subject, address] {
        assert!(text.contains(named), "{named:?} is missing in: {text}");
    }
    text
}

pub(crate) fn reading_is_empty(reads: &Reads, consumer: KafkaConsumer) -> KafkaConsumer {
    for timeout in [GIVEN].into_iter().chain(TIMES) {
        let call = || (reads.within)(&consumer, timeout);
        let empty = ends_within(timeout, reads.operation, call);
        assert!(empty.expect("empty, and no error"), "{}: records of nobody", reads.operation);
    }
    consumer
}

fn iteration_ends(consumer: KafkaConsumer) -> KafkaConsumer {
    consumer.assign([("t", 0), UNREAD]).unwrap();
    for _ in 0..2 {
        let next = ends_within(GIVEN, "next", || consumer.next());
        assert!(next.is_none(), "{next:?}");
        let records = ends_within(GIVEN, "a loop", || (&consumer).into_iter().count());
        assert_eq!(records, 0);
    }
    consumer
}

fn needs_no_broker(consumer: KafkaConsumer) -> KafkaConsumer {
    consumer.assign([("t", 0), UNREAD]).unwrap();
    // First with nothing noticed yet, then in the midst of failures.
    for _ in 0..2 {
        for (name, call) in ANSWERS_ALONE {
            ends_within(Duration::ZERO, name, || call(&consumer)).unwrap();
        }
        assert!(consumer.poll(GIVEN).unwrap().is_empty());
    }
    consumer
}

/// Closes one half of the consumers and drops the other; each is measured once, as a second time proves nothing. A machine
/// that is busy may make one of them late.
fn ends_do_not_wait(consumers: Vec<KafkaConsumer>) {
    let mut took = Vec::new();
    for (n, consumer) in consumers.into_iter().enumerate() {
        took.push(match n % 2 {
            0 => timed(|| consumer.close().unwrap()).1,
            _ => timed(|| drop(consumer)).1,
        });
    }
    let late = took.iter().filter(|time| **time > support::GRACE).count();
    assert!(late <= 1, "close() and drop took {took:?}");
}
