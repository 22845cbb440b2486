//! How far one partition has been read, and what is known of its log.

use std::time::Instant;

use super::PartitionId;
use crate::{consumer::options::OffsetReset, types::TopicPartition};

/// A place in a log: the offset of a record, and the leader's epoch of the record before it, where that is known.
///
/// The epoch is what tells a log that was truncated, and written anew, from the one that was read (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The offset.
    pub offset: i64,
    /// The epoch.
    pub epoch: Option<i32>,
}

/// What brokers said last of the ends of a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The end of what is replicated.
    pub high_watermark: Option<i64>,
    /// The end of what is decided: no transaction is open before it.
    pub last_stable: Option<i64>,
    /// The first offset.
    pub log_start: Option<i64>,
}

/// A follower that is read from instead of the leader (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The broker.
    pub node: i32,
    /// When to ask the leader again.
    pub until: Instant,
    /// The leader's epoch in which it was named.
    pub leader_epoch: Option<i32>,
    /// It did not have what was asked for: not to be read from, and not to be named again.
    pub refused: bool,
}

/// A log that parts from what was read: what was read last is no longer in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Where we are.
    pub position: i64,
    /// Where the logs part, if the leader can tell.
    pub divergent: Option<Place>,
}

/// A partition that is assigned.
#[derive(Clone, Debug)]
pub struct PartitionState {
    /// Which one it is.
    pub partition: TopicPartition,
    /// What the next record handed out is at or after, once it is known.
    pub position: Option<Place>,
    /// What to ask for next: ahead of the position by what is buffered.
    pub fetch: Option<Place>,
    /// Where to look for a position; the one before, if there is any, counts no longer.
    pub reset: Option<OffsetReset>,
    /// Whether the group is to be asked first where it goes on.
    pub uncommitted: bool,
    /// Neither asked for nor handed out, until it is known whether it stays.
    pub revoking: bool,
    /// Not asked about before this.
    pub retry_at: Option<Instant>,
    /// Somebody waits for what is there: the position was set by a seek or a reset, or the partition was resumed.
    pub moved: bool,
    /// How often what was buffered has become void: buffers of an earlier count are not handed out.
    pub voids: u64,
    /// Neither asked for nor handed out.
    pub paused: bool,
    /// The ends of the log.
    pub marks: Marks,
    /// The leader's epoch that has to be asked whether the place is still in its log.
    pub validating: Option<i32>,
    /// The leader's epoch that was asked so last.
    pub validated: Option<i32>,
    /// The place was read under a later epoch than that of the leader which metadata name: they are too old to go by.
    pub ahead: bool,
    /// What the leader has told in a fetch of the epoch to ask about, and its end: counts where it cannot be asked.
    pub told: Option<(i32, i64)>,
    /// What came of it, where no policy says how to go on.
    pub truncation: Option<Truncation>,
    /// Whom to read from instead of the leader.
    pub replica: Option<Replica>,
}

impl PartitionState {
    pub(super) fn new(partition: TopicPartition, policy: OffsetReset, uncommitted: bool) -> Self {
        Self {
            partition,
            position: None,
            fetch: None,
            reset: Some(policy),
            uncommitted,
            revoking: false,
            retry_at: None,
            moved: false,
            voids: 0,
            paused: false,
            marks: Marks::default(),
            validating: None,
            validated: None,
            ahead: false,
            told: None,
            truncation: None,
            replica: None,
        }
    }

    /// The offset of the next record to hand out, unless it is yet to be found out.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        self.position.filter(|_| self.reset.is_none()).map(|place| place.offset)
    }

    /// The offset to ask for next.
    #[must_use]
    pub fn fetch_offset(&self) -> Option<i64> {
        self.fetch.map(|place| place.offset)
    }

    /// The offset and epoch to ask for, if it is the time for it.
    #[must_use]
    pub fn wanted(&self) -> Option<Place> {
        let unsure = self.validating.is_some() || self.ahead || self.truncation.is_some();
        let held = unsure || self.revoking;
        self.fetch.filter(|_| !held)
    }

    /// Whether nothing says where to go on.
    pub(super) fn has_no_offset(&self) -> bool {
        self.reset == Some(OffsetReset::None) && !self.uncommitted
    }

    /// Goes on from a place that was not reached by reading: what is buffered is void.
    pub(super) fn go_to(&mut self, place: Place) {
        self.leave();
        self.position = Some(place);
        self.fetch = Some(place);
        self.reset = None;
        self.moved = true;
    }

    /// Has the position looked for; the one before counts no longer.
    pub(super) fn lose_position(&mut self, policy: OffsetReset) {
        self.leave();
        self.fetch = None;
        self.reset = Some(policy);
    }

    /// Forgets what was buffered, found out and waited for at the place where it was.
    fn leave(&mut self) {
        self.voids += 1;
        self.uncommitted = false;
        self.retry_at = None;
        self.validating = None;
        self.ahead = false;
        self.told = None;
        self.truncation = None;
        self.replica = None;
    }

    /// Has what comes after the position fetched again.
    pub(super) fn back_to_position(&mut self) {
        // While a position is looked for, there is nothing to fetch from.
        self.fetch = self.position.filter(|_| self.reset.is_none());
        // What was said was said of what was fetched ahead; without an epoch there is nothing to ask about.
        self.told = None;
        let epoch = self.fetch.and_then(|place| place.epoch);
        self.validating = self.validating.filter(|_| epoch.is_some());
    }

    /// The leader knows what we read under another epoch: one in which nothing was written, as the end of a log may have, is
    /// forgotten with its leader. A fetch that named it would be told again and again that the logs part.
    pub(super) fn take_epoch(&mut self, epoch: i32) {
        let fetch = self.fetch.map(|place| place.offset);
        for place in [&mut self.fetch, &mut self.position].into_iter().flatten() {
            if Some(place.offset) == fetch {
                place.epoch = Some(epoch);
            }
        }
    }

    /// The leader's epoch is `leader_epoch`: says whether it has to be asked about our place, which another one had.
    pub(super) fn needs_validation(&self, leader_epoch: i32) -> bool {
        let asked = self.validating.or(self.validated);
        self.fetch
            .or(self.position)
            .and_then(|place| place.epoch)
            .is_some_and(|epoch| epoch != leader_epoch)
            && asked.is_none_or(|asked| asked < leader_epoch)
    }
}

/// What a leader's answer about the end of an epoch means for a place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The leader has what was read.
    Valid,
    /// What is buffered may not be in the leader's log: to be dropped, and the position to be asked about.
    BufferDoubtful,
    /// The log parts from what was handed out, here if the leader can tell.
    Truncated(Option<Place>),
}

/// Judges an answer about the epoch of `fetch`: `epoch` is the largest one up to that which the leader had, and `end`
/// where it ended. Negative numbers stand for "not known".
pub(super) fn judge(position: Place, fetch: Place, (epoch, end): (i32, i64)) -> Judgement {
    if fetch.epoch == Some(epoch) && end >= fetch.offset {
        return Judgement::Valid;
    }
    if fetch.offset != position.offset {
        return Judgement::BufferDoubtful;
    }
    if epoch < 0 || end < 0 {
        return Judgement::Truncated(None);
    }
    if end < position.offset {
        return Judgement::Truncated(Some(Place { offset: end, epoch: Some(epoch) }));
    }
    Judgement::Valid
}

/// What a caller reads of a partition that changed meanwhile: which one, and up to which count of voids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The partition.
    pub id: PartitionId,
    /// The count of its voids when the buffer was made.
    pub voids: u64,
}
