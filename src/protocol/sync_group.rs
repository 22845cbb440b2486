//! Hands out the assignments of a classic group.

api! {
    SyncGroupRequest(key 14, versions 0..=5, flexible 4..) -> SyncGroupResponse;

    /// Asks for the own assignment; the leader's request has the assignments of all.
    struct SyncGroupRequest {
        0.. => group_id: String,
        0.. => generation_id: i32,
        0.. => member_id: String,
        3.. => group_instance_id: Option<String>,
        5.. => protocol_type: Option<String> where ignorable,
        5.. => protocol_name: Option<String> where ignorable,
        /// Empty from all but the leader.
        0.. => assignments: Vec<SyncGroupRequestAssignment>,
    }

    struct SyncGroupRequestAssignment {
        0.. => member_id: String,
        0.. => assignment: Vec<u8>,
    }

    /// The assignment.
    struct SyncGroupResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
        5.. => protocol_type: Option<String> where ignorable,
        5.. => protocol_name: Option<String> where ignorable,
        0.. => assignment: Vec<u8>,
    }
}
