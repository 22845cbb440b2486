//! What brokers do to their answers as the bytes of the fuzzer say: refuse, change, replace, delay, lose.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request, api_versions::ApiVersionsRequest, decode_response, fetch::FetchRequest,
        find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
        join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest, sync_group::SyncGroupRequest,
    },
    wire::{Reader, Wire, Writer},
};
use scripted_broker::{Cluster, When};

use crate::input::Input;

type MakeRule = fn(&mut Cluster, &mut Input<'_>);

const RULES: &[MakeRule] = &[
    rule::<FetchRequest>,
    rule::<MetadataRequest>,
    rule::<ListOffsetsRequest>,
    rule::<OffsetForLeaderEpochRequest>,
    rule::<ApiVersionsRequest>,
    // Of groups:
    rule::<FindCoordinatorRequest>,
    rule::<JoinGroupRequest>,
    rule::<SyncGroupRequest>,
    rule::<HeartbeatRequest>,
    rule::<OffsetFetchRequest>,
    rule::<OffsetCommitRequest>,
    rule::<LeaveGroupRequest>,
];

/// How many of the rules are for those who read without a group.
const WITHOUT_GROUP: usize = 5;

/// One more thing that brokers do.
pub(crate) fn add_rule(cluster: &mut Cluster, with_group: bool, input: &mut Input<'_>) {
    let rules = if with_group { RULES } else { &RULES[..WITHOUT_GROUP] };
    input.pick(rules)(cluster, input);
}

fn rule<R>(cluster: &mut Cluster, input: &mut Input<'_>)
where
    R: Request<Response: Send + Clone + 'static>,
{
    let version = version_of::<R>(cluster);
    let (kind, times, skip) = (input.byte(), 1 + input.below(6), input.below(4));
    let when: When<'_, R> = cluster.on::<R>().after(skip).times(times);
    match kind % 16 {
        0 => when.fail(ErrorCode(i16::from(input.byte().cast_signed()))),
        1..7 => {
            let changes: Vec<(usize, u8)> =
                (0..1 + input.below(4)).map(|_| (input.u16().into(), input.byte())).collect();
            when.rewrite(move |response| change::<R>(response, version, &changes));
        }
        7 | 8 => match decode_response::<R>(input.some(), version) {
            Ok(response) => when.respond(move |_| response.clone()),
            Err(_) => when.swallow(),
        },
        9 => when.bytes(input.some()),
        10 => when.cut_at(input.byte().into()),
        11 => when.corrupt(input.below(8), input.byte() | 1),
        12 => when.delay(Duration::from_millis(u64::from(input.u16()))),
        13 => when.stall_at(input.byte().into(), Duration::from_millis(u64::from(input.u16()))),
        14 if input.bool() => when.twice(),
        14 => when.swap_with_next(),
        _ => match input.byte() % 4 {
            0 => when.silence(),
            1 => when.swallow(),
            2 => when.close(),
            _ => when.close_after(),
        },
    }
}

/// The version in which the brokers and the client speak.
fn version_of<R: Request>(cluster: &Cluster) -> i16 {
    let rows = cluster.state.nodes.values().flat_map(|node| &node.versions);
    rows.filter(|row| row.0 == R::KEY).map(|row| row.2).min().unwrap_or(*R::VERSIONS.end())
}

/// Changes some bytes of a response, where it stays one.
fn change<R: Request>(response: &mut R::Response, version: i16, changes: &[(usize, u8)]) {
    let flexible = version >= R::FLEXIBLE;
    let mut bytes = Vec::new();
    if response.encode(&mut Writer::new(&mut bytes, version, flexible)).is_err() {
        return;
    }
    for (at, value) in changes {
        let len = bytes.len();
        if let Some(byte) = bytes.get_mut(at % len.max(1)) {
            *byte = *value;
        }
        if let Ok(changed) = R::Response::decode(&mut Reader::new(&bytes, version, flexible)) {
            *response = changed;
        }
    }
}
