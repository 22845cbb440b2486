//! Which node may answer about a partition, and how much of the log it has.

use crate::ErrorCode;

use crate::testing::state::{Follower, Partition, State};

/// A node's copy of a partition.
pub(crate) struct Replica<'a> {
    pub(crate) partition: &'a Partition,
    pub(crate) leads: bool,
    /// Where the copy ends.
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
    /// What a fetch gets of offsets from the high watermark on that only the leader shows.
    pub(crate) ahead: Option<ErrorCode>,
}

impl Replica<'_> {
    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.partition.log.last_stable_offset(self.high_watermark)
    }
}

impl Partition {
    /// The copy of a node, which leads or follows.
    fn replica(&self, node: i32) -> Replica<'_> {
        let (end, high_watermark) = (self.log.end(), self.log.high_watermark());
        let leads = self.leader == Some(node);
        let differs = self.followers.get(&node).filter(|_| !leads);
        let Some(Follower { end: own_end, high_watermark: own_mark, ahead, .. }) = differs else {
            return Replica { partition: self, leads, end, high_watermark, ahead: None };
        };
        let end = own_end.map_or(end, |own| own.min(end));
        let high_watermark = own_mark.map_or(high_watermark, |own| own.min(high_watermark));
        Replica {
            partition: self,
            leads,
            end,
            high_watermark: high_watermark.min(end),
            ahead: *ahead,
        }
    }
}

impl State {
    /// The copy of a partition's leader, if `node` is it.
    pub(crate) fn leading(
        &self,
        node: i32,
        topic: &str,
        partition: i32,
        epoch: i32,
    ) -> Result<Replica<'_>, ErrorCode> {
        let replica = self.replica(node, topic, partition, epoch)?;
        if replica.leads { Ok(replica) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }

    /// The copy of a node, whether it leads or follows, for a request that names a leader's epoch.
    pub(crate) fn replica(
        &self,
        node: i32,
        topic: &str,
        partition: i32,
        epoch: i32,
    ) -> Result<Replica<'_>, ErrorCode> {
        if let Some(code) = self.topic_errors.get(topic) {
            return Err(*code);
        }
        let found =
            self.partition(topic, partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if found.leader != Some(node) && !found.replicas.contains(&node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if epoch >= 0 && epoch < found.epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if epoch > found.epoch {
            return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        Ok(found.replica(node))
    }

    /// The replica in a rack that a consumer should fetch an offset from in place of the leader.
    pub(crate) fn preferred_replica(
        &self,
        leader: &Partition,
        rack: &str,
        offset: i64,
    ) -> Option<i32> {
        if !self.rack_aware || rack.is_empty() {
            return None;
        }
        let near = leader.replicas.iter().chain(&leader.leader).filter(|id| {
            let node = self.nodes.get(id).filter(|node| node.alive);
            node.is_some_and(|node| node.rack.as_deref() == Some(rack))
        });
        // A leader that is near is as good as any other.
        if near.clone().any(|id| leader.leader == Some(*id)) {
            return None;
        }
        near.filter(|id| leader.in_sync(**id))
            .map(|id| (leader.replica(*id).end, *id))
            .filter(|(end, _)| (leader.log.start()..=*end).contains(&offset))
            .max()
            .map(|(_, id)| id)
    }
}

impl Partition {
    pub(crate) fn in_sync(&self, node: i32) -> bool {
        !self.followers.get(&node).is_some_and(|follower| follower.out_of_sync)
    }
}
