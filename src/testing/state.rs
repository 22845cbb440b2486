//! What the cluster is: nodes, topics, who leads, and what the logs hold. No socket, no clock.

use std::collections::BTreeMap;

use crate::{
    ErrorCode,
    net::servers::HostPort,
    protocol::{
        Request, add_offsets_to_txn::AddOffsetsToTxnRequest,
        add_partitions_to_txn::AddPartitionsToTxnRequest, api_versions::ApiVersionsRequest,
        create_topics::CreateTopicsRequest, delete_groups::DeleteGroupsRequest,
        delete_records::DeleteRecordsRequest, delete_topics::DeleteTopicsRequest,
        describe_cluster::DescribeClusterRequest, describe_configs::DescribeConfigsRequest,
        describe_groups::DescribeGroupsRequest, end_txn::EndTxnRequest, fetch::FetchRequest,
        find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
        init_producer_id::InitProducerIdRequest, join_group::JoinGroupRequest,
        leave_group::LeaveGroupRequest, list_groups::ListGroupsRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest, produce::ProduceRequest,
        sasl_authenticate::SaslAuthenticateRequest, sasl_handshake::SaslHandshakeRequest,
        sync_group::SyncGroupRequest, txn_offset_commit::TxnOffsetCommitRequest,
    },
    wire::Uuid,
};

use crate::testing::{
    answers::session::Sessions, groups::Groups, log::Log, producers::Producers, sasl::Users,
};

/// The cluster.
#[derive(Debug, Default)]
pub struct State {
    /// The nodes by id.
    pub nodes: BTreeMap<i32, Node>,
    /// The topics by name.
    pub topics: BTreeMap<String, Topic>,
    /// Topics that may not be described or read, and the error that says so: with `TOPIC_AUTHORIZATION_FAILED` they are
    /// not among all topics.
    pub topic_errors: BTreeMap<String, ErrorCode>,
    /// Whether leaders send consumers with a rack to a replica in it: Kafka's `RackAwareReplicaSelector`.
    pub rack_aware: bool,
    /// The groups of consumers.
    pub groups: Groups,
    pub(crate) users: Users,
    pub(crate) producers: Producers,
    pub(crate) next_topic: u8,
}

/// One broker.
#[derive(Debug)]
pub struct Node {
    /// Where the others say it is.
    pub advertised: HostPort,
    /// The rack, if any.
    pub rack: Option<String>,
    /// The rows of its answer to ApiVersions: key, lowest and highest version.
    pub versions: Vec<(i16, i16, i16)>,
    /// Whether metadata names it.
    pub alive: bool,
    /// Whether fetch sessions are given.
    pub sessions_allowed: bool,
    /// Whether it has died; then it coordinates nothing.
    pub(crate) stopped: bool,
    pub(crate) sessions: Sessions,
}

/// One topic.
#[derive(Debug)]
pub struct Topic {
    /// The id, all zero for a broker that has none.
    pub id: Uuid,
    /// The partitions.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Debug, Default)]
pub struct Partition {
    /// The leading node, or none.
    pub leader: Option<i32>,
    /// How often the leader has changed.
    pub epoch: i32,
    /// The nodes that have a copy.
    pub replicas: Vec<i32>,
    /// In what a replica differs from the leader; one that is not named here is in sync and has everything.
    pub followers: BTreeMap<i32, Follower>,
    /// The records.
    pub log: Log,
}

/// In what a replica differs from its leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// Where its log ends, if before the leader's.
    pub end: Option<i64>,
    /// Up to where readers may see there, if not as far as at the leader.
    pub high_watermark: Option<i64>,
    /// Whether it has fallen out of the replicas that are in sync.
    pub out_of_sync: bool,
    /// What a fetch gets of offsets from its high watermark on that the leader has, such as `OFFSET_NOT_AVAILABLE`.
    /// Without this, it is nothing up to the end of the follower's log, and `OFFSET_OUT_OF_RANGE` behind it.
    pub ahead: Option<ErrorCode>,
}

impl State {
    /// Nodes with the ids from 1 on, at these addresses.
    pub fn new(addresses: impl IntoIterator<Item = HostPort>) -> Self {
        let node = |advertised| Node {
            advertised,
            rack: None,
            versions: default_versions(),
            alive: true,
            sessions_allowed: true,
            stopped: false,
            sessions: Sessions::default(),
        };
        let nodes = (1..).zip(addresses).map(|(id, address)| (id, node(address))).collect();
        Self { nodes, ..Self::default() }
    }

    /// Lets a user log in by a mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`. One that is there already has
    /// this password from now on.
    ///
    /// From the first user on, a connection must log in before it asks for anything but ApiVersions.
    ///
    /// # Panics
    /// Where there is no such mechanism.
    pub fn add_user(&mut self, mechanism: &str, name: &str, password: &str) {
        self.users.add(mechanism, name, password);
    }

    /// Lets a user log in no more. Who has logged in stays so, and without any user nobody needs to.
    ///
    /// # Panics
    /// Where there is no such mechanism or user.
    pub fn remove_user(&mut self, mechanism: &str, name: &str) {
        self.users.remove(mechanism, name);
    }

    /// Whether a node has a version of an API.
    pub(crate) fn speaks(&self, node: i32, api: i16, version: i16) -> bool {
        self.nodes.get(&node).is_some_and(|node| {
            let mut own = node.versions.iter().filter(|row| row.0 == api);
            own.any(|row| (row.1..=row.2).contains(&version))
        })
    }

    /// A partition, if there is one.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// A partition that there must be.
    ///
    /// # Panics
    /// Where there is none.
    pub fn partition_mut(&mut self, topic: &str, partition: i32) -> &mut Partition {
        usize::try_from(partition)
            .ok()
            .and_then(|n| self.topics.get_mut(topic)?.partitions.get_mut(n))
            .unwrap_or_else(|| panic!("no partition {topic}-{partition}: create_topic comes first"))
    }

    /// A node that there must be.
    ///
    /// # Panics
    /// Where there is none.
    pub fn node_mut(&mut self, id: i32) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("no node {id}"))
    }

    /// The name of the topic with an id.
    pub(crate) fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, t)| t.id == id).map(|(name, _)| name.as_str())
    }
}

/// What a broker answers here without being told how: all versions of it, but for those of commits that name topics by
/// their ids only.
fn default_versions() -> Vec<(i16, i16, i16)> {
    fn row<R: Request>() -> (i16, i16, i16) {
        (R::KEY, *R::VERSIONS.start(), *R::VERSIONS.end())
    }
    vec![
        // From version 0 on for librdkafka, which does not compress otherwise; what is older than batches is refused.
        row::<ProduceRequest>(),
        row::<FetchRequest>(),
        row::<ListOffsetsRequest>(),
        row::<MetadataRequest>(),
        row::<SaslHandshakeRequest>(),
        row::<ApiVersionsRequest>(),
        (OffsetCommitRequest::KEY, 0, 9),
        (OffsetFetchRequest::KEY, 0, 9),
        row::<FindCoordinatorRequest>(),
        row::<JoinGroupRequest>(),
        row::<HeartbeatRequest>(),
        row::<LeaveGroupRequest>(),
        row::<SyncGroupRequest>(),
        row::<DescribeGroupsRequest>(),
        row::<ListGroupsRequest>(),
        row::<CreateTopicsRequest>(),
        row::<DeleteTopicsRequest>(),
        row::<DeleteRecordsRequest>(),
        row::<InitProducerIdRequest>(),
        row::<OffsetForLeaderEpochRequest>(),
        // What is newer is between brokers, or needs a feature that is not switched on here (KIP-890).
        (AddPartitionsToTxnRequest::KEY, 0, 3),
        (AddOffsetsToTxnRequest::KEY, 0, 3),
        (EndTxnRequest::KEY, 0, 4),
        (TxnOffsetCommitRequest::KEY, 0, 3),
        row::<DescribeConfigsRequest>(),
        row::<SaslAuthenticateRequest>(),
        row::<DeleteGroupsRequest>(),
        row::<DescribeClusterRequest>(),
    ]
}
