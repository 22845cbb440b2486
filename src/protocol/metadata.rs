//! Which brokers, topics and partitions there are, and who leads them.

use crate::wire::Uuid;

api! {
    MetadataRequest(key 3, versions 0..=13, flexible 9..) -> MetadataResponse;

    /// Asks about all topics (null), or about some.
    struct MetadataRequest {
        0..    => topics: Option<Vec<MetadataRequestTopic>> where empty for null in 0,
        /// Whether topics that are asked for and do not exist are created, if the broker is set up so.
        4..    => allow_auto_topic_creation: bool = true,
        8..=10 => include_cluster_authorized_operations: bool,
        8..    => include_topic_authorized_operations: bool,
    }

    struct MetadataRequestTopic {
        10.. => topic_id: Uuid where ignorable,
        0..  => name: Option<String> where null in 10.. = Some(String::new()),
    }

    /// What the broker that was asked knows of the cluster.
    struct MetadataResponse {
        3..    => throttle_time_ms: i32 where ignorable,
        0..    => brokers: Vec<MetadataResponseBroker>,
        2..    => cluster_id: Option<String> where ignorable,
        1..    => controller_id: i32 where ignorable = -1,
        0..    => topics: Vec<MetadataResponseTopic>,
        8..=10 => cluster_authorized_operations: i32 = i32::MIN,
        13..   => error_code: i16 where ignorable,
    }

    struct MetadataResponseBroker {
        0.. => node_id: i32,
        0.. => host: String,
        0.. => port: i32,
        1.. => rack: Option<String> where ignorable,
    }

    struct MetadataResponseTopic {
        0..  => error_code: i16,
        0..  => name: Option<String> where null in 12.. = Some(String::new()),
        10.. => topic_id: Uuid where ignorable,
        1..  => is_internal: bool where ignorable,
        0..  => partitions: Vec<MetadataResponsePartition>,
        8..  => topic_authorized_operations: i32 = i32::MIN,
    }

    struct MetadataResponsePartition {
        0.. => error_code: i16,
        0.. => partition_index: i32,
        0.. => leader_id: i32,
        7.. => leader_epoch: i32 where ignorable = -1,
        0.. => replica_nodes: Vec<i32>,
        0.. => isr_nodes: Vec<i32>,
        5.. => offline_replicas: Vec<i32> where ignorable,
    }
}

impl MetadataRequest {
    /// Asks about all topics. Version 0 has no null: there an empty list means all, and is what it writes.
    #[must_use]
    pub fn all_topics() -> Self {
        Self { topics: None, ..Self::default() }
    }

    /// Asks about these topics. Version 0 cannot ask about none: there an empty list means all.
    pub fn topics<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let topic =
            |name: T| MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        Self { topics: Some(names.into_iter().map(topic).collect()), ..Self::default() }
    }
}
