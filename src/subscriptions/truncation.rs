//! Truncated logs (KIP-320): which places a new leader has to confirm, and what its answers mean for them.

use super::{
    PartitionId, Place, Subscriptions, Truncation,
    partition::{Judgement, judge},
};
use crate::{client::cluster::Cluster, consumer::options::OffsetReset, types::TopicPartition};

impl Subscriptions {
    /// Has places that were read under an earlier leader confirmed by the present one: after a change of the cluster all of
    /// them, otherwise those that a seek has named.
    pub fn check_epochs(&mut self, cluster: &Cluster, changed: bool) {
        let epoch_of = |id: &PartitionId| {
            let state = self.states.get(id)?;
            Some((*id, state, cluster.partition(&state.partition)?.epoch?))
        };
        let all: Vec<_> = if changed {
            self.states.keys().filter_map(epoch_of).collect()
        } else {
            self.unchecked.iter().filter_map(epoch_of).collect()
        };
        let checked: Vec<_> = all.iter().map(|(id, ..)| *id).collect();
        let news: Vec<_> = all
            .into_iter()
            .filter_map(|(id, state, epoch)| state.needs_validation(epoch).then_some((id, epoch)))
            .collect();
        checked.iter().for_each(|id| {
            self.unchecked.remove(id);
        });
        for (id, epoch) in news {
            self.change(id, |state| state.validating = Some(epoch));
        }
    }

    /// The partitions whose leader has to confirm our place, with the epoch to ask about.
    pub fn unvalidated(&self) -> impl Iterator<Item = (PartitionId, &TopicPartition, i32)> {
        self.unvalidated.iter().filter_map(|id| {
            let state = self.states.get(id)?;
            Some((*id, &state.partition, state.fetch?.epoch?))
        })
    }

    /// The leader has answered about `asked` with the largest epoch up to it and its end; `None` where it cannot be asked.
    pub fn validated(&mut self, id: PartitionId, asked: i32, answer: Option<(i32, i64)>) {
        let Some(state) = self.states.get(&id) else { return };
        let (Some(position), Some(fetch), Some(epoch)) =
            (state.position, state.fetch, state.validating)
        else {
            return;
        };
        if fetch.epoch != Some(asked) {
            return; // about an earlier place
        }
        let answer = answer.or(state.told);
        let judgement = answer.map_or(Judgement::Valid, |answer| judge(position, fetch, answer));
        match judgement {
            Judgement::Valid => self.change(id, |state| {
                state.validating = None;
                state.validated = Some(epoch);
                state.told = None;
                if let Some((known, _)) = answer.filter(|(known, _)| *known >= 0) {
                    state.take_epoch(known);
                }
            }),
            Judgement::BufferDoubtful => self.change(id, |state| {
                state.fetch = Some(position);
                state.voids += 1;
                state.told = None;
                // Without an epoch there is nothing to ask about.
                state.validating = state.validating.filter(|_| position.epoch.is_some());
            }),
            Judgement::Truncated(divergent) => self.truncated(id, position, divergent),
        }
    }

    /// A broker found in a fetch that its log parts from ours: has the leader asked, as after an election. Where it cannot be
    /// asked, `told` counts, which is what the leader said of the epoch in the fetch; `None` where a follower did.
    pub fn diverged(&mut self, id: PartitionId, leader_epoch: i32, told: Option<(i32, i64)>) {
        self.change(id, |state| {
            if state.fetch.is_some_and(|place| place.epoch.is_some()) {
                state.validating = Some(leader_epoch);
                state.told = told;
            }
        });
    }

    fn truncated(&mut self, id: PartitionId, position: Place, divergent: Option<Place>) {
        let policy = self.policy;
        let Some(state) = self.states.get(&id) else { return };
        let (partition, offset) = (&state.partition, position.offset);
        match divergent {
            _ if policy == OffsetReset::None => self.change(id, |state| {
                state.truncation = Some(Truncation { position: offset, divergent });
                state.validating = None;
            }),
            Some(place) => {
                log::warn!(target: "kafka_blocking::fetch", "{partition}: the log was truncated: going from offset {offset} back to {}", place.offset);
                self.change(id, |state| state.go_to(place));
            }
            None => {
                log::warn!(target: "kafka_blocking::fetch", "{partition}: the log no longer has what was read before offset {offset}, resetting to {policy}");
                self.change(id, |state| state.lose_position(policy));
            }
        }
    }
}
