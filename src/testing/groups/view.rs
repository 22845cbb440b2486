//! What a test sees of a group.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    TopicPartition,
    protocol::{
        consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription,
    },
};

use super::{
    group::{Group, GroupState},
    member::Member,
    offsets::CommittedOffset,
};

/// A group, as it is at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its state; `Dead` where there is no such group.
    pub state: GroupState,
    /// How often it has been assigned anew, or become empty.
    pub generation: i32,
    /// The type of its protocols, such as `consumer`.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen, such as `range`.
    pub protocol: Option<String>,
    /// The id of the member that assigns.
    pub leader: Option<String>,
    /// Its members, in the order in which they came.
    pub members: Vec<MemberView>,
    /// The ids that were given out to members that have not come back with them.
    pub pending: Vec<String>,
    /// What was committed.
    pub offsets: BTreeMap<TopicPartition, CommittedOffset>,
}

/// A member, as it is at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its id.
    pub id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// How long its session lasts without a heartbeat.
    pub session_timeout: Duration,
    /// How long a rebalance waits for it.
    pub rebalance_timeout: Duration,
    /// Its protocols with its subscription for each.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// The bytes that the leader has given it.
    pub assignment: Vec<u8>,
    /// Whether its JoinGroup waits for an answer.
    pub is_joining: bool,
    /// Whether its SyncGroup waits for an answer.
    pub is_syncing: bool,
}

impl GroupView {
    /// The member with an id.
    #[must_use]
    pub fn member(&self, id: &str) -> Option<&MemberView> {
        self.members.iter().find(|m| m.id == id)
    }

    /// The members of a client.
    pub fn members_of(&self, client_id: &str) -> impl Iterator<Item = &MemberView> {
        self.members.iter().filter(move |m| m.client_id == client_id)
    }

    /// Whether it is stable with so many members.
    #[must_use]
    pub fn is_stable_with(&self, members: usize) -> bool {
        self.state == GroupState::Stable && self.members.len() == members
    }

    /// The offset that was committed for a partition.
    #[must_use]
    pub fn committed(&self, partition: impl Into<TopicPartition>) -> Option<i64> {
        self.offsets.get(&partition.into()).map(|committed| committed.offset)
    }

    pub(super) fn of(group: Option<&Group>) -> Self {
        let none = Group { state: GroupState::Dead, ..Group::default() };
        let group = group.unwrap_or(&none);
        let offsets = group.offsets.iter().map(|((topic, partition), committed)| {
            (TopicPartition::from((topic.as_str(), *partition)), committed.clone())
        });
        Self {
            state: group.state,
            generation: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            leader: group.leader.clone(),
            members: group.members.iter().map(MemberView::of).collect(),
            pending: group.pending.keys().cloned().collect(),
            offsets: offsets.collect(),
        }
    }
}

/// One line for the group, and one for each member and offset.
impl fmt::Display for GroupView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.as_deref().unwrap_or("no protocol");
        write!(f, "{:?}, generation {}, {protocol}", self.state, self.generation)?;
        for member in &self.members {
            let role = if self.leader.as_ref() == Some(&member.id) { "leader" } else { "member" };
            write!(f, "\n  {role} {}", member.id)?;
            let assigned: Vec<String> =
                member.partitions().iter().map(ToString::to_string).collect();
            write!(f, ": {}", assigned.join(", "))?;
            f.write_str(if member.is_joining { " (joining)" } else { "" })?;
            f.write_str(if member.is_syncing { " (syncing)" } else { "" })?;
        }
        for id in &self.pending {
            write!(f, "\n  pending {id}")?;
        }
        for (partition, committed) in &self.offsets {
            let CommittedOffset { offset, leader_epoch, metadata } = committed;
            write!(f, "\n  committed {partition}: {offset}, epoch {leader_epoch:?}, {metadata:?}")?;
        }
        Ok(())
    }
}

impl MemberView {
    /// The partitions that the leader has given it; none where the bytes are no assignment.
    #[must_use]
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let assignment = ConsumerProtocolAssignment::from_bytes(&self.assignment);
        let topics = assignment.map(|a| a.assigned_partitions).unwrap_or_default();
        let partitions = topics.iter().flat_map(|t| {
            t.partitions.iter().map(|p| TopicPartition::from((t.topic.as_str(), *p)))
        });
        partitions.collect()
    }

    /// What it wants to read, as its first protocol says; nothing where the bytes are no subscription.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let bytes = self.protocols.first().map_or(&[][..], |(_, bytes)| bytes);
        ConsumerProtocolSubscription::from_bytes(bytes).map(|s| s.topics).unwrap_or_default()
    }

    fn of(member: &Member) -> Self {
        Self {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            session_timeout: member.session,
            rebalance_timeout: member.patience,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
            is_joining: member.join.is_some(),
            is_syncing: member.sync.is_some(),
        }
    }
}
