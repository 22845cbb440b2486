//! Creates topics.

use crate::wire::Uuid;

api! {
    CreateTopicsRequest(key 19, versions 0..=7, flexible 5..) -> CreateTopicsResponse;

    /// Asks the controller to create topics.
    struct CreateTopicsRequest {
        0.. => topics: Vec<CreatableTopic>,
        0.. => timeout_ms: i32 = 60_000,
        1.. => validate_only: bool,
    }

    struct CreatableTopic {
        0.. => name: String,
        0.. => num_partitions: i32,
        0.. => replication_factor: i16,
        0.. => assignments: Vec<CreatableReplicaAssignment>,
        0.. => configs: Vec<CreatableTopicConfig>,
    }

    struct CreatableReplicaAssignment {
        0.. => partition_index: i32,
        0.. => broker_ids: Vec<i32>,
    }

    struct CreatableTopicConfig {
        0.. => name: String,
        0.. => value: Option<String>,
    }

    /// What became of each topic.
    struct CreateTopicsResponse {
        2.. => throttle_time_ms: i32 where ignorable,
        0.. => topics: Vec<CreatableTopicResult>,
    }

    struct CreatableTopicResult {
        0.. => name: String,
        7.. => topic_id: Uuid where ignorable,
        0.. => error_code: i16,
        1.. => error_message: Option<String> where ignorable,
        5.. => num_partitions: i32 where ignorable = -1,
        5.. => replication_factor: i16 where ignorable = -1,
        5.. => configs: Option<Vec<CreatableTopicConfigs>> where ignorable,
    } tags {
        (0, 5..) => topic_config_error_code: i16 where ignorable,
    }

    struct CreatableTopicConfigs {
        5.. => name: String,
        5.. => value: Option<String>,
        5.. => read_only: bool,
        5.. => config_source: i8 where ignorable = -1,
        5.. => is_sensitive: bool,
    }
}
