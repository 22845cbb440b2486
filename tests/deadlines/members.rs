//! What holds of members of a group on a cluster that has died: every method that blocks, and every way to end.

use std::{
    thread::{self, Scope},
    time::Duration,
};

use kafka_blocking::{ConsumerBuilder, KafkaConsumer, Result};

use crate::{
    dead::{Causes, GIVEN, REQUEST, asking_fails, builder_at, reading_is_empty},
    methods::{API, Asks, COMMITS, READS, Reads},
    support::{GRACE, LONG, ends_within, timed},
};

/// How long `drop` may take.
const DROP: Duration = Duration::from_millis(500);

/// A way to end a membership, how long it may take, and what is left then.
type End = (&'static str, Duration, fn(KafkaConsumer) -> Result<Option<KafkaConsumer>>);

const ENDS: [End; 6] = [
    ("close", REQUEST, |c| c.close().map(|()| Some(c))),
    ("close_timeout", GIVEN, |c| c.close_timeout(GIVEN).map(|()| Some(c))),
    ("close_timeout of no time", Duration::ZERO, |c| {
        c.close_timeout(Duration::ZERO).map(|()| Some(c))
    }),
    ("close_without_commit", GIVEN, |c| c.close_without_commit(GIVEN).map(|()| Some(c))),
    ("unsubscribe", API, |c| c.unsubscribe().map(|()| Some(c))),
    ("drop", DROP, |c| {
        drop(c);
        Ok(None)
    }),
];

/// How many consumers end in each way: a machine that is busy may make one of them late.
const EACH: usize = 2;

/// Builds members at `address`, as [`calls_end_in_time`](crate::dead::calls_end_in_time) does consumers; lets the cluster
/// die, and calls all methods side by side.
pub(crate) fn members_end_in_time(address: &str, die: &mut dyn FnMut(), causes: Causes) {
    let members = Members::at(address);
    die();
    thread::scope(|scope| members.call(scope, address, causes));
}

/// Consumers in groups of their own, built while the cluster lives.
struct Members {
    committing: Vec<(&'static Asks, KafkaConsumer)>,
    reading: Vec<(&'static Reads, KafkaConsumer)>,
    joining: Vec<(&'static Reads, KafkaConsumer)>,
    iterating: KafkaConsumer,
    ending: Vec<(&'static End, Vec<KafkaConsumer>)>,
}

impl Members {
    fn at(address: &str) -> Self {
        let mut group = 0;
        let mut builder = || {
            group += 1;
            builder_at(address).group_id(format!("group-{group}")).topics("t")
        };
        let quiet = |builder: ConsumerBuilder| builder.enable_auto_commit(false);
        Self {
            committing: COMMITS.iter().map(|asks| (asks, member(quiet(builder())))).collect(),
            reading: READS.iter().map(|reads| (reads, member(builder()))).collect(),
            joining: READS.iter().map(|reads| (reads, builder().build().unwrap())).collect(),
            iterating: member(builder()),
            ending: ENDS
                .iter()
                .map(|end| (end, (0..EACH).map(|_| member(builder())).collect()))
                .collect(),
        }
    }

    /// Calls all methods, each on a thread of its own.
    fn call<'scope>(self, scope: &'scope Scope<'scope, '_>, address: &'scope str, causes: Causes) {
        for (asks, consumer) in self.committing {
            scope.spawn(move || asking_fails(asks, consumer, address, causes));
        }
        for (reads, consumer) in self.reading.into_iter().chain(self.joining) {
            scope.spawn(move || reading_is_empty(reads, consumer));
        }
        let iterating = self.iterating;
        scope.spawn(move || {
            let next = ends_within(GIVEN, "next", || iterating.next());
            assert!(next.is_none(), "{next:?}");
        });
        for (end, consumers) in self.ending {
            scope.spawn(move || ends_in_time(end, consumers));
        }
    }
}

/// A member that has read partition 0, and has all of its partitions.
fn member(builder: ConsumerBuilder) -> KafkaConsumer {
    let consumer = builder.build().unwrap();
    assert_eq!(consumer.poll(LONG).unwrap().count(), 1);
    assert_eq!(consumer.assignment().unwrap().len(), 2);
    consumer
}

fn ends_in_time((name, limit, end): &End, consumers: Vec<KafkaConsumer>) {
    let took: Vec<Duration> = consumers
        .into_iter()
        .map(|consumer| {
            let (ended, took) = timed(|| end(consumer));
            drop(ended.unwrap_or_else(|error| panic!("{name}: {error}")));
            took
        })
        .collect();
    assert!(took.iter().any(|took| *took <= *limit + GRACE), "{name} took {took:?}");
}
