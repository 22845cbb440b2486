//! What a group decides: which partitions are assigned, and where they go on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mode, PartitionId, PartitionState, Place, Subscriptions};
use crate::{
    Error, OffsetAndMetadata, Result,
    plants::{self, Plant},
    types::TopicPartition,
};

impl Subscriptions {
    /// There is a group: new partitions go on where it has committed, and it assigns the partitions of topics.
    #[must_use]
    pub fn in_group(mut self, group: bool) -> Self {
        self.group = group;
        self
    }

    /// Whether a group assigns the partitions.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.group && matches!(self.mode, Mode::Topics(_) | Mode::Pattern { .. })
    }

    // The assignment

    /// Replaces the assignment by what the group has decided; partitions that stay keep their positions, and whether they
    /// are paused.
    ///
    /// # Errors
    /// Where a topic is not subscribed to; nothing is changed then.
    pub fn assign_from_group(&mut self, partitions: &BTreeSet<TopicPartition>) -> Result<()> {
        if let Some(stray) = partitions.iter().find(|p| !self.is_subscribed(p)) {
            let why = format!("the group assigned {stray}, whose topic is not subscribed to");
            return Err(Error::IllegalState(why.into()));
        }
        let kept: Vec<_> = partitions.iter().filter_map(|p| self.ids.get(p).copied()).collect();
        self.set_assignment(partitions);
        kept.into_iter().for_each(|id| self.change(id, |state| state.revoking = false));
        let paused = std::mem::take(&mut self.paused_before);
        let paused = paused.into_iter().filter(|p| self.ids.contains_key(p)).collect();
        // All of them are assigned.
        let _ = self.pause(&paused);
        Ok(())
    }

    /// Takes these partitions away, whatever was said of them; what is paused is paused again when it comes back with the
    /// next assignment.
    pub fn take_away(&mut self, partitions: &BTreeSet<TopicPartition>) {
        let paused = self.paused().map(|(_, p)| p.clone()).filter(|p| partitions.contains(p));
        let paused: Vec<_> = paused.collect();
        self.paused_before.extend(paused);
        let left = self.ids.keys().filter(|p| !partitions.contains(*p)).cloned().collect();
        self.set_assignment(&left);
    }

    /// Neither fetches nor hands out these partitions any more: they are about to be revoked. What was buffered is void.
    pub fn begin_revocation(&mut self, partitions: &BTreeSet<TopicPartition>) {
        if plants::is(Plant::RecordAfterRevoke) {
            return;
        }
        for id in partitions.iter().filter_map(|p| self.ids.get(p).copied()).collect::<Vec<_>>() {
            self.void(id);
            self.change(id, |state| state.revoking = true);
        }
    }

    /// Whether a partition's topic is subscribed to.
    #[must_use]
    pub fn is_subscribed(&self, partition: &TopicPartition) -> bool {
        self.subscription().is_some_and(|topics| topics.contains(partition.topic()))
    }

    // Committed offsets

    /// The partitions of which the group has to be asked where they go on.
    pub fn uncommitted(&self) -> impl Iterator<Item = (PartitionId, &PartitionState)> {
        self.uncommitted.iter().filter_map(|id| Some((*id, self.states.get(id)?)))
    }

    /// The group has committed this of a partition, or nothing; a seek that came before counts more.
    pub fn set_committed(&mut self, id: PartitionId, place: Option<Place>) {
        if self.states.get(&id).is_none_or(|state| !state.uncommitted) {
            return;
        }
        match place {
            Some(place) => {
                self.set_position(id, place);
                // The log may have been truncated since.
                self.unchecked.insert(id, None);
            }
            None => self.change(id, |state| state.uncommitted = false),
        }
    }

    /// The positions of all partitions that have one, as they would be committed, with the names of their tenures.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<TopicPartition, (PartitionId, OffsetAndMetadata)> {
        let positions = self.states.iter().filter_map(|(id, state)| {
            let offset = state.offset()?;
            let epoch = state.position.and_then(|place| place.epoch);
            let to_commit = OffsetAndMetadata::new(offset).with_leader_epoch(epoch);
            Some((state.partition.clone(), (*id, to_commit)))
        });
        positions.collect()
    }
}
