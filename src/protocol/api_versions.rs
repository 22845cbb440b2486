//! Which versions of which APIs a broker speaks.

use super::decode_response;
use crate::wire::{DecodeError, Reader, Wire};

api! {
    ApiVersionsRequest(key 18, versions 0..=5, flexible 3..) -> ApiVersionsResponse;

    /// Asks a broker what it speaks; the first request on a connection.
    struct ApiVersionsRequest {
        3.. => client_software_name: String where ignorable,
        3.. => client_software_version: String where ignorable,
        5.. => cluster_id: Option<String> where ignorable,
        5.. => node_id: i32 where ignorable = -1,
    }

    /// The versions of each API. A broker that does not know the request's version answers in version 0, with
    /// `UNSUPPORTED_VERSION` and (since 2.4) the range of ApiVersions itself.
    struct ApiVersionsResponse {
        0.. => error_code: i16,
        0.. => api_keys: Vec<ApiVersion>,
        1.. => throttle_time_ms: i32 where ignorable,
    } tags {
        (0, 3..) => supported_features: Vec<SupportedFeatureKey> where ignorable,
        (1, 3..) => finalized_features_epoch: i64 where ignorable = -1,
        (2, 3..) => finalized_features: Vec<FinalizedFeatureKey> where ignorable,
        (3, 3..) => zk_migration_ready: bool where ignorable,
    }

    struct ApiVersion {
        0.. => api_key: i16,
        0.. => min_version: i16,
        0.. => max_version: i16,
    }

    struct SupportedFeatureKey {
        3.. => name: String,
        3.. => min_version: i16,
        3.. => max_version: i16,
    }

    struct FinalizedFeatureKey {
        3.. => name: String,
        3.. => max_version_level: i16,
        3.. => min_version_level: i16,
    }
}

impl ApiVersionsResponse {
    /// Reads the response to a request of this version. A broker that does not have the version answers in version 0,
    /// whatever was asked; then `error_code` is 35 (`UNSUPPORTED_VERSION`).
    pub fn from_body(body: &[u8], version: i16) -> Result<Self, DecodeError> {
        let error_code = i16::decode(&mut Reader::new(body, version, false))?;
        let version = if error_code == UNSUPPORTED_VERSION { 0 } else { version };
        decode_response::<ApiVersionsRequest>(body, version)
    }
}

const UNSUPPORTED_VERSION: i16 = 35;
