//! Tells the coordinator of a transaction which partitions are in it.

api! {
    AddPartitionsToTxnRequest(key 24, versions 0..=5, flexible 3..) -> AddPartitionsToTxnResponse;

    /// Adds partitions to one transaction, or since version 4, for brokers among themselves, to several.
    struct AddPartitionsToTxnRequest {
        4..   => transactions: Vec<AddPartitionsToTxnTransaction>,
        0..=3 => v3_and_below_transactional_id: String,
        0..=3 => v3_and_below_producer_id: i64,
        0..=3 => v3_and_below_producer_epoch: i16,
        0..=3 => v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
    }

    struct AddPartitionsToTxnTransaction {
        4.. => transactional_id: String,
        4.. => producer_id: i64,
        4.. => producer_epoch: i16,
        4.. => verify_only: bool,
        4.. => topics: Vec<AddPartitionsToTxnTopic>,
    }

    struct AddPartitionsToTxnTopic {
        0.. => name: String,
        0.. => partitions: Vec<i32>,
    }

    /// What became of each.
    struct AddPartitionsToTxnResponse {
        0..   => throttle_time_ms: i32,
        4..   => error_code: i16 where ignorable,
        4..   => results_by_transaction: Vec<AddPartitionsToTxnResult>,
        0..=3 => results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
    }

    struct AddPartitionsToTxnResult {
        4.. => transactional_id: String,
        4.. => topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    struct AddPartitionsToTxnTopicResult {
        0.. => name: String,
        0.. => results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    struct AddPartitionsToTxnPartitionResult {
        0.. => partition_index: i32,
        0.. => partition_error_code: i16,
    }
}
