//! Describes the cluster.

api! {
    DescribeClusterRequest(key 60, versions 0..=2, flexible 0..) -> DescribeClusterResponse;

    /// Asks for the brokers.
    struct DescribeClusterRequest {
        0.. => include_cluster_authorized_operations: bool,
        1.. => endpoint_type: i8 = 1,
        2.. => include_fenced_brokers: bool,
    }

    /// The brokers.
    struct DescribeClusterResponse {
        0.. => throttle_time_ms: i32,
        0.. => error_code: i16,
        0.. => error_message: Option<String>,
        1.. => endpoint_type: i8 = 1,
        0.. => cluster_id: String,
        0.. => controller_id: i32 = -1,
        0.. => brokers: Vec<DescribeClusterBroker>,
        0.. => cluster_authorized_operations: i32 = -2_147_483_648,
    }

    struct DescribeClusterBroker {
        0.. => broker_id: i32,
        0.. => host: String,
        0.. => port: i32,
        0.. => rack: Option<String>,
        2.. => is_fenced: bool,
    }
}
