//! What a broker remembers of the requests that came.

use std::{fmt, time::Instant};

use crate::{
    protocol::{self, Request, RequestHeader, sasl_authenticate::SaslAuthenticateRequest},
    wire::{DecodeError, SecretBytes},
};

use crate::testing::cluster::ConnectionId;

/// A request that came.
#[derive(Clone)]
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

/// The requests that came, as far as they are kept.
#[derive(Default)]
pub(crate) struct RequestLog {
    requests: Vec<LoggedRequest>,
    bytes: usize,
}

impl RequestLog {
    /// A request has come. Of too many, the older half goes, so that whatever a peer sends costs bounded memory.
    pub(crate) fn push(&mut self, request: LoggedRequest) {
        self.bytes += request.size();
        self.requests.push(request);
        if self.bytes <= MOST_BYTES {
            return;
        }
        let (mut oldest, mut freed) = (0, 0);
        while self.bytes - freed > MOST_BYTES / 2 && oldest < self.requests.len() {
            freed += self.requests[oldest].size();
            oldest += 1;
        }
        self.requests.drain(..oldest);
        self.bytes -= freed;
    }

    pub(crate) fn all(&self) -> &[LoggedRequest] {
        &self.requests
    }
}

/// So much memory the requests may take that are kept.
const MOST_BYTES: usize = 256 << 20;

impl fmt::Debug for LoggedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, connection, header, body, at } = self;
        let mut out = f.debug_struct("LoggedRequest");
        out.field("node", node).field("connection", connection).field("header", header);
        match self.is::<SaslAuthenticateRequest>() {
            // A password may be in it.
            true => out.field("body", &SecretBytes(body.clone())),
            false => out.field("body", body),
        };
        out.field("at", at).finish()
    }
}

impl LoggedRequest {
    fn size(&self) -> usize {
        let client_id = self.header.client_id.as_ref().map_or(0, String::len);
        size_of::<Self>() + client_id + self.body.len()
    }

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
