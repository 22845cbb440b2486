//! What a broker remembers of the requests that came.

use std::time::Instant;

use crate::{
    protocol::{self, Request, RequestHeader},
    wire::DecodeError,
};

use crate::testing::cluster::ConnectionId;

/// A request that came.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// To which node.
    pub node: i32,
    /// On which connection.
    pub connection: ConnectionId,
    /// API, version, correlation id and client id.
    pub header: RequestHeader,
    /// What follows the header.
    pub body: Vec<u8>,
    /// When.
    pub at: Instant,
}

impl LoggedRequest {
    /// Whether it is a request of this API.
    #[must_use]
    pub fn is<R: Request>(&self) -> bool {
        self.header.api_key == R::KEY
    }

    /// The request, where it is one of this API.
    ///
    /// # Errors
    /// Where its bytes are malformed.
    pub fn decode<R: Request>(&self) -> Result<R, DecodeError> {
        assert!(self.is::<R>(), "{:?} is no {} request", self.header, R::NAME);
        protocol::decode_request(&self.body, self.header.api_version)
    }
}
