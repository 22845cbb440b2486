//! Deletes the records before an offset.

api! {
    DeleteRecordsRequest(key 21, versions 0..=2, flexible 2..) -> DeleteRecordsResponse;

    /// Asks a leader to move the start of its partitions.
    struct DeleteRecordsRequest {
        0.. => topics: Vec<DeleteRecordsTopic>,
        0.. => timeout_ms: i32,
    }

    struct DeleteRecordsTopic {
        0.. => name: String,
        0.. => partitions: Vec<DeleteRecordsPartition>,
    }

    struct DeleteRecordsPartition {
        0.. => partition_index: i32,
        0.. => offset: i64,
    }

    /// Where each partition starts now.
    struct DeleteRecordsResponse {
        0.. => throttle_time_ms: i32,
        0.. => topics: Vec<DeleteRecordsTopicResult>,
    }

    struct DeleteRecordsTopicResult {
        0.. => name: String,
        0.. => partitions: Vec<DeleteRecordsPartitionResult>,
    }

    struct DeleteRecordsPartitionResult {
        0.. => partition_index: i32,
        0.. => low_watermark: i64,
        0.. => error_code: i16,
    }
}
