//! The one request of the consumer group protocol of KIP-848: join, stay, acknowledge, leave.

use crate::wire::Uuid;

api! {
    ConsumerGroupHeartbeatRequest(key 68, versions 0..=1, flexible 0..) -> ConsumerGroupHeartbeatResponse;

    /// Tells the coordinator that a member is alive; what is null has not changed since the last one.
    struct ConsumerGroupHeartbeatRequest {
        0.. => group_id: String,
        0.. => member_id: String,
        /// 0 joins, -1 leaves, -2 leaves as a static member that comes back.
        0.. => member_epoch: i32,
        0.. => instance_id: Option<String>,
        0.. => rack_id: Option<String>,
        0.. => rebalance_timeout_ms: i32 = -1,
        0.. => subscribed_topic_names: Option<Vec<String>>,
        1.. => subscribed_topic_regex: Option<String>,
        0.. => server_assignor: Option<String>,
        /// What the member owns now, by topic id.
        0.. => topic_partitions: Option<Vec<TopicPartitions>>,
    }

    struct TopicPartitions {
        0.. => topic_id: Uuid,
        0.. => partitions: Vec<i32>,
    }

    /// The member's epoch and, when it changed, its assignment.
    struct ConsumerGroupHeartbeatResponse {
        0.. => throttle_time_ms: i32,
        0.. => error_code: i16,
        0.. => error_message: Option<String>,
        0.. => member_id: Option<String>,
        0.. => member_epoch: i32,
        0.. => heartbeat_interval_ms: i32,
        /// Null where it has not changed.
        0.. => assignment: Option<Assignment>,
    }

    struct Assignment {
        0.. => topic_partitions: Vec<TopicPartitions>,
    }
}
