//! Reading from a follower that is near, instead of the leader (KIP-392).
//!
//! A leader that is told the consumer's rack may name a follower, and sends no records then. That one is read from for
//! `metadata_max_age_ms`, until the leader changes, or until it fails. A leader that goes on naming a follower that has
//! failed would leave the consumer without records, so it is not told the rack for a while.

use std::time::{Duration, Instant};

use super::{Context, Fetcher};
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
        let Some(replica) = state.replica else { return leader };
        let good = cx.now < replica.until
            && replica.leader_epoch == known.epoch
            && known.replicas.contains(&replica.node)
            && cx.metadata.cluster().has_broker(replica.node)
            && !self.is_distrusted(replica.node, cx.now);
        if !good {
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
        let leader_epoch = known.and_then(|p| p.epoch);
        if known.is_none_or(|p| p.leader != Some(leader)) || node == leader {
            return; // No leader, or no news.
        }
        if self.is_distrusted(node, cx.now) || !cx.metadata.cluster().has_broker(node) {
            self.distrust(node, cx.now);
            cx.metadata.request_update();
            // Without the rack it should send records; one that names the same again must not make us spin.
            cx.subscriptions.back_off(id, later(cx.now, self.retry_backoff));
            return;
        }
        log::debug!(target: "kafka_blocking::fetch", "{}: reading from node {node}, as the leader {leader} prefers", state.partition);
        let until = later(cx.now, self.replica_max_age);
        cx.subscriptions.set_replica(id, Some(Replica { node, until, leader_epoch }));
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
