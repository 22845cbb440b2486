//! Which node coordinates a group.

use std::{collections::BTreeSet, time::Instant};

use kafka_blocking::ErrorCode;

use crate::state::State;

impl State {
    /// The node that coordinates a group now, if one does: the first node, unless another was set.
    pub(crate) fn coordinator(&self, group_id: &str) -> Option<i32> {
        let node = self.home(group_id)?;
        self.nodes.get(&node).filter(|n| !n.stopped && n.alive).map(|_| node)
    }

    /// Whether a node may answer for a group.
    pub(crate) fn coordinates(&self, node: i32, group_id: &str) -> Result<(), ErrorCode> {
        if self.home(group_id) != Some(node) {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        self.groups.errors.get(group_id).map_or(Ok(()), |code| Err(*code))
    }

    /// A node has died.
    pub(crate) fn stop_coordinating(&mut self, node: i32) {
        self.node_mut(node).stopped = true;
    }

    /// Does what is due in the groups of the nodes that run.
    pub(crate) fn handle_groups(&mut self, paused: &BTreeSet<i32>, now: Instant) {
        for group_id in self.running_groups(paused) {
            self.groups.handle_group(&group_id, now);
        }
    }

    /// When to call [`handle_groups`](Self::handle_groups).
    pub(crate) fn poll_groups(&self, paused: &BTreeSet<i32>) -> Option<Instant> {
        let running = self.running_groups(paused);
        running.iter().filter_map(|group_id| self.groups.poll_timeout(group_id)).min()
    }

    fn running_groups(&self, paused: &BTreeSet<i32>) -> Vec<String> {
        let runs = |id: &&String| self.coordinator(id).is_some_and(|n| !paused.contains(&n));
        self.groups.ids().filter(runs).cloned().collect()
    }

    /// The node that coordinates a group, or would if it ran.
    fn home(&self, group_id: &str) -> Option<i32> {
        let set = self.groups.homes.get(group_id).copied();
        set.or_else(|| self.nodes.keys().next().copied())
    }
}
