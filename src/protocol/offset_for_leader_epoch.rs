//! Where an epoch of a partition's leader ended: finds truncated logs (KIP-320).

api! {
    OffsetForLeaderEpochRequest(key 23, versions 0..=4, flexible 4..) -> OffsetForLeaderEpochResponse;

    /// Asks for the end of epochs. A consumer has the `replica_id` -1.
    struct OffsetForLeaderEpochRequest {
        3.. => replica_id: i32 where ignorable = -2,
        0.. => topics: Vec<OffsetForLeaderTopic>,
    }

    struct OffsetForLeaderTopic {
        0.. => topic: String,
        0.. => partitions: Vec<OffsetForLeaderPartition>,
    }

    struct OffsetForLeaderPartition {
        0.. => partition: i32,
        2.. => current_leader_epoch: i32 where ignorable = -1,
        0.. => leader_epoch: i32,
    }

    /// The ends.
    struct OffsetForLeaderEpochResponse {
        2.. => throttle_time_ms: i32 where ignorable,
        0.. => topics: Vec<OffsetForLeaderTopicResult>,
    }

    struct OffsetForLeaderTopicResult {
        0.. => topic: String,
        0.. => partitions: Vec<EpochEndOffset>,
    }

    struct EpochEndOffset {
        0.. => error_code: i16,
        0.. => partition: i32,
        1.. => leader_epoch: i32 where ignorable = -1,
        0.. => end_offset: i64 = -1,
    }
}
