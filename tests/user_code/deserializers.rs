//! A deserializer that panics, or calls back: no record is lost by it.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use kafka_blocking::{ConsumerHandle, ConsumerRecords, Error, KafkaConsumer};
use scripted_broker::{Marker, Record, ScriptedBroker};

use crate::support::{self, broker_with, builder};

/// A consumer of numbers.
type Numbers = KafkaConsumer<[u8], i64>;

/// What a deserializer fails with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A partition of numbers, one a batch or all in one.
fn numbers(count: i64, in_one_batch: bool) -> ScriptedBroker {
    let broker = broker_with(2, 0);
    let records: Vec<_> = (0..count).map(|n| Record::value(n.to_string())).collect();
    let size = if in_one_batch { records.len() } else { 1 };
    for batch in records.chunks(size) {
        broker.append("t", 0, batch.to_vec());
    }
    broker
}

/// A consumer whose deserializer is this.
fn deserializing(
    broker: &ScriptedBroker,
    read: impl Fn(i64) -> Result<i64, BoxError> + Send + Sync + 'static,
) -> Numbers {
    let deserializer = move |data: &[u8]| read(std::str::from_utf8(data)?.parse()?);
    let builder = builder(broker.address()).value_deserializer(deserializer);
    let consumer = builder.build().unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    consumer
}

/// Panics when it first sees a number that is divisible by 3.
fn panics_at_first() -> impl Fn(i64) -> Result<i64, BoxError> + Send + Sync {
    let seen = Mutex::new(BTreeSet::new());
    move |n| {
        // Not locked while it panics.
        let new = seen.lock().unwrap().insert(n);
        assert!(n % 3 != 0 || !new, "the deserializer of the test panics, as it shall");
        Ok(n)
    }
}

fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[test]
fn fault_247_a_record_whose_deserializer_panics_in_next_comes_again() {
    for in_one_batch in [true, false] {
        let broker = numbers(10, in_one_batch);
        let consumer = deserializing(&broker, panics_at_first());
        let (mut seen, mut panics) = (Vec::new(), 0);
        while seen.len() < 10 {
            match caught(|| consumer.next()) {
                Some(next) => seen.push(*next.unwrap().unwrap().value().unwrap()),
                None => panics += 1,
            }
            let expected = i64::try_from(seen.len()).unwrap();
            assert_eq!(consumer.position(("t", 0)).unwrap(), expected);
        }
        assert_eq!((seen, panics), ((0..10).collect(), 4));
    }
}

#[test]
fn fault_247_records_that_a_poll_had_in_hand_when_a_deserializer_panicked_come_again() {
    for in_one_batch in [true, false] {
        let broker = numbers(10, in_one_batch);
        let consumer = deserializing(&broker, panics_at_first());
        let (mut seen, mut panics) = (Vec::new(), 0);
        while seen.len() < 10 {
            match caught(|| consumer.poll(support::LONG)) {
                Some(polled) => seen.extend(values(polled.unwrap())),
                None => panics += 1,
            }
            let expected = i64::try_from(seen.len()).unwrap();
            assert_eq!(consumer.position(("t", 0)).unwrap(), expected);
        }
        assert_eq!((seen, panics), ((0..10).collect(), 4));
    }
}

/// Wakes its consumer up at a number, or at all.
fn wakes(broker: &ScriptedBroker, at: impl Fn(i64) -> bool + Send + Sync + 'static) -> Numbers {
    let handle: Arc<OnceLock<ConsumerHandle>> = Arc::default();
    let shared = handle.clone();
    let consumer = deserializing(broker, move |n| {
        if at(n) {
            shared.get().expect("set before anything is read").wakeup();
        }
        Ok(n)
    });
    handle.set(consumer.handle()).unwrap();
    consumer
}

fn values(polled: ConsumerRecords<[u8], i64>) -> impl Iterator<Item = i64> {
    polled.into_records().filter_map(|record| record.into_value())
}

#[test]
fn fault_246_a_deserializer_that_wakes_the_consumer_up_costs_no_record() {
    let broker = numbers(6, true);
    let consumer = wakes(&broker, |_| true);
    let (mut seen, mut woken) = (Vec::new(), 0);
    while seen.len() < 6 {
        match consumer.poll_max(support::LONG, 2) {
            Ok(polled) => seen.extend(values(polled)),
            Err(Error::Wakeup) => woken += 1,
            Err(other) => panic!("{other:?}"),
        }
        match consumer.next().expect("it waits long") {
            Ok(record) => seen.extend(record.into_value()),
            Err(Error::Wakeup) => woken += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    assert!(woken > 0);
}

#[test]
fn fault_183_a_wakeup_while_a_poll_has_records_in_hand_comes_with_the_next_call() {
    let broker = numbers(2, true);
    let consumer = wakes(&broker, |n| n == 1);
    assert_eq!(values(consumer.poll_max(support::LONG, 1).unwrap()).collect::<Vec<_>>(), [0]);
    // What comes behind the records, while other questions are answered, is no record for anybody.
    broker.append_marker("t", 1, 7, Marker::Other(99));
    let before = support::fetches(&broker);
    support::wait_until("the marker is behind the records", || {
        consumer.topics().unwrap();
        support::fetches(&broker) > before
    });
    assert_eq!(values(consumer.poll(support::LONG).unwrap()).collect::<Vec<_>>(), [1]);
    assert!(matches!(consumer.poll(support::LONG), Err(Error::Wakeup)));
    assert_eq!(consumer.position(("t", 0)).unwrap(), 2);
}

thread_local! {
    /// The consumer that a deserializer calls back into: nobody else's, as it is not shared between threads.
    static MINE: RefCell<Option<Rc<Numbers>>> = const { RefCell::new(None) };
}

/// What a deserializer does with the consumer that it works for.
fn call_back(call: impl Fn(&Numbers)) {
    let mine = MINE.with_borrow(Clone::clone);
    call(&mine.expect("set before anything is read"));
}

fn calling_back(
    broker: &ScriptedBroker,
    read: impl Fn(i64) -> Result<i64, BoxError> + Send + Sync + 'static,
) -> Rc<Numbers> {
    let consumer = Rc::new(deserializing(broker, read));
    MINE.set(Some(consumer.clone()));
    consumer
}

#[test]
fn fault_246_a_deserializer_may_call_the_consumer_that_it_works_for() {
    let broker = numbers(6, true);
    let consumer = calling_back(&broker, |n| {
        call_back(|consumer| {
            assert_eq!(consumer.position(("t", 0)).unwrap(), n + 1);
            assert_eq!(consumer.end_offsets([("t", 0)]).unwrap()[&("t", 0).into()], 6);
            if n == 2 {
                consumer.seek(("t", 0), 4).unwrap();
            }
        });
        Ok(n)
    });
    let seen: Vec<_> =
        (0..5).map(|_| consumer.next().unwrap().unwrap().into_value().unwrap()).collect();
    assert_eq!(seen, [0, 1, 2, 4, 5]);
    MINE.set(None);
}

#[test]
fn fault_246_a_record_comes_again_whatever_its_deserializer_called_before_it_failed() {
    let calls: [fn(&Numbers); 4] = [
        |c| drop(c.position(("t", 0))),
        |c| drop(c.end_offsets([("t", 0)])),
        |c| c.pause([("t", 0)]).unwrap(),
        |c| c.pause([("t", 0)]).and_then(|()| c.resume([("t", 0)])).unwrap(),
    ];
    for call in calls {
        let broker = numbers(4, true);
        let due = AtomicBool::new(true);
        let consumer = calling_back(&broker, move |n| {
            if n == 1 && due.swap(false, Ordering::SeqCst) {
                call_back(call);
                return Err("not now".into());
            }
            Ok(n)
        });
        let mut seen = Vec::new();
        while seen.len() < 4 {
            match consumer.next().expect("it waits long") {
                Ok(record) => seen.push(record.into_value().unwrap()),
                Err(Error::Deserialization(error)) => {
                    assert_eq!(error.offset, 1);
                    assert_eq!(consumer.position(("t", 0)).unwrap(), 1);
                    consumer.resume([("t", 0)]).unwrap();
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, [0, 1, 2, 3]);
        MINE.set(None);
    }
}
