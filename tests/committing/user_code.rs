//! What listeners and callbacks may call of the consumer that calls them, what they may not, and on which thread that is.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use kafka_blocking::{
    ALL_ASSIGNED, BoxError, ConsumerRebalanceListener, Error, KafkaConsumer, PendingCommit, Raw,
    TopicPartition,
    protocol::{heartbeat::HeartbeatRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::MemberScript;

use crate::{
    GROUP, builder, committed, count, manual,
    support::{LONG, append, broker_with, ends_within, take, wait_until},
};

/// A listener that is told by closures.
struct Told<A, R> {
    assigned: A,
    revoked: R,
}

impl<A, R> ConsumerRebalanceListener for Told<A, R>
where
    A: FnMut(&KafkaConsumer, &[TopicPartition]) -> Result<(), BoxError> + Send,
    R: FnMut(&KafkaConsumer, &[TopicPartition]) -> Result<(), BoxError> + Send,
{
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        (self.assigned)(consumer, partitions)
    }

    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        (self.revoked)(consumer, partitions)
    }
}

/// Everything that a listener and a callback may do.
fn call_everything(
    consumer: &KafkaConsumer,
    partitions: &[TopicPartition],
) -> Result<(), BoxError> {
    for partition in partitions {
        consumer.position(partition)?;
        consumer.committed(partition)?;
        consumer.committed_metadata(partition)?;
        consumer.highwater(partition)?;
        consumer.lag(partition)?;
        consumer.pause([partition.clone()])?;
        consumer.resume([partition.clone()])?;
        consumer.seek(partition, consumer.position(partition)?)?;
    }
    consumer.commit()?;
    consumer.commit_async()?.wait()?;
    consumer.commit_async_then(|_, result| assert!(result.is_ok()))?;
    consumer.commit_offsets(partitions.iter().map(|p| (p.clone(), 0)))?;
    consumer.commit()?;
    consumer.end_offsets(partitions.to_vec())?;
    consumer.beginning_offsets(partitions.to_vec())?;
    consumer.offsets_for_times(partitions.iter().map(|p| (p.clone(), 0)))?;
    consumer.topics()?;
    consumer.partitions_for_topic("t")?;
    consumer.subscription()?;
    consumer.paused()?;
    consumer.group_metadata()?;
    Ok(())
}

/// Whatever would read, end or join from inside a callback is an error of the caller's.
fn call_what_is_refused(consumer: &KafkaConsumer) -> Result<(), BoxError> {
    let refused = [
        consumer.poll(Duration::ZERO).map(drop),
        consumer.poll(LONG).map(drop),
        consumer.poll_max(LONG, 1).map(drop),
        consumer.poll_batch(LONG).map(drop),
        consumer.next().expect("an error").map(drop),
        consumer.unsubscribe(),
        consumer.close(),
        consumer.close_without_commit(LONG),
    ];
    for (n, result) in refused.iter().enumerate() {
        if !matches!(result, Err(Error::IllegalState(_))) {
            return Err(format!("call {n} inside a callback: {result:?}").into());
        }
    }
    Ok(())
}

#[test]
fn fault_246_a_listener_may_call_whatever_does_not_read() {
    let broker = broker_with(2, 4);
    let consumer = builder(&broker).enable_auto_commit(false).build().unwrap();
    let everything = |c: &KafkaConsumer, p: &[TopicPartition]| {
        assert_eq!(c.assignment()?.len(), 2);
        call_everything(c, p)?;
        call_what_is_refused(c)
    };
    consumer.subscribe_with(["t"], Told { assigned: everything, revoked: everything }).unwrap();
    take(&consumer, 8);
    consumer.enforce_rebalance("the test wants one").unwrap();
    append(&broker, 0, 1);
    // What it committed there is where the next generation begins.
    assert_eq!(take(&consumer, 1)[0].offset(), 4);
    consumer.close().unwrap();
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(5), Some(4)));
}

#[test]
fn fault_246_a_listener_may_subscribe_to_something_else_and_replace_itself() {
    let broker = broker_with(1, 2);
    broker.create_topic("u", 1);
    broker.append("u", 0, ["a", "b"]);
    let consumer = builder(&broker).enable_auto_commit(false).build().unwrap();
    let (told, heard) = mpsc::channel();
    let second = Told {
        assigned: move |_: &KafkaConsumer, p: &[TopicPartition]| {
            told.send(p.to_vec())?;
            Ok(())
        },
        revoked: |_: &KafkaConsumer, _: &[TopicPartition]| Ok(()),
    };
    let mut second = Some(second);
    let first = Told {
        assigned: move |c: &KafkaConsumer, _: &[TopicPartition]| match second.take() {
            Some(second) => Ok(c.subscribe_with(["u"], second)?),
            None => Err("it was replaced".into()),
        },
        revoked: |_: &KafkaConsumer, _: &[TopicPartition]| Ok(()),
    };
    consumer.subscribe_with(["t"], first).unwrap();
    wait_until("the other topic", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap() == [("u", 0).into()]
    });
    assert_eq!(heard.try_iter().last(), Some(vec![("u", 0).into()]));
}

#[test]
fn fault_246_a_commits_callback_may_use_the_handle_and_is_not_borrowed_from() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let handle = consumer.handle();
    consumer
        .commit_async_then(move |_, result| {
            result.unwrap();
            handle.wakeup();
        })
        .unwrap();
    // The wake-up is not lost, and costs nothing.
    wait_until("the callback's wake-up", || match consumer.poll(Duration::from_millis(5)) {
        Err(Error::Wakeup) => true,
        other => {
            other.unwrap();
            false
        }
    });
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 3);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a listener that takes its time sleeps")]
fn fault_246_a_listener_that_takes_longer_than_the_poll_interval_stays_in_the_group() {
    let broker = broker_with(2, 2);
    let consumer = builder(&broker)
        .enable_auto_commit(false)
        .max_poll_interval_ms(80)
        .session_timeout_ms(10_000)
        .build()
        .unwrap();
    let slow = |_: &KafkaConsumer, _: &[TopicPartition]| {
        // Time in here is not time away from the group.
        thread::sleep(Duration::from_millis(200));
        Ok(())
    };
    consumer.subscribe_with(["t"], Told { assigned: slow, revoked: slow }).unwrap();
    take(&consumer, 4);
    let standing = consumer.group_metadata().unwrap();
    assert_eq!(standing.generation_id, 1);
    consumer.commit().unwrap();
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(2), Some(2)));
}

// Threads

#[test]
fn fault_243_a_member_moves_to_another_thread_with_its_listener_and_its_callbacks() {
    static_assertions::assert_impl_all!(KafkaConsumer: Send);
    static_assertions::assert_not_impl_any!(KafkaConsumer: Sync);
    static_assertions::assert_not_impl_any!(PendingCommit<'static, Raw, Raw>: Send, Sync);
    let broker = broker_with(2, 4);
    let consumer = builder(&broker).enable_auto_commit(false).build().unwrap();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let note = |threads: &Arc<Mutex<Vec<_>>>| {
        let threads = threads.clone();
        move |_: &KafkaConsumer, _: &[TopicPartition]| {
            threads.lock().unwrap().push(thread::current().id());
            Ok(())
        }
    };
    consumer
        .subscribe_with(["t"], Told { assigned: note(&threads), revoked: note(&threads) })
        .unwrap();
    take(&consumer, 8);
    let here = thread::current().id();
    let callback_thread = Arc::new(Mutex::new(None));
    let place = callback_thread.clone();
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(20));
    consumer
        .commit_async_then(move |_, result| {
            result.unwrap();
            *place.lock().unwrap() = Some(thread::current().id());
        })
        .unwrap();
    // Nobody has it for a while, and its membership is kept.
    let before = count::<HeartbeatRequest>(&broker);
    wait_until("heartbeats", || count::<HeartbeatRequest>(&broker) > before + 2);
    let there = thread::spawn(move || {
        consumer.commit().unwrap();
        consumer.close().unwrap();
        thread::current().id()
    });
    let there = there.join().unwrap();
    assert_eq!(*threads.lock().unwrap(), [here, there]);
    assert_eq!(*callback_thread.lock().unwrap(), Some(there));
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(4), Some(4)));
}

// The end

#[test]
fn fault_244_a_member_that_was_closed_says_so_in_every_call_and_leaves_once() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let pending = consumer.commit_async().unwrap();
    consumer.close().unwrap();
    consumer.close().unwrap();
    consumer.close_timeout(LONG).unwrap();
    consumer.close_without_commit(LONG).unwrap();
    // Its outcome is known still.
    pending.wait().unwrap();
    type Call = fn(&KafkaConsumer) -> Result<(), Error>;
    let calls: [(&str, Call); 14] = [
        ("commit", |c| c.commit()),
        ("commit_timeout", |c| c.commit_timeout(LONG)),
        ("commit_offsets", |c| c.commit_offsets([(("t", 0), 1)])),
        ("commit_async", |c| c.commit_async().map(drop)),
        ("commit_async_then", |c| c.commit_async_then(|_, _| panic!("never")).map(drop)),
        ("commit_offsets_async", |c| c.commit_offsets_async([(("t", 0), 1)]).map(drop)),
        ("committed", |c| c.committed(("t", 0)).map(drop)),
        ("committed_metadata", |c| c.committed_metadata(("t", 0)).map(drop)),
        ("group_metadata", |c| c.group_metadata().map(drop)),
        ("enforce_rebalance", |c| c.enforce_rebalance("why not")),
        ("unsubscribe", |c| c.unsubscribe()),
        ("subscribe", |c| c.subscribe(["t"])),
        ("seek_to_end", |c| c.seek_to_end(ALL_ASSIGNED)),
        ("poll", |c| c.poll(LONG).map(drop)),
    ];
    for (name, call) in calls {
        let error = ends_within(Duration::ZERO, name, || call(&consumer)).unwrap_err();
        assert!(matches!(error, Error::Closed), "{name}: {error:?}");
    }
    drop(pending);
    drop(consumer);
    let leaves = count::<kafka_blocking::protocol::leave_group::LeaveGroupRequest>(&broker);
    assert_eq!(leaves, 1);
}

#[test]
fn fault_244_a_member_that_unsubscribes_twice_leaves_once_and_can_come_back() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    consumer.unsubscribe().unwrap();
    consumer.unsubscribe().unwrap();
    assert_eq!(broker.group(GROUP).view().members.len(), 0);
    broker.group(GROUP).add(MemberScript::new(["t"]));
    assert_eq!(consumer.committed(("t", 0)).unwrap(), None);
    consumer.subscribe(["t"]).unwrap();
    wait_until("two members", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        broker.group(GROUP).view().is_stable_with(2)
    });
}
