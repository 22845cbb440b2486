//! The answer to ApiVersions: the rows of the node, or the form of version 0 for who asks too high.

use crate::{
    ErrorCode,
    protocol::{
        Request,
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
    },
};

use crate::testing::state::State;

impl State {
    pub(super) fn api_versions(&self, node: i32, version: i16) -> ApiVersionsResponse {
        let rows = self.nodes.get(&node).map_or(&[][..], |n| &n.versions);
        let own = rows.iter().filter(|row| row.0 == ApiVersionsRequest::KEY);
        let known = own.clone().any(|row| (row.1..=row.2).contains(&version));
        // A broker whose rows are nonsense answers nevertheless: that is what the nonsense is for.
        let beyond = !known && own.clone().any(|row| version > row.2);
        let unsupported = beyond || !ApiVersionsRequest::VERSIONS.contains(&version);
        ApiVersionsResponse {
            error_code: if unsupported { ErrorCode::UNSUPPORTED_VERSION.0 } else { 0 },
            api_keys: rows
                .iter()
                .filter(|row| !unsupported || row.0 == ApiVersionsRequest::KEY)
                .map(|row| ApiVersion { api_key: row.0, min_version: row.1, max_version: row.2 })
                .collect(),
            ..ApiVersionsResponse::default()
        }
    }
}
