//! What the user asked for, and how far each partition has been read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use crate::{
    Error, Result,
    client::{cluster::Cluster, metadata::Interest, pattern::TopicPattern},
    consumer::options::OffsetReset,
    types::TopicPartition,
};

/// Names a partition for as long as it stays assigned; assigned anew it has another.
pub type PartitionId = u64;

/// How partitions come to be assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing was asked for.
    #[default]
    None,
    /// `assign`: these partitions.
    Assigned,
    /// `subscribe` without a group: all partitions of these topics.
    Topics(BTreeSet<Arc<str>>),
    /// `subscribe_pattern` without a group: all partitions of the topics that match.
    Pattern {
        /// What they are to match.
        pattern: TopicPattern,
        /// Those that match, as far as they are known.
        topics: BTreeSet<Arc<str>>,
    },
}

/// A partition that is assigned.
#[derive(Clone, Debug)]
pub struct PartitionState {
    /// Which one it is.
    pub partition: TopicPartition,
    /// The offset of the next record to hand out, once it is known.
    pub position: Option<i64>,
    /// The offset to ask for next: ahead of the position by what is buffered.
    pub fetch_offset: Option<i64>,
    /// Where to look for a position.
    pub reset: Option<OffsetReset>,
    /// Not asked about before this.
    pub retry_at: Option<Instant>,
    /// The position was set, by a seek or a reset: somebody waits for what is there.
    pub moved: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Subscriptions {
    mode: Mode,
    policy: OffsetReset,
    states: BTreeMap<PartitionId, PartitionState>,
    ids: BTreeMap<TopicPartition, PartitionId>,
    next_id: PartitionId,
    /// Partitions without a position.
    unresolved: BTreeSet<PartitionId>,
    /// Partitions whose state has changed since [`take_touched`](Self::take_touched).
    touched: BTreeSet<PartitionId>,
}

const EXCLUSIVE: &str = "choose one way to get partitions: subscribe() to topics, subscribe_pattern() or assign() partitions; unsubscribe() comes between them";

impl Subscriptions {
    /// Nothing is asked for yet; `policy` says where partitions begin.
    #[must_use]
    pub fn new(policy: OffsetReset) -> Self {
        Self {
            mode: Mode::None,
            policy,
            states: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_id: 1,
            unresolved: BTreeSet::new(),
            touched: BTreeSet::new(),
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
        self.set_assignment(&BTreeSet::new());
    }

    /// Takes over the partitions that subscribed topics have now.
    pub fn update_from(&mut self, cluster: &Cluster) {
        if let Mode::Pattern { pattern, topics } = &mut self.mode {
            let matching = cluster.topics().filter(|(name, t)| pattern.matches(name, t.internal));
            *topics = matching.map(|(name, _)| name.clone()).collect();
        }
        let Some(topics) = self.subscription() else { return };
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
        let kept = all.iter().filter(|p| p.topic() != topic).cloned().collect();
        self.set_assignment(&kept);
        self.set_assignment(&all);
    }

    /// Moves a partition: what was buffered is no longer wanted, and a reset under way is overtaken.
    ///
    /// # Errors
    /// Where the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<PartitionId> {
        let id = self.id(partition)?;
        self.set_position(id, offset);
        Ok(id)
    }

    /// Gives a partition a position to read from.
    pub fn set_position(&mut self, id: PartitionId, offset: i64) {
        let Some(state) = self.states.get_mut(&id) else { return };
        state.position = Some(offset);
        state.fetch_offset = Some(offset);
        state.reset = None;
        state.retry_at = None;
        state.moved = true;
        self.unresolved.remove(&id);
        self.touched.insert(id);
    }

    /// Records up to here were handed out.
    pub fn advance_position(&mut self, id: PartitionId, offset: i64) {
        if let Some(state) = self.states.get_mut(&id) {
            state.position = Some(offset);
        }
    }

    /// Records up to here are buffered; the rest is asked for later.
    pub fn advance_fetch(&mut self, id: PartitionId, offset: i64) {
        if let Some(state) = self.states.get_mut(&id) {
            state.fetch_offset = Some(offset);
            self.touched.insert(id);
        }
    }

    /// What was buffered is lost: fetches again from the position, not before `retry_at`.
    pub fn refetch(&mut self, id: PartitionId, retry_at: Option<Instant>) {
        if let Some(state) = self.states.get_mut(&id) {
            state.fetch_offset = state.position;
            state.retry_at = retry_at;
            self.touched.insert(id);
        }
    }

    /// Asks no more about a partition until what is queued of it was dealt with.
    pub fn suspend(&mut self, id: PartitionId) {
        if let Some(state) = self.states.get_mut(&id) {
            state.fetch_offset = None;
            self.touched.insert(id);
        }
    }

    /// Leaves a partition alone until `retry_at`.
    pub fn back_off(&mut self, id: PartitionId, retry_at: Instant) {
        if let Some(state) = self.states.get_mut(&id) {
            state.retry_at = Some(retry_at);
            self.touched.insert(id);
        }
    }

    /// Asks about a partition at once: what it was left alone for is over.
    pub fn end_backoff(&mut self, id: PartitionId) {
        if let Some(state) = self.states.get_mut(&id) {
            state.retry_at = None;
            self.touched.insert(id);
        }
    }

    /// The leader says that `offset`, where we are, is not in its log: the policy decides.
    ///
    /// # Errors
    /// Where the policy is `none`; the position stays.
    pub fn out_of_range(&mut self, id: PartitionId, offset: i64) -> Result<()> {
        let Some(state) = self.states.get_mut(&id) else { return Ok(()) };
        if state.position != Some(offset) {
            // Left since, by a seek: goes on from where that went.
            self.refetch(id, None);
            return Ok(());
        }
        if self.policy == OffsetReset::None {
            return Err(Error::OffsetOutOfRange { partition: state.partition.clone(), offset });
        }
        log::info!(target: "kafka_blocking::fetch", "{}: offset {offset} is out of range, resetting to {}", state.partition, self.policy);
        state.reset = Some(self.policy);
        state.fetch_offset = None;
        self.unresolved.insert(id);
        self.touched.insert(id);
        Ok(())
    }

    /// Whether the position was set since the last call.
    pub fn take_moved(&mut self, id: PartitionId) -> bool {
        self.states.get_mut(&id).is_some_and(|state| std::mem::take(&mut state.moved))
    }

    /// The partitions whose state has changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.touched)
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
            Mode::Topics(topics) => Interest::Topics(topics.clone()),
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

    /// A partition that has no position, and no policy that would give it one.
    #[must_use]
    pub fn without_policy(&self) -> Option<&TopicPartition> {
        self.unresolved()
            .find(|(_, s)| s.reset == Some(OffsetReset::None))
            .map(|(_, s)| &s.partition)
    }

    // Helpers

    fn set_assignment(&mut self, wanted: &BTreeSet<TopicPartition>) {
        let dropped: Vec<TopicPartition> =
            self.ids.keys().filter(|p| !wanted.contains(*p)).cloned().collect();
        for partition in dropped {
            if let Some(id) = self.ids.remove(&partition) {
                self.states.remove(&id);
                self.unresolved.remove(&id);
                self.touched.insert(id);
            }
        }
        for partition in wanted {
            if !self.ids.contains_key(partition) {
                let id = self.next_id;
                self.next_id += 1;
                self.ids.insert(partition.clone(), id);
                let (reset, partition) = (Some(self.policy), partition.clone());
                let state = PartitionState {
                    partition,
                    position: None,
                    fetch_offset: None,
                    reset,
                    retry_at: None,
                    moved: false,
                };
                self.states.insert(id, state);
                self.unresolved.insert(id);
                self.touched.insert(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(numbers: &[i32]) -> BTreeSet<TopicPartition> {
        numbers.iter().map(|n| ("t", *n).into()).collect()
    }

    #[test]
    fn assign_replaces_and_keeps_the_position_of_what_stays() {
        let mut s = Subscriptions::new(OffsetReset::Latest);
        s.assign(partitions(&[0, 1])).unwrap();
        let kept = s.seek(&("t", 1).into(), 7).unwrap();
        s.assign(partitions(&[1, 2])).unwrap();
        assert_eq!(s.id(&("t", 1).into()).unwrap(), kept);
        assert_eq!(s.state(kept).unwrap().position, Some(7));
        assert!(s.id(&("t", 0).into()).is_err());
    }

    #[test]
    fn a_partition_assigned_anew_is_another_one() {
        let mut s = Subscriptions::new(OffsetReset::Latest);
        s.assign(partitions(&[0])).unwrap();
        let before = s.id(&("t", 0).into()).unwrap();
        s.assign(partitions(&[])).unwrap();
        s.assign(partitions(&[0])).unwrap();
        assert_ne!(s.id(&("t", 0).into()).unwrap(), before);
    }

    #[test]
    fn fault_237_assign_and_subscribe_exclude_each_other() {
        let mut s = Subscriptions::new(OffsetReset::Latest);
        s.assign(partitions(&[0])).unwrap();
        let topics: BTreeSet<Arc<str>> = ["t".into()].into();
        assert!(matches!(
            s.subscribe(topics.clone(), &Cluster::default()),
            Err(Error::IllegalState(_))
        ));
        let mut s = Subscriptions::new(OffsetReset::Latest);
        s.subscribe(topics.clone(), &Cluster::default()).unwrap();
        assert!(matches!(s.assign(partitions(&[0])), Err(Error::IllegalState(_))));
        let pattern = TopicPattern::new("t", true).unwrap();
        let switch = s.subscribe_pattern(pattern.clone(), &Cluster::default());
        assert!(matches!(switch, Err(Error::IllegalState(_))));
        s.unsubscribe();
        s.subscribe_pattern(pattern, &Cluster::default()).unwrap();
        assert!(matches!(s.subscribe(topics, &Cluster::default()), Err(Error::IllegalState(_))));
        assert!(matches!(s.assign(partitions(&[0])), Err(Error::IllegalState(_))));
    }

    #[test]
    fn out_of_range_follows_the_policy_unless_the_position_was_left_since() {
        let mut s = Subscriptions::new(OffsetReset::Earliest);
        s.assign(partitions(&[0])).unwrap();
        let id = s.seek(&("t", 0).into(), 7).unwrap();
        s.suspend(id);
        s.out_of_range(id, 6).unwrap();
        assert_eq!(s.unresolved().count(), 0);
        assert_eq!(s.state(id).unwrap().fetch_offset, Some(7));
        s.out_of_range(id, 7).unwrap();
        assert_eq!(
            s.unresolved().map(|(_, s)| s.reset).collect::<Vec<_>>(),
            [Some(OffsetReset::Earliest)]
        );
    }

    #[test]
    fn fault_148_out_of_range_without_a_policy_is_an_error_that_keeps_the_position() {
        let mut s = Subscriptions::new(OffsetReset::None);
        s.assign(partitions(&[0])).unwrap();
        let id = s.seek(&("t", 0).into(), 7).unwrap();
        assert!(matches!(s.out_of_range(id, 7), Err(Error::OffsetOutOfRange { offset: 7, .. })));
        assert_eq!(s.state(id).unwrap().position, Some(7));
        assert_eq!(s.state(id).unwrap().fetch_offset, Some(7));
    }
}
