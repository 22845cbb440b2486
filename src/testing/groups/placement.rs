//! Which node coordinates a group, and what happens when another one does.

use std::{collections::BTreeSet, time::Instant};

use crate::ErrorCode;

use crate::testing::state::State;

impl State {
    /// The node that coordinates a group now, if one does: the first node, unless another was set.
    #[must_use]
    pub fn coordinator(&self, group_id: &str) -> Option<i32> {
        let node = self.home(group_id)?;
        self.nodes.get(&node).filter(|n| !n.stopped && n.alive).map(|_| node)
    }

    /// Lets another node coordinate a group. It knows what was written down: the last generation that was assigned, and
    /// the offsets.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn set_coordinator(&mut self, group_id: &str, node: i32) {
        assert!(self.nodes.contains_key(&node), "no node {node}");
        if self.home(group_id) != Some(node) {
            self.groups.unload(group_id);
        }
        self.groups.homes.insert(group_id.to_owned(), node);
    }

    /// Whether a node may answer for a group.
    pub(crate) fn coordinates(&self, node: i32, group_id: &str) -> Result<(), ErrorCode> {
        if self.home(group_id) != Some(node) {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        self.groups.error(group_id).map_or(Ok(()), Err)
    }

    /// A node has died.
    pub(crate) fn stop_coordinating(&mut self, node: i32) {
        self.node_mut(node).stopped = true;
        let mut its_groups = self.groups.ids();
        its_groups.retain(|id| self.home(id) == Some(node));
        its_groups.iter().for_each(|group_id| self.groups.unload(group_id));
        let others = self.nodes.range(node + 1..).chain(self.nodes.range(..node));
        let heir = others.into_iter().find(|(_, n)| !n.stopped && n.alive).map(|(id, _)| *id);
        let Some(heir) = heir.filter(|_| self.groups.failover) else { return };
        for group_id in its_groups {
            self.groups.homes.insert(group_id, heir);
        }
        self.groups.homes.values_mut().filter(|home| **home == node).for_each(|home| *home = heir);
        if self.default_home() == Some(node) {
            self.groups.default_home = Some(heir);
        }
    }

    /// Does what is due in the groups of the nodes that run.
    pub(crate) fn handle_groups(&mut self, paused: &BTreeSet<i32>, now: Instant) {
        for group_id in self.running_groups(paused) {
            self.groups.handle_group(&group_id, now);
        }
        while self.act_scripted_members(paused, now) {}
    }

    /// When to call [`handle_groups`](Self::handle_groups).
    pub(crate) fn poll_groups(&self, paused: &BTreeSet<i32>) -> Option<Instant> {
        let running = self.running_groups(paused);
        running.iter().filter_map(|group_id| self.groups.poll_timeout(group_id)).min()
    }

    fn running_groups(&self, paused: &BTreeSet<i32>) -> BTreeSet<String> {
        let mut running = self.groups.ids();
        running.retain(|id| self.runs(id, paused));
        running
    }

    /// Whether a group has a coordinator that does something.
    pub(super) fn runs(&self, group_id: &str, paused: &BTreeSet<i32>) -> bool {
        self.coordinator(group_id).is_some_and(|node| !paused.contains(&node))
    }

    /// The node that coordinates a group, or would if it ran.
    fn home(&self, group_id: &str) -> Option<i32> {
        self.groups.homes.get(group_id).copied().or_else(|| self.default_home())
    }

    fn default_home(&self) -> Option<i32> {
        self.groups.default_home.or_else(|| self.nodes.keys().next().copied())
    }
}
