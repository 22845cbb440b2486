//! Reading from a follower that is near, instead of the leader (KIP-392).
//!
//! A leader that is told the consumer's rack may name a follower, and sends no records then. That one is read from for
//! `metadata_max_age_ms`, until the leader changes, or until it fails. A leader that goes on naming a follower that has
//! failed would leave the consumer without records, so it is not told the rack for a while.

use std::time::{Duration, Instant};

use super::{Context, Fetcher, SILENCE};
use crate::{
    client::{NodeKey, Role, cluster::Partition},
    net::connection::later,
    subscriptions::{PartitionId, PartitionState, Replica},
};

/// For how long a follower that has failed is not read from.
const DISTRUST: Duration = Duration::from_secs(30);

impl Fetcher {
    /// Whom to ask for a partition: the follower that its leader named, if it is still good, or the leader.
    pub(super) fn source(
        &mut self,
        id: PartitionId,
        leader: i32,
        state: &PartitionState,
        known: &Partition,
        cx: &Context<'_>,
    ) -> i32 {
        let Some(replica) = state.replica.filter(|r| !r.refused) else { return leader };
        let good = cx.now < replica.until && replica.leader_epoch == known.epoch;
        if !good || !self.is_usable(replica.node, known, cx) {
            return leader;
        }
        self.retries.insert((replica.until, id));
        replica.node
    }

    /// The leader names a follower: reads from that one.
    pub(super) fn follow_preference(
        &mut self,
        leader: i32,
        id: PartitionId,
        node: i32,
        cx: &mut Context<'_>,
    ) {
        let Some(state) = cx.subscriptions.state(id) else { return };
        let known = cx.metadata.cluster().partition(&state.partition);
        let Some(known) = known.filter(|p| p.leader == Some(leader) && node != leader) else {
            return; // No leader, or no news.
        };
        let refused =
            state.replica.is_some_and(|r| r.refused && r.node == node && cx.now < r.until);
        if refused || !self.is_usable(node, known, cx) {
            self.distrust(node, cx.now);
            cx.metadata.request_update();
            // Without the rack it should send records; one that names the same again must not make us spin.
            cx.subscriptions.back_off(id, later(cx.now, self.retry_backoff));
            return;
        }
        log::debug!(target: "kafka_blocking::fetch", "{}: reading from node {node}, as the leader {leader} prefers", state.partition);
        // However small metadata_max_age_ms is.
        let until = later(cx.now, self.replica_max_age.max(SILENCE));
        let replica = Replica { node, until, leader_epoch: known.epoch, refused: false };
        cx.subscriptions.set_replica(id, Some(replica));
    }

    /// A follower does not have what was asked for, or cannot give it: the leader is asked about this partition. Whether it
    /// can be read from otherwise shows when the leader names it again.
    pub(super) fn refuse_follower(&self, id: PartitionId, cx: &mut Context<'_>) {
        let replica = cx.subscriptions.state(id).and_then(|state| state.replica);
        let until = later(cx.now, DISTRUST);
        cx.subscriptions.set_replica(id, replica.map(|r| Replica { until, refused: true, ..r }));
    }

    /// Whether a broker has the partition, as far as is known, and did not fail lately.
    fn is_usable(&self, node: i32, known: &Partition, cx: &Context<'_>) -> bool {
        known.replicas.contains(&node)
            && cx.metadata.cluster().has_broker(node)
            && !self.is_distrusted(node, cx.now)
    }

    /// Reads from the leaders what was read from this follower, because it failed; says whether there was anything.
    pub(super) fn leave_follower(&mut self, node: i32, cx: &mut Context<'_>) -> bool {
        let left = cx.subscriptions.leave_replica(node);
        if left {
            log::debug!(target: "kafka_blocking::fetch", "node {node} fails as a follower: reading from the leaders");
            self.distrust(node, cx.now);
        }
        left
    }

    /// The rack that a broker is told.
    pub(super) fn rack(&self, now: Instant) -> &str {
        if self.distrusted.values().any(|until| now < *until) { "" } else { &self.options.rack }
    }

    fn distrust(&mut self, node: i32, now: Instant) {
        self.distrusted.insert(node, later(now, DISTRUST));
    }

    fn is_distrusted(&self, node: i32, now: Instant) -> bool {
        self.distrusted.get(&node).is_some_and(|until| now < *until)
    }

    /// A follower that is silent is left, and its request given up.
    pub(super) fn give_up_follower(&mut self, node: i32, cx: &mut Context<'_>) -> bool {
        if !self.leave_follower(node, cx) {
            return false;
        }
        if let Some(state) = self.nodes.get_mut(&node) {
            state.flight = None;
            state.session.reset(false);
        }
        cx.client.close_node(
            NodeKey { id: node, role: Role::Fetch },
            cx.now,
            "a silent follower is left for its leader",
        );
        true
    }
}
