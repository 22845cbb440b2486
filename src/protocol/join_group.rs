//! Enters a classic group, or its next generation.

api! {
    JoinGroupRequest(key 11, versions 0..=9, flexible 6..) -> JoinGroupResponse;

    /// Asks to be a member of the next generation.
    struct JoinGroupRequest {
        0.. => group_id: String,
        0.. => session_timeout_ms: i32,
        1.. => rebalance_timeout_ms: i32 where ignorable = -1,
        0.. => member_id: String,
        /// The id of a static member (KIP-345).
        5.. => group_instance_id: Option<String>,
        0.. => protocol_type: String,
        0.. => protocols: Vec<JoinGroupRequestProtocol>,
        8.. => reason: Option<String> where ignorable,
    }

    struct JoinGroupRequestProtocol {
        0.. => name: String,
        0.. => metadata: Vec<u8>,
    }

    /// The generation; the leader also gets all members with their subscriptions.
    struct JoinGroupResponse {
        2.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
        0.. => generation_id: i32 = -1,
        7.. => protocol_type: Option<String> where ignorable,
        0.. => protocol_name: Option<String> where null in 7.. = Some(String::new()),
        0.. => leader: String,
        /// The leader came back and keeps the assignment as it is (KIP-814).
        9.. => skip_assignment: bool,
        0.. => member_id: String,
        /// Empty for all but the leader.
        0.. => members: Vec<JoinGroupResponseMember>,
    }

    struct JoinGroupResponseMember {
        0.. => member_id: String,
        5.. => group_instance_id: Option<String> where ignorable,
        0.. => metadata: Vec<u8>,
    }
}
