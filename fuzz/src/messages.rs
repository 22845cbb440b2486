//! Every message in every version: any bytes give a value or an error, and a value is read back from what it is written as.

use std::fmt::Debug;

use kafka_blocking::{
    protocol::{
        self as p, Request, decode_request, decode_request_header, decode_response,
        throttle::throttle_time_ms,
    },
    wire::{DecodeError, Reader, Sampler, Wire, Writer},
};

use crate::input::Input;

/// One API, as what can be done with it.
pub(crate) struct Api {
    pub(crate) name: &'static str,
    pub(crate) key: i16,
    pub(crate) first: i16,
    pub(crate) last: i16,
    request: fn(&[u8], i16),
    response: fn(&[u8], i16),
    /// A response that is well-formed, behind its correlation id.
    pub(crate) sample: fn(i16) -> Vec<u8>,
}

impl Api {
    const fn of<R>() -> Self
    where
        R: Request<Response: PartialEq + Debug> + PartialEq + Debug,
    {
        Self {
            name: R::NAME,
            key: R::KEY,
            first: *R::VERSIONS.start(),
            last: *R::VERSIONS.end(),
            request: |body, version| {
                read_back::<R>(body, version, version >= R::FLEXIBLE);
                let _ = decode_request::<R>(body, version);
            },
            response: |body, version| {
                read_back::<R::Response>(body, version, version >= R::FLEXIBLE);
                let _ = decode_response::<R>(body, version);
                let _ = throttle_time_ms(R::KEY, version, body);
            },
            sample: |version| {
                let response = R::Response::sample(&mut Sampler::new(version, false));
                let mut frame = vec![];
                p::encode_response::<R>(&mut frame, version, 0, &response).expect("a sample fits");
                frame.split_off(8)
            },
        }
    }
}

/// All of them; vectors and inputs name them by their place here.
pub(crate) const APIS: &[Api] = &[
    Api::of::<p::add_offsets_to_txn::AddOffsetsToTxnRequest>(),
    Api::of::<p::add_partitions_to_txn::AddPartitionsToTxnRequest>(),
    Api::of::<p::api_versions::ApiVersionsRequest>(),
    Api::of::<p::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest>(),
    Api::of::<p::create_topics::CreateTopicsRequest>(),
    Api::of::<p::delete_groups::DeleteGroupsRequest>(),
    Api::of::<p::delete_records::DeleteRecordsRequest>(),
    Api::of::<p::delete_topics::DeleteTopicsRequest>(),
    Api::of::<p::describe_cluster::DescribeClusterRequest>(),
    Api::of::<p::describe_configs::DescribeConfigsRequest>(),
    Api::of::<p::describe_groups::DescribeGroupsRequest>(),
    Api::of::<p::end_txn::EndTxnRequest>(),
    Api::of::<p::fetch::FetchRequest>(),
    Api::of::<p::find_coordinator::FindCoordinatorRequest>(),
    Api::of::<p::heartbeat::HeartbeatRequest>(),
    Api::of::<p::init_producer_id::InitProducerIdRequest>(),
    Api::of::<p::join_group::JoinGroupRequest>(),
    Api::of::<p::leave_group::LeaveGroupRequest>(),
    Api::of::<p::list_groups::ListGroupsRequest>(),
    Api::of::<p::list_offsets::ListOffsetsRequest>(),
    Api::of::<p::metadata::MetadataRequest>(),
    Api::of::<p::offset_commit::OffsetCommitRequest>(),
    Api::of::<p::offset_fetch::OffsetFetchRequest>(),
    Api::of::<p::offset_for_leader_epoch::OffsetForLeaderEpochRequest>(),
    Api::of::<p::produce::ProduceRequest>(),
    Api::of::<p::sasl_authenticate::SaslAuthenticateRequest>(),
    Api::of::<p::sasl_handshake::SaslHandshakeRequest>(),
    Api::of::<p::sync_group::SyncGroupRequest>(),
    Api::of::<p::txn_offset_commit::TxnOffsetCommitRequest>(),
];

// A new API must come into this list, too.
const _: () = {
    let (mut apis, mut at) = (0, 0);
    while at < p::SCHEMAS.len() {
        if p::SCHEMAS[at].key.is_some() {
            apis += 1;
        }
        at += 1;
    }
    assert!(apis == APIS.len());
};

/// The first byte chooses the API, the second one the version.
pub(crate) fn responses(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (api, version) = choose(&mut input);
    (api.response)(input.0, version);
}

/// The same; the body is also a frame, with a header of its own.
pub(crate) fn requests(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (api, version) = choose(&mut input);
    (api.request)(input.0, version);
    let Ok((header, at)) = decode_request_header(input.0) else { return };
    assert!(at <= input.0.len());
    let known = APIS.iter().find(|api| api.key == header.api_key);
    if let Some(api) = known.filter(|api| (api.first..=api.last).contains(&header.api_version)) {
        (api.request)(&input.0[at..], header.api_version);
    }
}

pub(crate) fn choose(input: &mut Input<'_>) -> (&'static Api, i16) {
    let api = &APIS[input.below(APIS.len())];
    let versions = api.last - api.first + 1;
    (api, api.first + i16::from(input.byte()) % versions)
}

/// Decodes, encodes and decodes again.
pub(crate) fn read_back<T: Wire + PartialEq + Debug>(bytes: &[u8], version: i16, flexible: bool) {
    let Ok(value) = T::decode(&mut Reader::new(bytes, version, flexible)) else { return };
    let mut written = vec![];
    let done = value.encode(&mut Writer::new(&mut written, version, flexible));
    done.unwrap_or_else(|error| panic!("{error}: {value:?}"));
    assert!(written.len() >= T::min_size(version, flexible), "{value:?}");
    let mut reader = Reader::new(&written, version, flexible);
    match T::decode(&mut reader) {
        // Bytes that were behind it, or tags that nobody knows, had allowed it more memory.
        Err(DecodeError::TooLarge) => assert!(written.len() < bytes.len(), "{value:?}"),
        again => {
            assert_eq!(again.as_ref(), Ok(&value));
            assert_eq!(reader.remaining(), 0, "{value:?}");
        }
    }
}
