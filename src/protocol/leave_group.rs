//! Leaves a classic group.

api! {
    LeaveGroupRequest(key 13, versions 0..=5, flexible 4..) -> LeaveGroupResponse;

    /// Takes members out of their group.
    struct LeaveGroupRequest {
        0..   => group_id: String,
        0..=2 => member_id: String,
        3..   => members: Vec<MemberIdentity>,
    }

    struct MemberIdentity {
        3.. => member_id: String,
        3.. => group_instance_id: Option<String>,
        5.. => reason: Option<String> where ignorable,
    }

    /// What became of each member.
    struct LeaveGroupResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
        3.. => members: Vec<MemberResponse>,
    }

    struct MemberResponse {
        3.. => member_id: String,
        3.. => group_instance_id: Option<String>,
        3.. => error_code: i16,
    }
}
