//! The step between a connected socket and the first request: which versions the broker speaks.

use std::{io, time::Instant};

use super::{Connection, Event, Failure, State};
use crate::protocol::{
    self,
    api_versions::{ApiVersionsRequest, ApiVersionsResponse},
    versions::ApiRanges,
};

impl Connection {
    pub(super) fn ask_versions(&mut self, version: i16, now: Instant) {
        self.state = State::Versions { asked: version };
        let request = ApiVersionsRequest {
            client_software_name: if version >= 3 {
                env!("CARGO_PKG_NAME").to_owned()
            } else {
                String::new()
            },
            client_software_version: if version >= 3 {
                env!("CARGO_PKG_VERSION").to_owned()
            } else {
                String::new()
            },
            ..ApiVersionsRequest::default()
        };
        // The set-up deadline covers it; a deadline of its own would only be later.
        self.send(0, version, &request, self.limits.setup_timeout, now)
            .expect("every field is in this version");
    }

    /// A broker that does not know our version answers in the form of v0, with an error and the range that it has.
    pub(super) fn handle_versions(
        &mut self,
        body: &[u8],
        asked: i16,
        now: Instant,
    ) -> Result<(), Failure> {
        const UNSUPPORTED_VERSION: i16 = 35;
        let error = body.first_chunk::<2>().map(|code| i16::from_be_bytes(*code));
        let version = if error == Some(UNSUPPORTED_VERSION) { 0 } else { asked };
        let response: ApiVersionsResponse =
            protocol::decode_response::<ApiVersionsRequest>(body, version).map_err(|e| {
                self.failure(
                    io::ErrorKind::InvalidData,
                    format!("malformed ApiVersions response: {e}"),
                )
            })?;
        let ranges = ApiRanges::from(&response);
        match response.error_code {
            0 => {
                self.ranges = ranges;
                self.state = State::Ready;
                self.events.push_back(Event::Ready);
                Ok(())
            }
            UNSUPPORTED_VERSION if asked > 0 => {
                let retry =
                    ranges.pick::<ApiVersionsRequest>(None).filter(|v| *v < asked).unwrap_or(0);
                self.ask_versions(retry, now);
                Ok(())
            }
            code => {
                let code = crate::ErrorCode(code);
                Err(self.failure(
                    io::ErrorKind::InvalidData,
                    format!("ApiVersions was answered with {code}"),
                ))
            }
        }
    }
}
