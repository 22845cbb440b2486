//! What must come: for each partition, which record is next, and where its position may stand.
//!
//! The rule for positions: a record moves the position of its partition behind it. What is not for the reader (gaps,
//! markers, aborted records) moves it when it is passed, which happens some time before the next record is handed out.
//! So the position stands at or after the offset behind the last record handed out, or where it was set, at or after
//! where it was seen last, and at or before the next visible record; without one, at or before the end of what can be
//! read, or where it was set beyond that. It never goes back but by a seek.

use std::collections::{BTreeMap, BTreeSet};

use kafka_blocking::{Error, OffsetReset, TopicPartition};

use crate::log::Log;

/// Where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here, or behind what of the following is not for the reader.
    At(i64),
    /// Where the log begins, once that was looked up.
    Start,
    /// Where the log ends when that is looked up: not before this offset.
    End(i64),
    /// Here, where the log has nothing, until the broker says so; then the policy decides.
    Outside(i64),
    /// Nowhere: no policy says where.
    Nowhere,
}

/// What a partition that is assigned is at.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) place: Place,
    pub(crate) paused: bool,
}

/// The model of a consumer.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) logs: Vec<Log>,
    pub(crate) assigned: BTreeMap<usize, Reading>,
    policy: OffsetReset,
    /// How many records were handed out.
    pub(crate) count: usize,
}

impl Expected {
    /// Nothing is assigned yet.
    pub(crate) fn new(logs: Vec<Log>, policy: OffsetReset) -> Self {
        Self { logs, assigned: BTreeMap::new(), policy, count: 0 }
    }

    // What the caller does

    /// Partitions that stay keep their places; new ones begin where the policy says.
    pub(crate) fn assign(&mut self, partitions: &[usize]) {
        self.assigned.retain(|n, _| partitions.contains(n));
        for n in partitions {
            let place = self.by_policy(*n);
            self.assigned.entry(*n).or_insert(Reading { place, paused: false });
        }
    }

    pub(crate) fn set_paused(&mut self, partitions: &[usize], paused: bool) {
        for n in partitions {
            self.reading(*n).paused = paused;
        }
    }

    pub(crate) fn seek(&mut self, n: usize, offset: i64) {
        let log = &self.logs[n];
        let inside = (log.start()..=log.end()).contains(&offset);
        self.reading(n).place = if inside { Place::At(offset) } else { Place::Outside(offset) };
    }

    pub(crate) fn seek_to_beginning(&mut self, n: usize) {
        self.reading(n).place = Place::Start;
    }

    pub(crate) fn seek_to_end(&mut self, n: usize) {
        self.reading(n).place = Place::End(self.logs[n].readable_end());
    }

    // What comes of it

    /// Whether a record must come to who waits for one.
    pub(crate) fn must_come(&self) -> bool {
        self.assigned.iter().any(|(n, reading)| {
            let place = match reading.place {
                Place::Outside(_) => self.by_policy(*n),
                place => place,
            };
            let next = match place {
                Place::At(offset) => self.logs[*n].next_visible(offset),
                Place::Start => self.logs[*n].next_visible(self.logs[*n].start()),
                Place::End(_) | Place::Outside(_) | Place::Nowhere => None,
            };
            !reading.paused && next.is_some()
        })
    }

    /// A record came: it must be the next one of its partition.
    pub(crate) fn take(&mut self, partition: &TopicPartition, offset: i64, value: Option<&[u8]>) {
        let n = self.check_next(partition, offset, "a record");
        assert_eq!(value, self.logs[n].value_at(offset), "the value of {partition} at {offset}");
        self.reading(n).place = Place::At(offset + 1);
        self.count += 1;
    }

    /// Whether an error is one that may come, which changes no position.
    pub(crate) fn take_error(&mut self, error: &Error, fails: bool) {
        match error {
            Error::NoOffsetForPartition { partition } => {
                let place = self.reading(self.number(partition)).place;
                assert_eq!(place, Place::Nowhere, "{error}");
            }
            Error::OffsetOutOfRange { partition, offset } => {
                let n = self.number(partition);
                let policy = self.policy;
                let reading = self.reading(n);
                let known = reading.place == Place::Outside(*offset) && !reading.paused;
                assert!(known && policy == OffsetReset::None, "{error}: {reading:?}");
            }
            Error::Deserialization(failed) if fails => {
                let n = self.check_next(&failed.partition, failed.offset, "a failure");
                let value = self.logs[n].value_at(failed.offset);
                assert!(value.is_some(), "null is not for a deserializer: {error}");
                assert_eq!(value, failed.value.as_deref(), "{error}");
            }
            Error::IllegalState(_) => assert!(self.assigned.is_empty(), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    /// The position is here, or is yet to be looked up.
    pub(crate) fn see_position(&mut self, n: usize, position: Option<i64>) {
        let (policy, mut place) = (self.by_policy(n), self.reading(n).place);
        if let Place::Outside(offset) = place {
            if position == Some(offset) {
                return;
            }
            place = policy;
        }
        let log = &self.logs[n];
        let Some(position) = position else {
            let looked_up = matches!(place, Place::Start | Place::End(_));
            assert!(looked_up, "{} has no position, where {place:?} is expected", name(log));
            self.reading(n).place = place;
            return;
        };
        let (low, high) = match place {
            Place::At(low) => (low, high(log, low)),
            Place::Start => (log.start(), high(log, log.start())),
            Place::End(low) => (low, log.readable_end()),
            Place::Outside(_) | Place::Nowhere => {
                panic!("{} is at {position}: {place:?}", name(log))
            }
        };
        assert!(
            (low..=high).contains(&position),
            "the position of {} is {position}, where {low}..={high} is expected: {place:?}",
            name(log)
        );
        self.reading(n).place = Place::At(position);
    }

    // What is known

    /// The partitions that are assigned, in order.
    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.names(|_| true)
    }

    /// Those of them that are paused, in order.
    pub(crate) fn paused(&self) -> Vec<TopicPartition> {
        self.names(|reading| reading.paused)
    }

    /// The name of a partition.
    pub(crate) fn name(&self, n: usize) -> TopicPartition {
        name(&self.logs[n])
    }

    // Helpers

    /// The partition whose next record, as far as it is known, is the one at `offset`.
    fn check_next(&self, partition: &TopicPartition, offset: i64, what: &str) -> usize {
        let n = self.number(partition);
        let (mut place, log) = (self.assigned[&n].place, &self.logs[n]);
        assert!(!self.assigned[&n].paused, "{what} of {partition} at {offset}, which is paused");
        if let Place::Outside(_) = place {
            place = self.by_policy(n);
        }
        let next = match place {
            Place::At(low) => log.next_visible(low),
            Place::Start => log.next_visible(log.start()),
            // The first one behind where the end was then: which one that is was not seen.
            Place::End(low) if offset >= low => log.next_visible(offset),
            Place::End(_) | Place::Outside(_) | Place::Nowhere => None,
        };
        assert_eq!(Some(offset), next, "{what} of {partition}, which is at {place:?}");
        n
    }

    fn by_policy(&self, n: usize) -> Place {
        match self.policy {
            OffsetReset::Earliest => Place::Start,
            OffsetReset::Latest => Place::End(self.logs[n].readable_end()),
            _ => Place::Nowhere,
        }
    }

    /// The number of a partition, which must be assigned.
    pub(crate) fn number(&self, partition: &TopicPartition) -> usize {
        let n = self.logs.iter().position(|log| name(log) == *partition);
        n.filter(|n| self.assigned.contains_key(n))
            .unwrap_or_else(|| panic!("{partition} is not assigned"))
    }

    fn reading(&mut self, n: usize) -> &mut Reading {
        self.assigned.get_mut(&n).unwrap_or_else(|| panic!("{n} is not assigned"))
    }

    fn names(&self, which: impl Fn(&Reading) -> bool) -> Vec<TopicPartition> {
        let chosen = self.assigned.iter().filter(|(_, reading)| which(reading));
        chosen.map(|(n, _)| self.name(*n)).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The last offset at which a position may stand that is at or after `low`.
fn high(log: &Log, low: i64) -> i64 {
    log.next_visible(low).unwrap_or_else(|| log.readable_end().max(low))
}

fn name(log: &Log) -> TopicPartition {
    TopicPartition::new(log.topic, log.partition)
}
