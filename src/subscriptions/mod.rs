//! What the user asked for, and how far each partition has been read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use crate::{
    Error, Result,
    client::{
        KafkaClient,
        cluster::Cluster,
        metadata::{Interest, Metadata},
        pattern::TopicPattern,
    },
    consumer::options::OffsetReset,
    plants::{self, Plant},
    types::TopicPartition,
};

mod group;
mod partition;
mod truncation;

pub use partition::{Marks, PartitionState, Place, Replica, Ticket, Truncation};

/// Names a partition for as long as it stays assigned; assigned anew it has another.
pub type PartitionId = u64;

/// What the machines that read and commit work with.
pub struct Context<'a> {
    /// What is to be read.
    pub subscriptions: &'a mut Subscriptions,
    /// Who leads.
    pub metadata: &'a mut Metadata,
    /// Whom to send to.
    pub client: &'a mut KafkaClient,
    /// The time.
    pub now: Instant,
}

/// How partitions come to be assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing was asked for.
    #[default]
    None,
    /// `assign`: these partitions.
    Assigned,
    /// `subscribe`: partitions of these topics; without a group all of them.
    Topics(BTreeSet<Arc<str>>),
    /// `subscribe_pattern`: partitions of the topics that match; without a group all of them.
    Pattern {
        /// What they are to match.
        pattern: TopicPattern,
        /// Those that match, as far as they are known.
        topics: BTreeSet<Arc<str>>,
    },
}

/// All of it.
#[derive(Debug)]
pub struct Subscriptions {
    mode: Mode,
    policy: OffsetReset,
    /// Whether there is a group: it has committed offsets, and it assigns the partitions of topics.
    group: bool,
    states: BTreeMap<PartitionId, PartitionState>,
    ids: BTreeMap<TopicPartition, PartitionId>,
    next_id: PartitionId,
    /// Partitions without a position, which the policy is to give them.
    unresolved: BTreeSet<PartitionId>,
    /// Partitions without a position, which the group may have committed.
    uncommitted: BTreeSet<PartitionId>,
    /// What was paused when all partitions were revoked: paused again if it comes back.
    paused_before: BTreeSet<TopicPartition>,
    /// Partitions whose state has changed since [`take_touched`](Self::take_touched).
    touched: BTreeSet<PartitionId>,
    /// Partitions whose place has an epoch that is yet to be compared with the leader's, and how many answers of metadata
    /// there were when that was tried first.
    unchecked: BTreeMap<PartitionId, Option<u64>>,
    /// Partitions whose place the leader has to confirm.
    unvalidated: BTreeSet<PartitionId>,
    /// Partitions that can go on only by a seek.
    stuck: BTreeSet<PartitionId>,
    paused: BTreeSet<PartitionId>,
    /// Partitions whose buffers have become void since [`take_voided`](Self::take_voided).
    voided: BTreeSet<PartitionId>,
    /// Partitions that were paused or resumed since [`take_toggled`](Self::take_toggled).
    toggled: BTreeSet<PartitionId>,
}

const EXCLUSIVE: &str = "choose one way to get partitions: subscribe() to topics, subscribe_pattern() or assign() partitions; unsubscribe() comes between them";

impl Subscriptions {
    /// Nothing is asked for yet; `policy` says where partitions begin.
    #[must_use]
    pub fn new(policy: OffsetReset) -> Self {
        Self {
            mode: Mode::None,
            policy,
            group: false,
            states: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_id: 1,
            unresolved: BTreeSet::new(),
            uncommitted: BTreeSet::new(),
            paused_before: BTreeSet::new(),
            touched: BTreeSet::new(),
            unchecked: BTreeMap::new(),
            unvalidated: BTreeSet::new(),
            stuck: BTreeSet::new(),
            paused: BTreeSet::new(),
            voided: BTreeSet::new(),
            toggled: BTreeSet::new(),
        }
    }

    // Commands

    /// Replaces the assignment; partitions that stay keep their position.
    ///
    /// # Errors
    /// After [`subscribe`](Self::subscribe).
    pub fn assign(&mut self, partitions: BTreeSet<TopicPartition>) -> Result<()> {
        if matches!(self.mode, Mode::Topics(_) | Mode::Pattern { .. }) {
            return Err(Error::IllegalState(EXCLUSIVE.into()));
        }
        self.mode = if partitions.is_empty() { Mode::None } else { Mode::Assigned };
        self.set_assignment(&partitions);
        Ok(())
    }

    /// Asks for all partitions of some topics.
    ///
    /// # Errors
    /// After [`assign`](Self::assign) or [`subscribe_pattern`](Self::subscribe_pattern).
    pub fn subscribe(&mut self, topics: BTreeSet<Arc<str>>, cluster: &Cluster) -> Result<()> {
        if !matches!(self.mode, Mode::None | Mode::Topics(_)) {
            return Err(Error::IllegalState(EXCLUSIVE.into()));
        }
        self.mode = Mode::Topics(topics);
        self.update_from(cluster);
        Ok(())
    }

    /// Asks for all partitions of the topics that match.
    ///
    /// # Errors
    /// After [`assign`](Self::assign) or [`subscribe`](Self::subscribe).
    pub fn subscribe_pattern(&mut self, pattern: TopicPattern, cluster: &Cluster) -> Result<()> {
        if !matches!(self.mode, Mode::None | Mode::Pattern { .. }) {
            return Err(Error::IllegalState(EXCLUSIVE.into()));
        }
        self.mode = Mode::Pattern { pattern, topics: BTreeSet::new() };
        self.update_from(cluster);
        Ok(())
    }

    /// Asks for nothing.
    pub fn unsubscribe(&mut self) {
        self.mode = Mode::None;
        self.paused_before.clear();
        self.set_assignment(&BTreeSet::new());
    }

    /// Takes over the partitions that subscribed topics have now; in a group only the topics that match a pattern.
    pub fn update_from(&mut self, cluster: &Cluster) {
        if let Mode::Pattern { pattern, topics } = &mut self.mode {
            // What was looked up and is not there matches nothing.
            let there = cluster.topics().filter(|(_, topic)| topic.is_there());
            let matching = there.filter(|(name, topic)| pattern.matches(name, topic.internal));
            *topics = matching.map(|(name, _)| name.clone()).collect();
        }
        let Some(topics) = self.subscription().filter(|_| !self.group) else { return };
        let mut wanted = BTreeSet::new();
        for name in topics {
            let known = cluster.topic(name).map(|t| &t.partitions);
            wanted.extend(
                known.into_iter().flatten().map(|(n, _)| TopicPartition::new(name.clone(), *n)),
            );
        }
        if !wanted.iter().eq(self.ids.keys()) {
            self.set_assignment(&wanted);
        }
    }

    /// A topic was deleted and made anew: offsets of the old one mean nothing, so its partitions begin where the policy says.
    pub fn restart(&mut self, topic: &str) {
        let all: BTreeSet<TopicPartition> = self.ids.keys().cloned().collect();
        let (old, kept): (BTreeSet<_>, BTreeSet<_>) =
            all.iter().cloned().partition(|p| p.topic() == topic);
        let paused = self.paused().map(|(_, p)| p.clone()).filter(|p| old.contains(p)).collect();
        self.set_assignment(&kept);
        self.set_assignment(&all);
        for id in old.iter().filter_map(|p| self.ids.get(p).copied()).collect::<Vec<_>>() {
            // What was committed was an offset of the old one.
            self.change(id, |state| state.uncommitted = false);
        }
        // All of them are assigned.
        let _ = self.pause(&paused);
    }

    // Positions

    /// Moves a partition: what was buffered is no longer wanted, and a reset under way is overtaken.
    ///
    /// # Errors
    /// Where the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, place: Place) -> Result<()> {
        let id = self.id(partition)?;
        self.change(id, |state| {
            state.go_to(place);
            state.validated = None;
        });
        self.unchecked.insert(id, None);
        Ok(())
    }

    /// Has the position of partitions looked for, at an end of their logs.
    ///
    /// # Errors
    /// Where one is not assigned; none is changed then.
    pub fn seek_to(
        &mut self,
        partitions: &BTreeSet<TopicPartition>,
        end: OffsetReset,
    ) -> Result<()> {
        let ids: Vec<_> = partitions.iter().map(|p| self.id(p)).collect::<Result<_>>()?;
        ids.into_iter().for_each(|id| self.change(id, |state| state.lose_position(end)));
        Ok(())
    }

    /// Gives a partition a position that its leader has named.
    pub fn set_position(&mut self, id: PartitionId, place: Place) {
        self.change(id, |state| state.go_to(place));
    }

    /// Records up to here were handed out.
    pub fn advance_position(&mut self, ticket: Ticket, place: Place) {
        if let Some(state) = self.states.get_mut(&ticket.id).filter(|s| s.voids == ticket.voids) {
            state.position = Some(place);
        }
    }

    /// Records up to here are buffered; the rest is asked for later. The broker that sent them had confirmed our place, as
    /// of this epoch of the leader.
    pub fn advance_fetch(&mut self, id: PartitionId, place: Place, leader_epoch: Option<i32>) {
        let before = self.states.get(&id).and_then(|state| state.fetch?.epoch);
        if before.is_none() && place.epoch.is_some() {
            // What is read may be of a leader that is none any more: there was nothing to ask about when that was noticed.
            self.unchecked.insert(id, None);
        }
        self.change(id, |state| {
            state.fetch = Some(place);
            state.validated = state.validated.max(leader_epoch);
        });
    }

    /// What was buffered is lost: fetches again from the position, not before `retry_at`.
    pub fn refetch(&mut self, id: PartitionId, retry_at: Option<Instant>) {
        self.change(id, |state| {
            state.back_to_position();
            state.retry_at = retry_at;
        });
    }

    /// Drops what is buffered: fetches again from the position.
    pub fn void(&mut self, id: PartitionId) {
        self.change(id, |state| {
            state.back_to_position();
            state.voids += 1;
        });
    }

    /// Asks no more about a partition until what is queued of it was dealt with.
    pub fn suspend(&mut self, id: PartitionId) {
        self.change(id, |state| state.fetch = None);
    }

    /// Leaves a partition alone until `retry_at`.
    pub fn back_off(&mut self, id: PartitionId, retry_at: Instant) {
        self.change(id, |state| state.retry_at = Some(retry_at));
    }

    /// Asks about a partition at once: what it was left alone for is over.
    pub fn end_backoff(&mut self, id: PartitionId) {
        self.change(id, |state| state.retry_at = None);
    }

    /// The leader says that `offset`, where we are, is not in its log: the policy decides.
    ///
    /// # Errors
    /// Where the policy is `none`; the position stays.
    pub fn out_of_range(&mut self, id: PartitionId, offset: i64) -> Result<()> {
        let policy = self.policy;
        let Some(state) = self.states.get(&id) else { return Ok(()) };
        if state.offset() != Some(offset) {
            // Left since, by a seek: goes on from where that went.
            self.refetch(id, None);
            return Ok(());
        }
        if policy == OffsetReset::None {
            return Err(Error::OffsetOutOfRange { partition: state.partition.clone(), offset });
        }
        log::info!(target: "kafka_blocking::fetch", "{}: offset {offset} is out of range, resetting to {policy}", state.partition);
        self.change(id, |state| state.lose_position(policy));
        Ok(())
    }

    // Pausing

    /// Neither fetches nor hands out these partitions from now on; what is buffered is kept.
    ///
    /// # Errors
    /// Where one is not assigned; none is changed then.
    pub fn pause(&mut self, partitions: &BTreeSet<TopicPartition>) -> Result<()> {
        self.toggle(partitions, true)
    }

    /// Goes on with partitions that were paused.
    ///
    /// # Errors
    /// Where one is not assigned; none is changed then.
    pub fn resume(&mut self, partitions: &BTreeSet<TopicPartition>) -> Result<()> {
        self.toggle(partitions, false)
    }

    fn toggle(&mut self, partitions: &BTreeSet<TopicPartition>, paused: bool) -> Result<()> {
        let ids: Vec<_> = partitions.iter().map(|p| self.id(p)).collect::<Result<_>>()?;
        for id in ids {
            if self.is_paused(id) != paused {
                self.toggled.insert(id);
                self.change(id, |state| {
                    state.paused = paused;
                    state.moved |= !paused;
                });
            }
        }
        Ok(())
    }

    /// Whether a partition is paused.
    #[must_use]
    pub fn is_paused(&self, id: PartitionId) -> bool {
        self.paused.contains(&id)
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> impl Iterator<Item = (PartitionId, &TopicPartition)> {
        self.paused.iter().filter_map(|id| Some((*id, &self.states.get(id)?.partition)))
    }

    // What brokers say

    /// Takes over what a broker said of the ends of a log; negative numbers say nothing.
    pub fn set_marks(&mut self, id: PartitionId, marks: Marks) {
        if let Some(state) = self.states.get_mut(&id) {
            let old = state.marks;
            state.marks = Marks {
                high_watermark: marks.high_watermark.or(old.high_watermark),
                last_stable: marks.last_stable.or(old.last_stable),
                log_start: marks.log_start.or(old.log_start),
            };
        }
    }

    /// Reads a partition from this follower from now on, or from its leader.
    pub fn set_replica(&mut self, id: PartitionId, replica: Option<Replica>) {
        self.change(id, |state| state.replica = replica);
    }

    /// Reads from the leaders what was read from this follower; says whether there was anything.
    pub fn leave_replica(&mut self, node: i32) -> bool {
        let there = |state: &PartitionState| state.replica.is_some_and(|r| r.node == node);
        let ids: Vec<_> = self.states.iter().filter(|(_, s)| there(s)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| self.set_replica(*id, None));
        !ids.is_empty()
    }

    // What has changed

    /// Whether somebody waits for a partition since the last call.
    pub fn take_moved(&mut self, id: PartitionId) -> bool {
        self.states.get_mut(&id).is_some_and(|state| std::mem::take(&mut state.moved))
    }

    /// Whether the state of any partition has changed since [`take_touched`](Self::take_touched).
    #[must_use]
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The partitions whose state has changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.touched)
    }

    /// The partitions whose buffers have become void since the last call.
    pub fn take_voided(&mut self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.voided)
    }

    /// The partitions that were paused or resumed since the last call.
    pub fn take_toggled(&mut self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.toggled)
    }

    // What is known

    /// How partitions come to be assigned.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The topics that are subscribed to; `None` while none are.
    #[must_use]
    pub fn subscription(&self) -> Option<&BTreeSet<Arc<str>>> {
        match &self.mode {
            Mode::Topics(topics) | Mode::Pattern { topics, .. } => Some(topics),
            Mode::None | Mode::Assigned => None,
        }
    }

    /// The topics of which metadata is needed.
    #[must_use]
    pub fn topics(&self) -> Interest {
        match &self.mode {
            Mode::Topics(topics) => {
                // In a group partitions of other topics may be left from before, until they are revoked.
                let assigned = self.ids.keys().map(TopicPartition::shared_topic);
                Interest::Topics(topics.iter().chain(assigned).cloned().collect())
            }
            Mode::Pattern { pattern, .. } => Interest::Matching(pattern.clone()),
            Mode::None | Mode::Assigned => {
                Interest::Topics(self.ids.keys().map(|p| p.shared_topic().clone()).collect())
            }
        }
    }

    /// The partitions, in order.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.ids.keys()
    }

    /// The name of an assigned partition.
    ///
    /// # Errors
    /// Where it is not assigned.
    pub fn id(&self, partition: &TopicPartition) -> Result<PartitionId> {
        self.ids.get(partition).copied().ok_or_else(|| {
            Error::IllegalState(format!("{partition} is not assigned to this consumer").into())
        })
    }

    /// The state of a partition, if it is still assigned.
    #[must_use]
    pub fn state(&self, id: PartitionId) -> Option<&PartitionState> {
        self.states.get(&id)
    }

    /// The ids of all partitions.
    pub fn partition_ids(&self) -> impl Iterator<Item = PartitionId> {
        self.states.keys().copied()
    }

    /// The partitions that need a position.
    pub fn unresolved(&self) -> impl Iterator<Item = (PartitionId, &PartitionState)> {
        self.unresolved.iter().filter_map(|id| Some((*id, self.states.get(id)?)))
    }

    /// Why a partition can go on only by a seek: it has no position, or its log was truncated, and no policy says what then.
    #[must_use]
    pub fn stuck(&self) -> Option<Error> {
        self.stuck.iter().find_map(|id| self.stuck_at(*id))
    }

    /// The same of one partition.
    #[must_use]
    pub fn stuck_at(&self, id: PartitionId) -> Option<Error> {
        let state = self.states.get(&id)?;
        let partition = state.partition.clone();
        if let Some(Truncation { position, divergent }) = state.truncation {
            let divergent = divergent.map(|place| place.offset);
            return Some(Error::LogTruncation { partition, offset: position, divergent });
        }
        state.has_no_offset().then_some(Error::NoOffsetForPartition { partition })
    }

    /// Whether what was buffered under a ticket may be handed out still.
    #[must_use]
    pub fn honours(&self, ticket: Ticket) -> bool {
        let state = self.states.get(&ticket.id);
        state.map_or(plants::is(Plant::RecordAfterRevoke), |state| state.voids == ticket.voids)
    }

    // Helpers

    /// Changes the state of a partition; everything that is derived from it follows.
    fn change(&mut self, id: PartitionId, change: impl FnOnce(&mut PartitionState)) {
        let Some(state) = self.states.get_mut(&id) else { return };
        let voids = state.voids;
        change(state);
        set_member(&mut self.unresolved, id, state.reset.is_some() && !state.uncommitted);
        set_member(&mut self.uncommitted, id, state.uncommitted);
        set_member(&mut self.unvalidated, id, state.validating.is_some());
        set_member(&mut self.stuck, id, is_stuck(state));
        set_member(&mut self.paused, id, state.paused);
        if state.voids != voids {
            self.voided.insert(id);
        }
        self.touched.insert(id);
    }

    fn set_assignment(&mut self, wanted: &BTreeSet<TopicPartition>) {
        let dropped: Vec<TopicPartition> =
            self.ids.keys().filter(|p| !wanted.contains(*p)).cloned().collect();
        for partition in dropped {
            if let Some(id) = self.ids.remove(&partition) {
                self.states.remove(&id);
                self.unchecked.remove(&id);
                for set in [
                    &mut self.unresolved,
                    &mut self.uncommitted,
                    &mut self.unvalidated,
                    &mut self.stuck,
                    &mut self.paused,
                ] {
                    set.remove(&id);
                }
                self.touched.insert(id);
                self.voided.insert(id);
            }
        }
        for partition in wanted {
            if !self.ids.contains_key(partition) {
                let id = self.next_id;
                self.next_id += 1;
                self.ids.insert(partition.clone(), id);
                let state = PartitionState::new(partition.clone(), self.policy, self.group);
                self.states.insert(id, state);
                self.change(id, |_| {});
            }
        }
    }
}

fn is_stuck(state: &PartitionState) -> bool {
    state.has_no_offset() || state.truncation.is_some()
}

fn set_member(set: &mut BTreeSet<PartitionId>, id: PartitionId, member: bool) {
    if member {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod truncation_tests;
