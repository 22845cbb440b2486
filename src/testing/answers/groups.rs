//! Which answer the requests of groups get: the one of the group, or the error that a rule wants.

use std::time::Instant;

use crate::{
    protocol::{
        Request, RequestHeader, decode_request,
        find_coordinator::FindCoordinatorRequest,
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        join_group::JoinGroupRequest,
        leave_group::LeaveGroupRequest,
        offset_commit::OffsetCommitRequest,
        offset_fetch::OffsetFetchRequest,
        sync_group::SyncGroupRequest,
    },
    wire::DecodeError,
};

use super::{Body, Outcome, Refusals, coordinator, membership};
use crate::testing::state::State;

/// Whether a request goes to a group.
pub(super) fn is_of_group(key: i16) -> bool {
    [
        JoinGroupRequest::KEY,
        SyncGroupRequest::KEY,
        FindCoordinatorRequest::KEY,
        HeartbeatRequest::KEY,
        LeaveGroupRequest::KEY,
        OffsetCommitRequest::KEY,
        OffsetFetchRequest::KEY,
    ]
    .contains(&key)
}

impl State {
    pub(super) fn take_of_group(
        &mut self,
        node: i32,
        header: &RequestHeader,
        body: &[u8],
        refusals: &Refusals,
        now: Instant,
    ) -> Result<Outcome, DecodeError> {
        if refusals.answered {
            return Ok(Outcome::Refused);
        }
        if refusals.all.is_some() {
            let refused = self.refuse(node, header, body, refusals, now)?;
            return Ok(refused.map_or(Outcome::Refused, Outcome::Now));
        }
        let version = header.api_version;
        let body = match header.api_key {
            JoinGroupRequest::KEY => {
                return Ok(self.join_group(node, header, &decode_request(body, version)?, now));
            }
            SyncGroupRequest::KEY => {
                return Ok(self.sync_group(node, version, &decode_request(body, version)?, now));
            }
            FindCoordinatorRequest::KEY => {
                let request = decode_request(body, version)?;
                Body::new::<FindCoordinatorRequest>(self.find_coordinator(version, &request))
            }
            HeartbeatRequest::KEY => {
                let request = decode_request(body, version)?;
                Body::new::<HeartbeatRequest>(self.heartbeat(node, &request, now))
            }
            LeaveGroupRequest::KEY => {
                let request = decode_request(body, version)?;
                Body::new::<LeaveGroupRequest>(self.leave_group(node, version, &request, now))
            }
            OffsetCommitRequest::KEY => {
                let request = decode_request(body, version)?;
                let response = self.commit_offsets(node, version, &request, refusals, now);
                Body::new::<OffsetCommitRequest>(response)
            }
            OffsetFetchRequest::KEY => {
                let request = decode_request(body, version)?;
                let response = self.fetch_offsets(node, version, &request, refusals);
                Body::new::<OffsetFetchRequest>(response)
            }
            _ => return Ok(Outcome::Refused),
        };
        Ok(Outcome::Now(body))
    }

    /// The error that a rule wants, in its place; the group does not hear of the request.
    fn refuse(
        &mut self,
        node: i32,
        header: &RequestHeader,
        body: &[u8],
        refusals: &Refusals,
        now: Instant,
    ) -> Result<Option<Body>, DecodeError> {
        let version = header.api_version;
        let Some(code) = refusals.all else { return Ok(None) };
        Ok(Some(match header.api_key {
            JoinGroupRequest::KEY => {
                let response = membership::join_refused(&decode_request(body, version)?, code);
                Body::refused::<JoinGroupRequest>(response)
            }
            SyncGroupRequest::KEY => {
                Body::refused::<SyncGroupRequest>(membership::sync_refused(code))
            }
            FindCoordinatorRequest::KEY => {
                let request = decode_request(body, version)?;
                let response = coordinator::refused(version, &request, code);
                Body::refused::<FindCoordinatorRequest>(response)
            }
            HeartbeatRequest::KEY => {
                let response =
                    HeartbeatResponse { error_code: code.0, ..HeartbeatResponse::default() };
                Body::refused::<HeartbeatRequest>(response)
            }
            LeaveGroupRequest::KEY => {
                let response = membership::leave_refused(&decode_request(body, version)?, code);
                Body::refused::<LeaveGroupRequest>(response)
            }
            OffsetCommitRequest::KEY => {
                let request = decode_request(body, version)?;
                let response = self.commit_offsets(node, version, &request, refusals, now);
                Body::refused::<OffsetCommitRequest>(response)
            }
            OffsetFetchRequest::KEY => {
                let request = decode_request(body, version)?;
                let response = self.fetch_offsets(node, version, &request, refusals);
                Body::refused::<OffsetFetchRequest>(response)
            }
            _ => return Ok(None),
        }))
    }
}
