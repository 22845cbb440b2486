//! The answers to JoinGroup, SyncGroup, Heartbeat and LeaveGroup: what the group says, in the form of the version.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::{
        RequestHeader,
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        join_group::{JoinGroupRequest, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse},
        sync_group::{SyncGroupRequest, SyncGroupResponse},
    },
};

use super::{Body, Outcome, Wait};
use crate::testing::{groups::mail::Answer, state::State};

impl State {
    pub(super) fn join_group(
        &mut self,
        node: i32,
        header: &RequestHeader,
        request: &JoinGroupRequest,
        now: Instant,
    ) -> Outcome {
        if let Err(code) = self.coordinates(node, &request.group_id) {
            return Outcome::Now(Body::new::<JoinGroupRequest>(join_refused(request, code)));
        }
        let client_id = header.client_id.as_deref().unwrap_or_default();
        let version = header.api_version;
        Outcome::Wait(Wait::Group {
            ticket: self.groups.join(request, client_id, version, now),
            version,
        })
    }

    pub(super) fn sync_group(
        &mut self,
        node: i32,
        version: i16,
        request: &SyncGroupRequest,
        now: Instant,
    ) -> Outcome {
        match self.coordinates(node, &request.group_id) {
            // As Kafka does, so that the member joins again instead of waiting for the group to be loaded.
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => {
                let code = ErrorCode::REBALANCE_IN_PROGRESS;
                Outcome::Now(Body::new::<SyncGroupRequest>(sync_refused(code)))
            }
            Err(code) => Outcome::Now(Body::new::<SyncGroupRequest>(sync_refused(code))),
            Ok(()) => Outcome::Wait(Wait::Group {
                ticket: self.groups.sync(request, version, now),
                version,
            }),
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        node: i32,
        request: &HeartbeatRequest,
        now: Instant,
    ) -> HeartbeatResponse {
        let outcome = match self.coordinates(node, &request.group_id) {
            // The group is not known yet, so nobody can say that it is not well.
            Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => Ok(()),
            Err(code) => Err(code),
            Ok(()) => self.groups.heartbeat(request, now),
        };
        let error_code = outcome.map_or_else(|code| code.0, |()| 0);
        HeartbeatResponse { error_code, ..HeartbeatResponse::default() }
    }

    pub(super) fn leave_group(
        &mut self,
        node: i32,
        version: i16,
        request: &LeaveGroupRequest,
        now: Instant,
    ) -> LeaveGroupResponse {
        let single = MemberIdentity { member_id: request.member_id.clone(), ..Default::default() };
        let who = if version >= 3 { request.members.clone() } else { vec![single] };
        let left = self
            .coordinates(node, &request.group_id)
            .and_then(|()| self.groups.leave(&request.group_id, &who, now));
        let mut response = LeaveGroupResponse::default();
        match left {
            Err(code) => response.error_code = code.0,
            Ok(members) if version >= 3 => response.members = members,
            Ok(members) => response.error_code = members[0].error_code,
        }
        response
    }
}

/// The answer of a group, in the form of a version.
pub(super) fn body(answer: Answer, version: i16) -> Body {
    match answer {
        Answer::Sync(response) => Body::new::<SyncGroupRequest>(response),
        Answer::Join(mut response) => {
            if version < 7 {
                response.protocol_name.get_or_insert_default();
            }
            Body::new::<JoinGroupRequest>(response)
        }
    }
}

pub(super) fn join_refused(request: &JoinGroupRequest, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.0,
        member_id: request.member_id.clone(),
        ..JoinGroupResponse::default()
    }
}

pub(super) fn sync_refused(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: code.0, ..SyncGroupResponse::default() }
}

/// An error of a member stands beside it, where members are named; one of the group stands above.
pub(super) fn leave_refused(request: &LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse {
    let of_members = [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_INSTANCE_ID].contains(&code);
    if !of_members || request.members.is_empty() {
        return LeaveGroupResponse { error_code: code.0, ..LeaveGroupResponse::default() };
    }
    let members = request.members.iter().map(|m| MemberResponse {
        member_id: m.member_id.clone(),
        group_instance_id: m.group_instance_id.clone(),
        error_code: code.0,
    });
    LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
}
