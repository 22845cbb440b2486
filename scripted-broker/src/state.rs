//! What the cluster is: nodes, topics, who leads, and what the logs hold. No socket, no clock.

use std::collections::BTreeMap;

use kafka_blocking::{
    net::servers::HostPort,
    protocol::{
        Request, api_versions::ApiVersionsRequest, fetch::FetchRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    },
    wire::Uuid,
};

use crate::{answers::session::Sessions, log::Log};

/// The cluster.
#[derive(Debug, Default)]
pub struct State {
    /// The nodes by id.
    pub nodes: BTreeMap<i32, Node>,
    /// The topics by name.
    pub topics: BTreeMap<String, Topic>,
    next_topic: u8,
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
    /// The records.
    pub log: Log,
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
            sessions: Sessions::default(),
        };
        let nodes = (1..).zip(addresses).map(|(id, address)| (id, node(address))).collect();
        Self { nodes, ..Self::default() }
    }

    /// A new topic; its partitions are led by the nodes in turn. One of the same name is replaced, and has another id.
    ///
    /// # Panics
    /// For more than 255 topics.
    pub fn create_topic(&mut self, name: &str, partitions: usize) {
        self.next_topic = self.next_topic.checked_add(1).expect("fewer than 256 topics");
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        let partition = |n: usize| Partition {
            leader: Some(ids[n % ids.len()]),
            replicas: ids.clone(),
            ..Partition::default()
        };
        let topic = Topic {
            id: Uuid([self.next_topic; 16]),
            partitions: (0..partitions).map(partition).collect(),
        };
        self.topics.insert(name.to_owned(), topic);
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

    /// Lets another node lead a partition, or none, in a new epoch.
    pub fn move_leader(&mut self, topic: &str, partition: i32, leader: Option<i32>) {
        let partition = self.partition_mut(topic, partition);
        partition.leader = leader;
        partition.epoch += 1;
    }

    /// The name of the topic with an id.
    pub(crate) fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, t)| t.id == id).map(|(name, _)| name.as_str())
    }
}

/// What a broker answers here without being told how: all versions of it.
fn default_versions() -> Vec<(i16, i16, i16)> {
    fn row<R: Request>() -> (i16, i16, i16) {
        (R::KEY, *R::VERSIONS.start(), *R::VERSIONS.end())
    }
    vec![
        row::<FetchRequest>(),
        row::<ListOffsetsRequest>(),
        row::<MetadataRequest>(),
        row::<ApiVersionsRequest>(),
    ]
}
