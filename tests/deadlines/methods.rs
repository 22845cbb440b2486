//! The methods that block: how to call each, and what its error has to name when no broker answers.

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{KafkaConsumer, Result, TopicPartition};

/// What `default_api_timeout_ms` is of the consumers here.
pub(crate) const API: Duration = Duration::from_millis(400);

/// A partition that these consumers have assigned, and no position of.
pub(crate) const UNREAD: (&str, i32) = ("t", 1);

/// A method that asks brokers something, and fails with `Error::Timeout` where none answers.
#[derive(Clone, Copy)]
pub(crate) struct Asks {
    /// Its name, and what the error calls it.
    pub(crate) operation: &'static str,
    /// What was asked for.
    pub(crate) subject: &'static str,
    /// Within `default_api_timeout_ms`.
    pub(crate) by_default: fn(&KafkaConsumer) -> Result<()>,
    /// Within a time of its own.
    pub(crate) within: fn(&KafkaConsumer, Duration) -> Result<()>,
}

pub(crate) const ASKS: [Asks; 6] = [
    Asks {
        operation: "position",
        subject: "t-1",
        by_default: |c| c.position(UNREAD).map(drop),
        within: |c, timeout| c.position_timeout(UNREAD, timeout).map(drop),
    },
    Asks {
        operation: "beginning_offsets",
        subject: "t-1",
        by_default: |c| c.beginning_offsets([UNREAD]).map(drop),
        within: |c, timeout| c.beginning_offsets_timeout([UNREAD], timeout).map(drop),
    },
    Asks {
        operation: "end_offsets",
        subject: "t-1",
        by_default: |c| c.end_offsets([UNREAD]).map(drop),
        within: |c, timeout| c.end_offsets_timeout([UNREAD], timeout).map(drop),
    },
    Asks {
        operation: "offsets_for_times",
        subject: "t-1",
        by_default: |c| c.offsets_for_times([(UNREAD, 0)]).map(drop),
        within: |c, timeout| c.offsets_for_times_timeout([(UNREAD, 0)], timeout).map(drop),
    },
    Asks {
        operation: "topics",
        subject: "",
        by_default: |c| c.topics().map(drop),
        within: |c, timeout| c.topics_timeout(timeout).map(drop),
    },
    Asks {
        operation: "partitions_for_topic",
        subject: "far-away",
        by_default: |c| c.partitions_for_topic("far-away").map(drop),
        within: |c, timeout| c.partitions_for_topic_timeout("far-away", timeout).map(drop),
    },
];

/// The methods of members, which wait for their coordinator.
pub(crate) const COMMITS: [Asks; 6] = [
    Asks {
        operation: "commit",
        subject: "",
        by_default: |c| c.commit(),
        within: |c, timeout| c.commit_timeout(timeout),
    },
    Asks {
        operation: "commit",
        subject: "",
        by_default: |c| c.commit_offsets([(("t", 0), 1)]),
        within: |c, timeout| c.commit_offsets_timeout([(("t", 0), 1)], timeout),
    },
    Asks {
        operation: "commit",
        subject: "",
        by_default: |c| c.commit_async()?.wait(),
        within: |c, timeout| c.commit_async()?.wait_timeout(timeout),
    },
    Asks {
        operation: "commit",
        subject: "",
        by_default: |c| c.commit_offsets_async_then([(("t", 0), 1)], |_, _| ())?.wait(),
        within: |c, timeout| c.commit_async_then(|_, _| ())?.wait_timeout(timeout),
    },
    Asks {
        operation: "committed",
        subject: "t-1",
        by_default: |c| c.committed(UNREAD).map(drop),
        within: |c, timeout| c.committed_timeout(UNREAD, timeout).map(drop),
    },
    Asks {
        operation: "committed",
        subject: "t-1",
        by_default: |c| c.committed_metadata(UNREAD).map(drop),
        within: |c, timeout| c.committed_metadata_timeout(UNREAD, timeout).map(drop),
    },
];

/// A method that waits for records; gives whether there were none, which is no error.
#[derive(Clone, Copy)]
pub(crate) struct Reads {
    pub(crate) operation: &'static str,
    pub(crate) within: fn(&KafkaConsumer, Duration) -> Result<bool>,
}

pub(crate) const READS: [Reads; 3] = [
    Reads {
        operation: "poll",
        within: |c, timeout| c.poll(timeout).map(|polled| polled.is_empty()),
    },
    Reads {
        operation: "poll_max",
        within: |c, timeout| c.poll_max(timeout, 1).map(|polled| polled.is_empty()),
    },
    Reads {
        operation: "poll_batch",
        within: |c, timeout| c.poll_batch(timeout).map(|batch| batch.is_none()),
    },
];

/// A method that needs no broker.
pub(crate) type Answers = fn(&KafkaConsumer) -> Result<()>;

pub(crate) const ANSWERS_ALONE: [(&str, Answers); 11] = [
    ("assign", |c| c.assign([("t", 0), UNREAD])),
    ("assignment", |c| c.assignment().map(drop)),
    ("subscription", |c| c.subscription().map(drop)),
    ("position", |c| c.position(("t", 0)).map(|position| assert_eq!(position, 1))),
    ("pause and resume", |c| c.pause([("t", 0)]).and_then(|()| c.resume([("t", 0)]))),
    ("paused", |c| c.paused().map(|paused| assert_eq!(paused, []))),
    ("highwater", |c| c.highwater(("t", 0)).map(|end| assert_eq!(end, Some(1)))),
    ("lag", |c| c.lag(("t", 0)).map(|lag| assert_eq!(lag, Some(0)))),
    ("end_offsets", |c| c.end_offsets(Vec::<TopicPartition>::new()).map(drop)),
    ("partitions_for_topic", |c| {
        c.partitions_for_topic("t").map(|known| assert_eq!(known, Some(BTreeSet::from([0, 1]))))
    }),
    ("seek_to_end", |c| c.seek_to_end([UNREAD])),
];
