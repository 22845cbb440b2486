//! Reads the stored offsets of a group.

use crate::wire::Uuid;

api! {
    OffsetFetchRequest(key 9, versions 0..=10, flexible 6..) -> OffsetFetchResponse;

    /// Asks for the offsets of one group, or since version 8 of several; topics of null mean all.
    struct OffsetFetchRequest {
        0..=7 => group_id: String,
        0..=7 => topics: Option<Vec<OffsetFetchRequestTopic>> where null in 2..=7 = Some(vec![]),
        8..   => groups: Vec<OffsetFetchRequestGroup>,
        /// Whether offsets of open transactions make the broker answer with a retriable error (KIP-447).
        7..   => require_stable: bool,
    }

    struct OffsetFetchRequestTopic {
        0..=7 => name: String,
        0..=7 => partition_indexes: Vec<i32>,
    }

    struct OffsetFetchRequestGroup {
        8.. => group_id: String,
        9.. => member_id: Option<String> where ignorable,
        9.. => member_epoch: i32 where ignorable = -1,
        8.. => topics: Option<Vec<OffsetFetchRequestTopics>>,
    }

    struct OffsetFetchRequestTopics {
        8..=9 => name: String where ignorable,
        10..  => topic_id: Uuid where ignorable,
        8..   => partition_indexes: Vec<i32>,
    }

    /// The offsets; -1 where none is stored.
    struct OffsetFetchResponse {
        3..   => throttle_time_ms: i32 where ignorable,
        0..=7 => topics: Vec<OffsetFetchResponseTopic>,
        /// Of the group as a whole.
        2..=7 => error_code: i16 where ignorable,
        8..   => groups: Vec<OffsetFetchResponseGroup>,
    }

    struct OffsetFetchResponseTopic {
        0..=7 => name: String,
        0..=7 => partitions: Vec<OffsetFetchResponsePartition>,
    }

    struct OffsetFetchResponsePartition {
        0..=7 => partition_index: i32,
        0..=7 => committed_offset: i64,
        5..=7 => committed_leader_epoch: i32 where ignorable = -1,
        0..=7 => metadata: Option<String>,
        0..=7 => error_code: i16,
    }

    struct OffsetFetchResponseGroup {
        8.. => group_id: String,
        8.. => topics: Vec<OffsetFetchResponseTopics>,
        8.. => error_code: i16,
    }

    struct OffsetFetchResponseTopics {
        8..=9 => name: String where ignorable,
        10..  => topic_id: Uuid where ignorable,
        8..   => partitions: Vec<OffsetFetchResponsePartitions>,
    }

    struct OffsetFetchResponsePartitions {
        8.. => partition_index: i32,
        8.. => committed_offset: i64,
        8.. => committed_leader_epoch: i32 where ignorable = -1,
        8.. => metadata: Option<String>,
        8.. => error_code: i16,
    }
}
