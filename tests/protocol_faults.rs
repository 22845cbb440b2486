//! Which malformed messages are refused, and which oddities are read all the same.

use kafka_blocking::{
    protocol::{
        Request, decode_response,
        fetch::{FetchRequest, FetchResponse},
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse},
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        metadata::{MetadataRequest, MetadataResponse, MetadataResponseTopic},
        sync_group::{SyncGroupRequest, SyncGroupResponse},
    },
    wire::{DecodeError, Wire, Writer},
};

fn written(message: &impl Wire, version: i16, flexible: bool) -> Vec<u8> {
    let mut bytes = vec![];
    message.encode(&mut Writer::new(&mut bytes, version, flexible)).expect("it can be written");
    bytes
}

/// What comes of a response in which these bytes, which are there once, are others.
fn read_with<R: Request>(
    response: &R::Response,
    version: i16,
    from: &[u8],
    to: &[u8],
) -> Result<R::Response, DecodeError>
where
    R::Response: Wire,
{
    let bytes = written(response, version, version >= R::FLEXIBLE);
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    let [at] = places[..] else { panic!("{from:?} is at {places:?} of {bytes:?}") };
    let changed = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
    decode_response::<R>(&changed, version)
}

fn one_topic() -> MetadataResponse {
    let topic = MetadataResponseTopic { name: Some("topic".into()), ..Default::default() };
    MetadataResponse { topics: vec![topic], ..Default::default() }
}

#[test]
fn fault_212_a_count_that_the_bytes_cannot_hold_or_of_null_is_an_error() {
    // The only count that is not zero is that of the topics, before an error code and the name.
    let plain = [&1_i32.to_be_bytes()[..], &[0, 0], &[0, 5], b"topic"].concat();
    let with = |count: i32| [&count.to_be_bytes()[..], &[0, 0], &[0, 5], b"topic"].concat();
    for count in [2, 1_000, i32::MAX] {
        let read = read_with::<MetadataRequest>(&one_topic(), 4, &plain, &with(count));
        assert_eq!(read, Err(DecodeError::UnexpectedEnd), "{count} topics");
    }
    for count in [-1, -2, i32::MIN] {
        let read = read_with::<MetadataRequest>(&one_topic(), 4, &plain, &with(count));
        assert!(matches!(read, Err(DecodeError::Malformed { .. })), "{count}: {read:?}");
    }
    // Compact: one more than there are, and nothing for null.
    let plain = [&[2, 0, 0, 6][..], b"topic"].concat();
    for count in [&[3][..], &[0], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff, 0xff, 0xff, 0xff, 0x1f]]
    {
        let other = [count, &[0, 0, 6], b"topic"].concat();
        let read = read_with::<MetadataRequest>(&one_topic(), 9, &plain, &other);
        assert!(read.is_err(), "{count:?}: {read:?}");
    }
}

#[test]
fn fault_213_names_that_are_null_or_no_text_are_errors() {
    let topic = MetadataResponseTopic { name: Some("topic".into()), ..Default::default() };
    let response = MetadataResponse { topics: vec![topic], ..Default::default() };
    // In version 4 a topic must have a name.
    let (name, null) = ([&[0, 5][..], b"topic"].concat(), [0xff, 0xff]);
    let read = read_with::<MetadataRequest>(&response, 4, &name, &null);
    assert!(matches!(read, Err(DecodeError::Malformed { .. })), "{read:?}");
    let read = read_with::<MetadataRequest>(&response, 4, b"topic", b"to\xc3\x28c");
    let error = read.expect_err("that is not UTF-8").to_string();
    assert!(error.contains("UTF-8"), "{error}");
}

#[test]
fn fault_213_a_long_text_of_a_broker_is_read_as_it_is() {
    let text = "x".repeat(1 << 14);
    let response =
        FindCoordinatorResponse { error_message: Some(text.clone()), ..Default::default() };
    let bytes = written(&response, 2, false);
    let read = decode_response::<FindCoordinatorRequest>(&bytes, 2).expect("it is well formed");
    assert_eq!(read.error_message, Some(text));
}

/// A Heartbeat response of version 4 with these bytes for its tagged fields.
fn with_tags(tags: &[u8]) -> Result<HeartbeatResponse, DecodeError> {
    let mut bytes = written(&HeartbeatResponse::default(), 4, true);
    assert_eq!(bytes.pop(), Some(0), "it has none of its own");
    bytes.extend(tags);
    decode_response::<HeartbeatRequest>(&bytes, 4)
}

#[test]
fn fault_214_unknown_tagged_fields_are_skipped_in_any_order_and_however_often() {
    let well_formed: [&[u8]; 4] = [
        &[1, 9, 0],
        &[2, 9, 1, 0xaa, 3, 2, 0xbb, 0xcc],
        &[2, 9, 1, 0xaa, 9, 1, 0xbb],
        &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0xaa],
    ];
    for tags in well_formed {
        assert_eq!(with_tags(tags), Ok(HeartbeatResponse::default()), "{tags:?}");
    }
}

#[test]
fn fault_214_tagged_fields_that_reach_beyond_the_message_are_errors() {
    let cut_short: [&[u8]; 4] = [
        &[1, 9, 2, 0xaa],
        &[2, 9, 1, 0xaa],
        &[0xff, 0xff, 0xff, 0xff, 0x0f, 9, 1, 0xaa],
        &[1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xaa],
    ];
    for tags in cut_short {
        assert_eq!(with_tags(tags), Err(DecodeError::UnexpectedEnd), "{tags:?}");
    }
    let too_large = [1, 9, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(matches!(with_tags(&too_large), Err(DecodeError::Malformed { .. })));
}

#[test]
fn fault_214_a_known_tagged_field_counts_once_more_where_it_comes_twice_and_not_beyond_its_length()
{
    // Tag 0 of a Fetch response of version 16 are the endpoints of nodes: here none.
    let plain = written(&FetchResponse::default(), 16, true);
    let with = |tags: &[u8]| {
        let bytes = [&plain[..plain.len() - 1], tags].concat();
        decode_response::<FetchRequest>(&bytes, 16)
    };
    assert_eq!(plain.last(), Some(&0), "without endpoints there is no tagged field");
    assert!(with(&[2, 0, 1, 1, 0, 1, 1]).is_ok());
    // It says that it has three bytes, and has one: two are skipped.
    assert!(with(&[1, 0, 3, 1, 0xee, 0xee]).is_ok());
    // It says that it has one, and would need more.
    let read = with(&[1, 0, 1, 2]);
    assert!(matches!(read, Err(DecodeError::Malformed { .. })), "{read:?}");
}

#[test]
fn fault_215_bytes_behind_an_assignment_are_left_alone_and_its_own_length_counts() {
    let response = SyncGroupResponse { assignment: vec![1, 2, 3], ..Default::default() };
    let mut bytes = written(&response, 2, false);
    bytes.extend([9; 100]);
    let read = decode_response::<SyncGroupRequest>(&bytes, 2).expect("the rest is ignored");
    assert_eq!(read, response);
}
