//! What the tables say about versions, nulls and tags is what happens on the wire.

use kafka_blocking::{
    protocol::{
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        consumer_protocol_subscription::{ConsumerProtocolSubscription, TopicPartition},
        create_topics::CreateTopicsRequest,
        decode_request, decode_request_header, decode_response, decode_response_header,
        encode_request, encode_response,
        fetch::{EpochEndOffset, FetchRequest, PartitionData},
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        join_group::JoinGroupRequest,
        metadata::{MetadataRequest, MetadataResponse},
        response_header_len,
        sasl_authenticate::SaslAuthenticateRequest,
    },
    wire::{DecodeError, EncodeError, Reader, Wire, Writer},
};

#[test]
fn a_value_that_the_version_cannot_carry_is_an_error() {
    let request = CreateTopicsRequest { validate_only: true, ..Default::default() };
    let error = encode_request(&mut vec![], 0, 1, None, &request).expect_err("v0 would create");
    assert_eq!(error.to_string(), "CreateTopicsRequest.validate_only is not in version 0");

    let request = JoinGroupRequest { group_instance_id: Some("a".into()), ..Default::default() };
    let field = "JoinGroupRequest.group_instance_id";
    let error = Err(EncodeError::NotInVersion { field, version: 4 });
    assert_eq!(encode_request(&mut vec![], 4, 1, None, &request), error);
    assert_eq!(encode_request(&mut vec![], 5, 1, None, &request), Ok(()));
}

#[test]
fn an_ignorable_value_is_left_out_where_the_version_lacks_it() {
    let with = FetchRequest { rack_id: "rack".into(), ..Default::default() };
    assert_eq!(body(&with, 10, false), body(&FetchRequest::default(), 10, false));
    assert_ne!(body(&with, 11, false), body(&FetchRequest::default(), 11, false));
}

#[test]
fn a_failed_request_leaves_nothing_behind() {
    let mut out = vec![1, 2, 3];
    let request = CreateTopicsRequest { validate_only: true, ..Default::default() };
    assert!(encode_request(&mut out, 0, 1, None, &request).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn all_topics_is_null_and_in_version_0_empty() {
    let all = MetadataRequest::all_topics();
    assert_eq!(body(&all, 0, false), [0, 0, 0, 0]);
    assert_eq!(body(&all, 1, false), [0xff, 0xff, 0xff, 0xff]);
    assert_eq!(body(&all, 9, true)[0], 0);
    assert_eq!(body(&MetadataRequest::topics::<&str>([]), 1, false), [0, 0, 0, 0]);
    assert_eq!(body(&MetadataRequest::topics(["a"]), 0, false), [0, 0, 0, 1, 0, 1, b'a']);
}

#[test]
fn null_is_refused_in_versions_that_do_not_have_it() {
    let mut request = MetadataRequest::topics(["a"]);
    request.topics.as_mut().expect("it has topics")[0].name = None;
    let field = "MetadataRequestTopic.name";
    let error = Err(EncodeError::NullInVersion { field, version: 9 });
    assert_eq!(encode_request(&mut vec![], 9, 1, None, &request), error);
    assert_eq!(encode_request(&mut vec![], 10, 1, None, &request), Ok(()));
}

#[test]
fn an_error_names_the_field_that_is_malformed() {
    let mut bytes = body(&MetadataResponse::default(), 0, false);
    bytes[3] = 1;
    bytes.splice(4.., [0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 9, 0, 0, 0, 0]);
    let error = decode_response::<MetadataRequest>(&bytes, 0).expect_err("0xff is not UTF-8");
    assert_eq!(error.to_string(), "a string that is not UTF-8 in MetadataResponseBroker.host");
}

#[test]
fn a_tagged_field_is_written_only_where_it_differs_from_its_default() {
    let mut partition = PartitionData::default();
    assert_eq!(body(&partition, 12, true).last(), Some(&0));
    partition.diverging_epoch = EpochEndOffset { epoch: 3, end_offset: 8 };
    let bytes = body(&partition, 12, true);
    let section = [1, 0, 13, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    assert_eq!(bytes[bytes.len() - section.len()..], section);
}

#[test]
fn fault_214_tagged_fields_of_tomorrow_are_skipped() {
    let mut bytes = body(&HeartbeatResponse::default(), 4, true);
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend([2, 9, 1, 0xaa, 0xb0, 2, 2, 0xbb, 0xcc]);
    let read = decode_response::<HeartbeatRequest>(&bytes, 4);
    assert_eq!(read, Ok(HeartbeatResponse::default()));
}

#[test]
fn api_versions_is_answered_without_tags_in_the_header() {
    assert_eq!(response_header_len(HEARTBEAT, 4), 5);
    assert_eq!(response_header_len(HEARTBEAT, 3), 4);
    assert_eq!(response_header_len(API_VERSIONS, 3), 4);
    let mut out = vec![];
    let response = ApiVersionsResponse::default();
    encode_response::<ApiVersionsRequest>(&mut out, 3, 7, &response).expect("it fits");
    assert_eq!(out[4..], [0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn a_broker_without_the_version_of_api_versions_answers_in_version_0() {
    let api_keys = vec![ApiVersion { api_key: API_VERSIONS, min_version: 0, max_version: 3 }];
    let old = ApiVersionsResponse { error_code: 35, api_keys, ..Default::default() };
    assert_eq!(ApiVersionsResponse::from_body(&body(&old, 0, false), 5), Ok(old));
    let new = ApiVersionsResponse { throttle_time_ms: 9, ..Default::default() };
    assert_eq!(ApiVersionsResponse::from_body(&body(&new, 3, true), 3), Ok(new));
    assert_eq!(ApiVersionsResponse::from_body(&[0], 3), Err(DecodeError::UnexpectedEnd));
}

#[test]
fn headers_may_have_tagged_fields() {
    let mut r = Reader::new(&[0, 0, 0, 7, 1, 0, 1, 0xff, 42], 4, true);
    assert_eq!(decode_response_header(&mut r, HEARTBEAT, 4), Ok(7));
    assert_eq!(r.remaining(), 1);
    let frame = [0, 12, 0, 4, 0, 0, 0, 7, 0xff, 0xff, 1, 0, 1, 0xff, 42];
    let (header, body) = decode_request_header(&frame).expect("it is well formed");
    assert_eq!((header.client_id, body), (None, 14));
}

#[test]
fn the_header_of_an_unknown_api_is_read_up_to_the_client_id() {
    let frame = [3, 0xe7, 0, 9, 0, 0, 0, 7, 0, 1, b'c', 42];
    let (header, body) = decode_request_header(&frame).expect("it is well formed");
    assert_eq!((header.api_key, header.api_version, body), (999, 9, 11));
    for len in 0..11 {
        assert_eq!(decode_request_header(&frame[..len]), Err(DecodeError::UnexpectedEnd));
    }
}

#[test]
fn a_subscription_of_tomorrow_is_read_as_far_as_it_is_known() {
    let owned_partitions = vec![TopicPartition { topic: "a".into(), partitions: vec![1, 2] }];
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".into()],
        owned_partitions,
        generation_id: 4,
        rack_id: Some("rack".into()),
        ..Default::default()
    };
    let mut bytes = subscription.to_bytes(3).expect("version 3 has it all");
    bytes[1] = 9;
    bytes.extend([1, 2, 3]);
    assert_eq!(ConsumerProtocolSubscription::from_bytes(&bytes), Ok(subscription.clone()));

    let old = subscription.to_bytes(0).expect("what version 0 lacks is ignorable");
    assert_eq!(old[..7], [0, 0, 0, 0, 0, 1, 0]);
    let read = ConsumerProtocolSubscription::from_bytes(&old).expect("we wrote it");
    assert_eq!((read.generation_id, read.owned_partitions), (-1, vec![]));
    assert!(ConsumerProtocolSubscription::from_bytes(&[0xff, 0xff, 0, 0]).is_err());
    assert!(subscription.to_bytes(4).is_err());
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let request = SaslAuthenticateRequest { auth_bytes: b"\0me\0secret".to_vec().into() };
    assert_eq!(format!("{request:?}"), "SaslAuthenticateRequest { auth_bytes: <10 bytes> }");
    let frame = body(&request, 0, false);
    assert_eq!(decode_request(&frame, 0), Ok(request));
}

const HEARTBEAT: i16 = 12;
const API_VERSIONS: i16 = 18;

fn body(message: &impl Wire, version: i16, flexible: bool) -> Vec<u8> {
    let mut out = vec![];
    message.encode(&mut Writer::new(&mut out, version, flexible)).expect("it can be written");
    out
}
