//! Appends records.

use crate::wire::{RecordBytes, Uuid};

api! {
    ProduceRequest(key 0, versions 0..=13, flexible 9..) -> ProduceResponse;

    /// Asks the leaders to append records; with `acks` 0 there is no response.
    struct ProduceRequest {
        3.. => transactional_id: Option<String>,
        0.. => acks: i16,
        0.. => timeout_ms: i32,
        0.. => topic_data: Vec<TopicProduceData>,
    }

    struct TopicProduceData {
        0..=12 => name: String where ignorable,
        13..   => topic_id: Uuid where ignorable,
        0..    => partition_data: Vec<PartitionProduceData>,
    }

    struct PartitionProduceData {
        0.. => index: i32,
        0.. => records: RecordBytes,
    }

    /// The offset of the first record of each partition.
    struct ProduceResponse {
        0.. => responses: Vec<TopicProduceResponse>,
        1.. => throttle_time_ms: i32 where ignorable,
    } tags {
        (0, 10..) => node_endpoints: Vec<NodeEndpoint>,
    }

    struct TopicProduceResponse {
        0..=12 => name: String where ignorable,
        13..   => topic_id: Uuid where ignorable,
        0..    => partition_responses: Vec<PartitionProduceResponse>,
    }

    struct PartitionProduceResponse {
        0.. => index: i32,
        0.. => error_code: i16,
        0.. => base_offset: i64,
        2.. => log_append_time_ms: i64 where ignorable = -1,
        5.. => log_start_offset: i64 where ignorable = -1,
        8.. => record_errors: Vec<BatchIndexAndErrorMessage> where ignorable,
        8.. => error_message: Option<String> where ignorable,
    } tags {
        (0, 10..) => current_leader: LeaderIdAndEpoch,
    }

    struct BatchIndexAndErrorMessage {
        8.. => batch_index: i32,
        8.. => batch_index_error_message: Option<String>,
    }

    struct LeaderIdAndEpoch {
        10.. => leader_id: i32 = -1,
        10.. => leader_epoch: i32 = -1,
    }

    struct NodeEndpoint {
        10.. => node_id: i32,
        10.. => host: String,
        10.. => port: i32,
        10.. => rack: Option<String>,
    }
}
