//! Looks up offsets by time, and the first and the last offset.

api! {
    ListOffsetsRequest(key 2, versions 0..=11, flexible 6..) -> ListOffsetsResponse;

    /// Asks for the first offset at or after a timestamp; -1 asks for the end, -2 for the start of the log.
    struct ListOffsetsRequest {
        /// -1 for a consumer; note that the default is a broker's.
        0..  => replica_id: i32,
        /// With 1, the end is the last stable offset.
        2..  => isolation_level: i8,
        0..  => topics: Vec<ListOffsetsTopic>,
        10.. => timeout_ms: i32 where ignorable,
    }

    struct ListOffsetsTopic {
        0.. => name: String,
        0.. => partitions: Vec<ListOffsetsPartition>,
    }

    struct ListOffsetsPartition {
        0.. => partition_index: i32,
        4.. => current_leader_epoch: i32 where ignorable = -1,
        0.. => timestamp: i64,
        0   => max_num_offsets: i32 = 1,
    }

    /// The offsets; version 0 lists the starts of several segments instead.
    struct ListOffsetsResponse {
        2.. => throttle_time_ms: i32 where ignorable,
        0.. => topics: Vec<ListOffsetsTopicResponse>,
    }

    struct ListOffsetsTopicResponse {
        0.. => name: String,
        0.. => partitions: Vec<ListOffsetsPartitionResponse>,
    }

    struct ListOffsetsPartitionResponse {
        0.. => partition_index: i32,
        0.. => error_code: i16,
        0   => old_style_offsets: Vec<i64>,
        1.. => timestamp: i64 = -1,
        1.. => offset: i64 = -1,
        4.. => leader_epoch: i32 = -1,
    }
}
