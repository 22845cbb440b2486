//! Deletes topics.

use crate::wire::Uuid;

api! {
    DeleteTopicsRequest(key 20, versions 0..=6, flexible 4..) -> DeleteTopicsResponse;

    /// Asks the controller to delete topics.
    struct DeleteTopicsRequest {
        6..   => topics: Vec<DeleteTopicState>,
        0..=5 => topic_names: Vec<String> where ignorable,
        0..   => timeout_ms: i32,
    }

    struct DeleteTopicState {
        6.. => name: Option<String>,
        6.. => topic_id: Uuid,
    }

    /// What became of each topic.
    struct DeleteTopicsResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => responses: Vec<DeletableTopicResult>,
    }

    struct DeletableTopicResult {
        0.. => name: Option<String> where null in 6.. = Some(String::new()),
        6.. => topic_id: Uuid where ignorable,
        0.. => error_code: i16,
        5.. => error_message: Option<String> where ignorable,
    }
}
