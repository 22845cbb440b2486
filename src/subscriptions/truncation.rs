//! Truncated logs (KIP-320): which places a new leader has to confirm, and what its answers mean for them.

use std::collections::BTreeSet;

use super::{
    PartitionId, Place, Subscriptions, Truncation,
    partition::{Judgement, judge},
};
use crate::{client::cluster::Cluster, consumer::options::OffsetReset, types::TopicPartition};

/// So many answers that say the same are believed, when a place is ahead of the leader that they name.
const TRUSTED_ANSWERS: u64 = 2;

impl Subscriptions {
    /// Has places that were read under another leader confirmed by the present one: after a change of the cluster all of
    /// them, otherwise those that have an epoch only now. `answers` counts what metadata came; says whether newer are needed.
    pub fn check_epochs(&mut self, cluster: &Cluster, answers: u64, changed: bool) -> bool {
        let all = if changed { self.states.keys().copied().collect() } else { BTreeSet::new() };
        let mut stale = false;
        for id in self.unchecked.keys().copied().chain(all).collect::<BTreeSet<_>>() {
            let Some(state) = self.states.get(&id) else { continue };
            let Some(known) = cluster.partition(&state.partition) else { continue };
            let place = state.fetch.or(state.position).and_then(|place| place.epoch);
            let ahead = known.epoch.is_some_and(|epoch| place.is_some_and(|place| place > epoch));
            let since = *self.unchecked.entry(id).or_default().get_or_insert(answers);
            if ahead && answers < since + TRUSTED_ANSWERS {
                // An old leader would find that it never heard of the place, and metadata that are old name that one.
                stale = true;
                self.change(id, |state| state.ahead = true);
                continue;
            }
            let validating = known.epoch.filter(|epoch| state.needs_validation(*epoch));
            self.unchecked.remove(&id);
            if state.ahead || validating.is_some() {
                self.change(id, |state| {
                    state.ahead = false;
                    state.told = None;
                    state.validating = validating.or(state.validating);
                });
            }
        }
        stale
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
                state.back_to_position();
                state.voids += 1;
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
