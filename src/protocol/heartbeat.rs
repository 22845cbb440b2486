//! Tells the coordinator that a member of a classic group is alive.

api! {
    HeartbeatRequest(key 12, versions 0..=4, flexible 4..) -> HeartbeatResponse;

    /// Keeps the session of a member.
    struct HeartbeatRequest {
        0.. => group_id: String,
        0.. => generation_id: i32,
        0.. => member_id: String,
        3.. => group_instance_id: Option<String>,
    }

    /// Whether the group rebalances.
    struct HeartbeatResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
    }
}
