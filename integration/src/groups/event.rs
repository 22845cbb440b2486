//! What a member of a group says of itself: an event a line, with the time on the clock that all processes share.
use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::TopicPartition;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Offsets by partition.
pub type PartitionOffsets = BTreeMap<TopicPartition, i64>;

/// Something that happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened on the machine's monotonic clock, which is the same for all its processes.
    pub at: Duration,
    /// The group's generation as the member knew it.
    pub generation: Option<i32>,
    /// What it was.
    pub what: What,
}

/// What can happen to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The program runs and is about to subscribe.
    Started,
    /// The member owns these partitions from the event's time on.
    Assigned {
        /// Only those that it did not own before.
        partitions: Vec<TopicPartition>,
        /// What the group had committed for them; without an entry: nothing.
        committed: PartitionOffsets,
    },
    /// It gave these up, and did nothing more with them after the event's time.
    Revoked(Vec<TopicPartition>),
    /// It was told that these are gone.
    Lost(Vec<TopicPartition>),
    /// A record was handed to the caller.
    Record {
        /// Where it came from.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
        /// Its value as text.
        value: String,
    },
    /// A commit is about to be sent.
    Committing(PartitionOffsets),
    /// The commit was acknowledged.
    Committed(PartitionOffsets),
    /// The commit failed because of a rebalance.
    CommitFailed(PartitionOffsets),
    /// A call failed, and the member ends.
    Error(String),
    /// It is about to leave.
    Closing {
        /// Whether what was handed out is committed on the way; a consumer that is dropped commits nothing.
        commits: bool,
    },
    /// It has left.
    Closed,
    /// The test has killed it.
    Killed,
    /// Its process is gone.
    Ended {
        /// Whether it ended by itself and without an error.
        well: bool,
    },
}

impl Event {
    /// Something that happens now, without a generation.
    pub fn now(what: What) -> Self {
        Self { at: monotonic(), generation: None, what }
    }

    /// What a member printed; a line that is no event is a panic.
    pub fn parse(line: &str) -> Self {
        let told: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("a member said {line:?}: {error}"));
        let what = what(&told).unwrap_or_else(|| panic!("a member said {line:?}"));
        let generation = told["generation"].as_i64().and_then(|n| i32::try_from(n).ok());
        let nanos = told["at"].as_u64().unwrap_or_else(|| panic!("{line:?} has no time"));
        Self { at: Duration::from_nanos(nanos), generation, what }
    }

    /// The line that a member prints.
    pub fn line(&self) -> String {
        let mut told = match &self.what {
            What::Started => json!({"event": "started"}),
            What::Assigned { partitions, committed } => {
                json!({"event": "assigned", "partitions": pairs(partitions), "offsets": triples(committed)})
            }
            What::Revoked(partitions) => {
                json!({"event": "revoked", "partitions": pairs(partitions)})
            }
            What::Lost(partitions) => json!({"event": "lost", "partitions": pairs(partitions)}),
            What::Record { partition, offset, value } => {
                json!({"event": "record", "topic": partition.topic(), "partition": partition.partition(),
                    "offset": offset, "value": value})
            }
            What::Committing(offsets) => {
                json!({"event": "committing", "offsets": triples(offsets)})
            }
            What::Committed(offsets) => json!({"event": "committed", "offsets": triples(offsets)}),
            What::CommitFailed(offsets) => {
                json!({"event": "commit_failed", "offsets": triples(offsets)})
            }
            What::Error(message) => json!({"event": "error", "message": message}),
            What::Closing { commits } => json!({"event": "closing", "commits": commits}),
            What::Closed => json!({"event": "closed"}),
            What::Killed => json!({"event": "killed"}),
            What::Ended { well } => json!({"event": "ended", "well": well}),
        };
        told["at"] = Value::from(u64::try_from(self.at.as_nanos()).expect("for centuries yet"));
        if let Some(generation) = self.generation {
            told["generation"] = Value::from(generation);
        }
        told.to_string()
    }
}

/// The time on the clock that all processes of the machine share.
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).expect("it counts from the start of the machine");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("less than a second"))
}

fn what(told: &Value) -> Option<What> {
    let offsets = || offsets(&told["offsets"]);
    let partitions = || partitions(&told["partitions"]);
    Some(match told["event"].as_str()? {
        "started" => What::Started,
        "assigned" => {
            let committed = if told["offsets"].is_null() { BTreeMap::new() } else { offsets()? };
            What::Assigned { partitions: partitions()?, committed }
        }
        "revoked" => What::Revoked(partitions()?),
        "lost" => What::Lost(partitions()?),
        "record" => What::Record {
            partition: partition(&told["topic"], &told["partition"])?,
            offset: told["offset"].as_i64()?,
            value: told["value"].as_str()?.to_owned(),
        },
        "committing" => What::Committing(offsets()?),
        "committed" => What::Committed(offsets()?),
        "commit_failed" => What::CommitFailed(offsets()?),
        "error" => {
            let class = told["class"].as_str().map(|class| format!("{class}: "));
            What::Error(class.unwrap_or_default() + told["message"].as_str()?)
        }
        "closing" => What::Closing { commits: told["commits"].as_bool().unwrap_or(true) },
        "closed" => What::Closed,
        "killed" => What::Killed,
        "ended" => What::Ended { well: told["well"].as_bool()? },
        _ => return None,
    })
}

fn partitions(told: &Value) -> Option<Vec<TopicPartition>> {
    told.as_array()?.iter().map(|pair| partition(&pair[0], &pair[1])).collect()
}

fn offsets(told: &Value) -> Option<PartitionOffsets> {
    let one = |triple: &Value| Some((partition(&triple[0], &triple[1])?, triple[2].as_i64()?));
    told.as_array()?.iter().map(one).collect()
}

fn partition(topic: &Value, number: &Value) -> Option<TopicPartition> {
    let number = i32::try_from(number.as_i64()?).ok()?;
    Some(TopicPartition::new(topic.as_str()?, number))
}

fn pairs(partitions: &[TopicPartition]) -> Value {
    partitions.iter().map(|partition| json!([partition.topic(), partition.partition()])).collect()
}

fn triples(offsets: &PartitionOffsets) -> Value {
    let triple = |(partition, offset): (&TopicPartition, &i64)| {
        json!([partition.topic(), partition.partition(), offset])
    };
    offsets.iter().map(triple).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_read_as_it_was_written() {
        let p = || TopicPartition::new("t", 3);
        let offsets = || PartitionOffsets::from([(p(), 7)]);
        let all = [
            What::Started,
            What::Assigned { partitions: vec![p()], committed: offsets() },
            What::Revoked(vec![p()]),
            What::Lost(vec![p()]),
            What::Record { partition: p(), offset: 5, value: "v".to_owned() },
            What::Committing(offsets()),
            What::Committed(offsets()),
            What::CommitFailed(offsets()),
            What::Error("no".to_owned()),
            What::Closing { commits: false },
            What::Closed,
            What::Killed,
            What::Ended { well: true },
        ];
        for (number, what) in all.into_iter().enumerate() {
            let generation = (number % 2 == 0).then_some(4);
            let event = Event { at: Duration::new(2, 9), generation, what };
            assert_eq!(Event::parse(&event.line()), event);
        }
    }

    #[test]
    #[should_panic = "a member said"]
    fn a_line_that_is_no_event_is_a_panic() {
        Event::parse(r#"{"at": 1, "event": "assigned"}"#);
    }

    #[test]
    fn the_clock_goes_on() {
        let before = monotonic();
        assert!(monotonic() >= before && before > Duration::ZERO);
    }
}
