//! Describes groups and their members.

api! {
    DescribeGroupsRequest(key 15, versions 0..=6, flexible 5..) -> DescribeGroupsResponse;

    /// Asks the coordinator about groups.
    struct DescribeGroupsRequest {
        0.. => groups: Vec<String>,
        3.. => include_authorized_operations: bool,
    }

    /// The groups.
    struct DescribeGroupsResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => groups: Vec<DescribedGroup>,
    }

    struct DescribedGroup {
        0.. => error_code: i16,
        6.. => error_message: Option<String>,
        0.. => group_id: String,
        0.. => group_state: String,
        0.. => protocol_type: String,
        0.. => protocol_data: String,
        0.. => members: Vec<DescribedGroupMember>,
        3.. => authorized_operations: i32 = -2_147_483_648,
    }

    struct DescribedGroupMember {
        0.. => member_id: String,
        4.. => group_instance_id: Option<String> where ignorable,
        0.. => client_id: String,
        0.. => client_host: String,
        0.. => member_metadata: Vec<u8>,
        0.. => member_assignment: Vec<u8>,
    }
}
