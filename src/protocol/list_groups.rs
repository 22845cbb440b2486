//! Lists groups.

api! {
    ListGroupsRequest(key 16, versions 0..=5, flexible 3..) -> ListGroupsResponse;

    /// Asks a broker which groups it coordinates.
    struct ListGroupsRequest {
        4.. => states_filter: Vec<String>,
        5.. => types_filter: Vec<String>,
    }

    /// The groups.
    struct ListGroupsResponse {
        1.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
        0.. => groups: Vec<ListedGroup>,
    }

    struct ListedGroup {
        0.. => group_id: String,
        0.. => protocol_type: String,
        4.. => group_state: String where ignorable,
        5.. => group_type: String where ignorable,
    }
}
