//! Reads records from the leader of their partitions, or from a follower.

use crate::wire::{RecordBytes, Streamed, Uuid};

api! {
    FetchRequest(key 1, versions 0..=18, flexible 12..) -> FetchResponse;

    /// Asks a broker for records, waiting up to `max_wait_ms` for `min_bytes` of them.
    struct FetchRequest {
        /// -1 for a consumer.
        0..=14 => replica_id: i32 = -1,
        0..    => max_wait_ms: i32,
        0..    => min_bytes: i32,
        3..    => max_bytes: i32 where ignorable = i32::MAX,
        /// 0 reads everything, 1 only what is committed.
        4..    => isolation_level: i8 where ignorable,
        7..    => session_id: i32 where ignorable,
        /// -1 for a fetch without a session, 0 to start one (KIP-227).
        7..    => session_epoch: i32 where ignorable = -1,
        0..    => topics: Vec<FetchTopic>,
        7..    => forgotten_topics_data: Vec<ForgottenTopic>,
        /// The consumer's rack, so that a near follower can answer (KIP-392).
        11..   => rack_id: String where ignorable,
    } tags {
        (0, 12..) => cluster_id: Option<String> where ignorable,
        (1, 15..) => replica_state: ReplicaState,
    }

    struct FetchTopic {
        0..=12 => topic: String where ignorable,
        13..   => topic_id: Uuid where ignorable,
        0..    => partitions: Vec<FetchPartition>,
    }

    struct FetchPartition {
        0..  => partition: i32,
        9..  => current_leader_epoch: i32 where ignorable = -1,
        0..  => fetch_offset: i64,
        /// The epoch of the last record that was read, so that the broker can tell a truncated log.
        12.. => last_fetched_epoch: i32 = -1,
        5..  => log_start_offset: i64 where ignorable = -1,
        0..  => partition_max_bytes: i32,
    } tags {
        (0, 17..) => replica_directory_id: Uuid where ignorable,
        (1, 18..) => high_watermark: i64 where ignorable = i64::MAX,
    }

    /// Partitions that leave the fetch session (KIP-227).
    struct ForgottenTopic {
        7..=12 => topic: String where ignorable,
        13..   => topic_id: Uuid where ignorable,
        7..    => partitions: Vec<i32>,
    }

    struct ReplicaState {
        15.. => replica_id: i32 = -1,
        15.. => replica_epoch: i64 = -1,
    }

    /// The records, by topic and partition. What is `Streamed` here, and the records, can be read as it arrives: each
    /// stands last before the tagged fields of its struct.
    struct FetchResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        7.. => error_code: i16 where ignorable,
        7.. => session_id: i32,
        0.. => responses: Streamed<FetchableTopicResponse>,
    } tags {
        (0, 16..) => node_endpoints: Vec<NodeEndpoint>,
    }

    struct FetchableTopicResponse {
        0..=12 => topic: String where ignorable,
        13..   => topic_id: Uuid where ignorable,
        0..    => partitions: Streamed<PartitionData>,
    }

    /// The records of one partition, and what the broker says about it.
    struct PartitionData {
        0..  => partition_index: i32,
        0..  => error_code: i16,
        0..  => high_watermark: i64,
        4..  => last_stable_offset: i64 where ignorable = -1,
        5..  => log_start_offset: i64 where ignorable = -1,
        4..  => aborted_transactions: Option<Vec<AbortedTransaction>> where ignorable,
        /// Who to fetch from instead; -1 is the leader.
        11.. => preferred_read_replica: i32 = -1,
        0..  => records: RecordBytes,
    } tags {
        (0, 12..) => diverging_epoch: EpochEndOffset,
        (1, 12..) => current_leader: LeaderIdAndEpoch,
        (2, 12..) => snapshot_id: SnapshotId,
    }

    /// A transaction that was aborted: records of this producer, from this offset to the marker, do not count.
    struct AbortedTransaction {
        4.. => producer_id: i64,
        4.. => first_offset: i64,
    }

    /// Where the log of the broker parts from the log that was fetched before.
    struct EpochEndOffset {
        12.. => epoch: i32 = -1,
        12.. => end_offset: i64 = -1,
    }

    /// Who leads the partition, when the fetch went to another broker (KIP-951).
    struct LeaderIdAndEpoch {
        12.. => leader_id: i32 = -1,
        12.. => leader_epoch: i32 = -1,
    }

    struct SnapshotId {
        0.. => end_offset: i64 = -1,
        0.. => epoch: i32 = -1,
    }

    struct NodeEndpoint {
        16.. => node_id: i32,
        16.. => host: String,
        16.. => port: i32,
        16.. => rack: Option<String>,
    }
}
