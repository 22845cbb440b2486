//! Describes how topics and brokers are configured.

api! {
    DescribeConfigsRequest(key 32, versions 0..=4, flexible 4..) -> DescribeConfigsResponse;

    /// Asks for the configuration of resources.
    struct DescribeConfigsRequest {
        0.. => resources: Vec<DescribeConfigsResource>,
        1.. => include_synonyms: bool,
        3.. => include_documentation: bool,
    }

    struct DescribeConfigsResource {
        0.. => resource_type: i8,
        0.. => resource_name: String,
        0.. => configuration_keys: Option<Vec<String>>,
    }

    /// What each is configured to.
    struct DescribeConfigsResponse {
        0.. => throttle_time_ms: i32,
        0.. => results: Vec<DescribeConfigsResult>,
    }

    struct DescribeConfigsResult {
        0.. => error_code: i16,
        0.. => error_message: Option<String>,
        0.. => resource_type: i8,
        0.. => resource_name: String,
        0.. => configs: Vec<DescribeConfigsResourceResult>,
    }

    struct DescribeConfigsResourceResult {
        0.. => name: String,
        0.. => value: Option<String>,
        0.. => read_only: bool,
        0   => is_default: bool,
        1.. => config_source: i8 where ignorable = -1,
        0.. => is_sensitive: bool,
        1.. => synonyms: Vec<DescribeConfigsSynonym> where ignorable,
        3.. => config_type: i8 where ignorable,
        3.. => documentation: Option<String> where ignorable,
    }

    struct DescribeConfigsSynonym {
        1.. => name: String,
        1.. => value: Option<String>,
        1.. => source: i8,
    }
}
