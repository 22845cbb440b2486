//! For how long a broker wants to be left alone, as its answers say.

use super::{
    Request, find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
    join_group::JoinGroupRequest, leave_group::LeaveGroupRequest, list_offsets::ListOffsetsRequest,
    metadata::MetadataRequest, offset_commit::OffsetCommitRequest,
    offset_fetch::OffsetFetchRequest, offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    sync_group::SyncGroupRequest,
};

/// From which version on that is left to the client: before, the broker has waited already when it answers (KIP-219). In
/// all of these the time comes first.
const LEFT_TO_CLIENTS: [(i16, i16); 10] = [
    (FindCoordinatorRequest::KEY, 2),
    (HeartbeatRequest::KEY, 2),
    (JoinGroupRequest::KEY, 3),
    (LeaveGroupRequest::KEY, 2),
    (ListOffsetsRequest::KEY, 3),
    (MetadataRequest::KEY, 6),
    (OffsetCommitRequest::KEY, 4),
    (OffsetFetchRequest::KEY, 4),
    (OffsetForLeaderEpochRequest::KEY, 2),
    (SyncGroupRequest::KEY, 2),
];

/// The time in an answer, in milliseconds; 0 where it has none, or the broker has waited itself. Answers to Fetch, which are
/// not read as a whole, have theirs elsewhere.
#[must_use]
pub fn throttle_time_ms(key: i16, version: i16, body: &[u8]) -> i32 {
    let left_to_us = LEFT_TO_CLIENTS.iter().any(|(api, from)| *api == key && version >= *from);
    let time = body.first_chunk::<4>().filter(|_| left_to_us);
    time.map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        encode_response, find_coordinator::FindCoordinatorResponse, heartbeat::HeartbeatResponse,
        join_group::JoinGroupResponse, leave_group::LeaveGroupResponse,
        list_offsets::ListOffsetsResponse, metadata::MetadataResponse,
        offset_commit::OffsetCommitResponse, offset_fetch::OffsetFetchResponse,
        offset_for_leader_epoch::OffsetForLeaderEpochResponse, response_header_len,
        sync_group::SyncGroupResponse,
    };

    /// From which version on the time of a response is seen.
    fn seen_from<R: Request>(response: R::Response) -> (i16, i16) {
        let seen = R::VERSIONS.filter(|version| {
            let mut frame = Vec::new();
            encode_response::<R>(&mut frame, *version, 1, &response)
                .expect("all it has is optional");
            let body = &frame[4 + response_header_len(R::KEY, *version)..];
            match throttle_time_ms(R::KEY, *version, body) {
                0 => false,
                time => {
                    assert_eq!(time, 77, "{} v{version}", R::NAME);
                    true
                }
            }
        });
        let seen: Vec<i16> = seen.collect();
        assert!(seen.ends_with(&[*R::VERSIONS.end()]) && seen.is_sorted());
        (R::KEY, seen[0])
    }

    macro_rules! seen_from {
        ($($request:ident, $response:ident);+) => {
            [$(seen_from::<$request>($response { throttle_time_ms: 77, ..Default::default() })),+]
        };
    }

    #[test]
    fn the_time_is_where_it_is_looked_for_in_all_versions_that_leave_it_to_clients() {
        let seen = seen_from![
            FindCoordinatorRequest, FindCoordinatorResponse;
            HeartbeatRequest, HeartbeatResponse;
            JoinGroupRequest, JoinGroupResponse;
            LeaveGroupRequest, LeaveGroupResponse;
            ListOffsetsRequest, ListOffsetsResponse;
            MetadataRequest, MetadataResponse;
            OffsetCommitRequest, OffsetCommitResponse;
            OffsetFetchRequest, OffsetFetchResponse;
            OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
            SyncGroupRequest, SyncGroupResponse
        ];
        assert_eq!(seen, LEFT_TO_CLIENTS);
        assert_eq!(throttle_time_ms(HeartbeatRequest::KEY, 4, &[0, 0]), 0);
    }
}
