//! Deletes groups.

api! {
    DeleteGroupsRequest(key 42, versions 0..=3, flexible 2..) -> DeleteGroupsResponse;

    /// Asks the coordinator to forget groups that are empty.
    struct DeleteGroupsRequest {
        0.. => groups_names: Vec<String>,
    }

    /// What became of each.
    struct DeleteGroupsResponse {
        0.. => throttle_time_ms: i32,
        0.. => results: Vec<DeletableGroupResult>,
    }

    struct DeletableGroupResult {
        0.. => group_id: String,
        0.. => error_code: i16,
        3.. => error_message: Option<String> where ignorable,
    }
}
