//! The step between a connected socket and the first request: which versions the broker speaks.

use std::{io, time::Instant};

use super::{Connection, Failure, State};
use crate::protocol::{api_versions::ApiVersionsRequest, versions::ApiRanges};

impl Connection {
    pub(super) fn ask_versions(&mut self, version: i16, now: Instant) {
        self.renew_setup(now);
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
        let response = self.decoded::<ApiVersionsRequest>(body, version)?;
        let ranges = ApiRanges::from(&response);
        match response.error_code {
            0 => {
                self.ranges = ranges;
                self.begin_authentication(now)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{net::connection::ConnectionLimits, records::ChunkPool};

    const SETUP: Duration = Duration::from_secs(10);

    #[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
    fn connecting() -> (Connection, Instant) {
        let now = Instant::now();
        let limits = ConnectionLimits {
            setup_timeout: SETUP,
            max_idle: Duration::MAX,
            receive_max: 1 << 20,
            max_in_flight: 5,
            staging: 1 << 13,
            first_versions: 4,
        };
        (Connection::new(limits, "me".to_owned(), ChunkPool::new(0), now), now)
    }

    /// The broker has ApiVersions up to version 3 only.
    fn refuse_version(connection: &mut Connection, now: Instant) {
        let frame = [0, 0, 0, 16, 0, 0, 0, 0, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3];
        connection.read_space().expect("wanted")[..frame.len()].copy_from_slice(&frame);
        connection.handle_read(frame.len(), now).expect("it is asked in another version");
    }

    #[test]
    fn steps_in_time_share_one_deadline() {
        let (mut connection, start) = connecting();
        connection.handle_connected(start + SETUP / 4);
        refuse_version(&mut connection, start + SETUP / 2);
        assert_eq!(connection.poll_timeout(), start + SETUP);
        assert!(connection.handle_timeout(start + SETUP).is_err());
    }

    #[test]
    fn a_step_that_was_seen_only_after_the_deadline_leaves_time_for_the_next() {
        let (mut connection, start) = connecting();
        let back = start + 6 * SETUP;
        connection.handle_connected(back);
        assert!(connection.handle_timeout(back).is_ok());
        assert_eq!(connection.poll_timeout(), back + SETUP);
        let back = back + 6 * SETUP;
        refuse_version(&mut connection, back);
        assert!(connection.is_asking_versions());
        assert!(connection.handle_timeout(back + SETUP / 2).is_ok());
        assert!(connection.handle_timeout(back + SETUP).is_err());
    }
}
