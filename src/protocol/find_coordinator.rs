//! Which broker coordinates a group or a transaction.

api! {
    FindCoordinatorRequest(key 10, versions 0..=6, flexible 3..) -> FindCoordinatorResponse;

    /// Asks for one coordinator, or since version 4 for several.
    struct FindCoordinatorRequest {
        0..=3 => key: String,
        /// 0 is a group, 1 a transaction.
        1..   => key_type: i8,
        4..   => coordinator_keys: Vec<String>,
    }

    /// The coordinators.
    struct FindCoordinatorResponse {
        1..   => throttle_time_ms: i32 where ignorable,
        0..=3 => error_code: i16,
        1..=3 => error_message: Option<String> where ignorable,
        0..=3 => node_id: i32,
        0..=3 => host: String,
        0..=3 => port: i32,
        4..   => coordinators: Vec<Coordinator>,
    }

    struct Coordinator {
        4.. => key: String,
        4.. => node_id: i32,
        4.. => host: String,
        4.. => port: i32,
        4.. => error_code: i16,
        4.. => error_message: Option<String> where ignorable,
    }
}
