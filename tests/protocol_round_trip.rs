//! Whatever is written is read back: every message in every version.

use std::fmt::Debug;

use kafka_blocking::{
    protocol::{
        Request, consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription, decode_request,
        decode_request_header, decode_response, decode_response_header, encode_request,
        encode_response,
    },
    wire::{DecodeError, Reader, Sampler, Wire, Writer},
};
use protocol_support::for_every_api;

mod protocol_support;

#[test]
fn requests_are_read_back_in_every_version() {
    for_every_api!(read_back_requests());
}

#[test]
fn responses_are_read_back_in_every_version() {
    for_every_api!(read_back_responses());
}

#[test]
fn the_default_of_every_message_can_be_written_in_every_version() {
    for_every_api!(write_defaults());
}

#[test]
fn fault_216_every_prefix_of_a_message_ends_too_early() {
    for_every_api!(cut_short());
}

#[test]
fn fault_215_bytes_behind_a_message_are_ignored() {
    for_every_api!(append_bytes());
}

#[test]
fn versions_that_are_not_declared_are_refused() {
    for_every_api!(refuse_unknown_versions());
}

#[test]
fn the_consumer_protocol_is_read_back_in_every_version() {
    for version in 0..=3 {
        for nulls in [false, true] {
            read_back::<ConsumerProtocolSubscription>(version, false, nulls);
            read_back::<ConsumerProtocolAssignment>(version, false, nulls);
        }
    }
}

fn read_back_requests<R: Request + PartialEq + Debug>() {
    for version in R::VERSIONS {
        for nulls in [false, true] {
            read_back::<R>(version, version >= R::FLEXIBLE, nulls);
        }
        let request = R::sample(&mut Sampler::new(version, false));
        let mut out = vec![0xee];
        encode_request(&mut out, version, 7, Some("me"), &request).expect("a sample fits");
        let (length, frame) = out[1..].split_first_chunk().expect("a length comes first");
        assert_eq!(i32::from_be_bytes(*length) as usize, frame.len());
        let (header, body) = decode_request_header(frame).expect("we wrote it");
        assert_eq!((header.api_key, header.api_version), (R::KEY, version));
        assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("me")));
        assert_eq!(decode_request(&frame[body..], version), Ok(request));
    }
}

fn read_back_responses<R: Request<Response: PartialEq + Debug>>() {
    for version in R::VERSIONS {
        for nulls in [false, true] {
            read_back::<R::Response>(version, version >= R::FLEXIBLE, nulls);
        }
        let response = R::Response::sample(&mut Sampler::new(version, false));
        let mut out = vec![];
        encode_response::<R>(&mut out, version, 7, &response).expect("a sample fits");
        let mut r = Reader::new(&out[4..], version, version >= R::FLEXIBLE);
        assert_eq!(decode_response_header(&mut r, R::KEY, version), Ok(7));
        let body = &out[4 + r.consumed()..];
        assert_eq!(decode_response::<R>(body, version), Ok(response));
    }
}

fn read_back<T: Wire + PartialEq + Debug>(version: i16, flexible: bool, nulls: bool) {
    let value = T::sample(&mut Sampler::new(version, nulls));
    let bytes = written(&value, version, flexible);
    let mut r = Reader::new(&bytes, version, flexible);
    assert_eq!(T::decode(&mut r), Ok(value), "version {version}");
    assert_eq!(r.remaining(), 0, "version {version}");
    assert!(bytes.len() >= T::min_size(version, flexible));
}

fn write_defaults<R: Request<Response: Default> + Default>() {
    for version in R::VERSIONS {
        let mut out = vec![];
        let request = encode_request(&mut out, version, 1, None, &R::default());
        request.unwrap_or_else(|error| panic!("{} v{version}: {error}", R::NAME));
        let response = encode_response::<R>(&mut out, version, 1, &R::Response::default());
        response.unwrap_or_else(|error| panic!("{} v{version}: {error}", R::NAME));
    }
}

fn cut_short<R: Request<Response: Debug> + Debug>() {
    for version in R::VERSIONS {
        let flexible = version >= R::FLEXIBLE;
        let sampler = Sampler::new(version, false);
        let request = written(&R::sample(&mut sampler.clone()), version, flexible);
        for len in 0..request.len() {
            let read = decode_request::<R>(&request[..len], version);
            assert_eq!(read.expect_err("it is cut short"), DecodeError::UnexpectedEnd);
        }
        let response = written(&R::Response::sample(&mut sampler.clone()), version, flexible);
        for len in 0..response.len() {
            let read = decode_response::<R>(&response[..len], version);
            assert_eq!(read.expect_err("it is cut short"), DecodeError::UnexpectedEnd);
        }
    }
}

fn append_bytes<R: Request<Response: PartialEq + Debug>>() {
    for version in R::VERSIONS {
        let response = R::Response::sample(&mut Sampler::new(version, false));
        let mut bytes = written(&response, version, version >= R::FLEXIBLE);
        bytes.extend([1, 2, 3]);
        assert_eq!(decode_response::<R>(&bytes, version), Ok(response));
    }
}

fn refuse_unknown_versions<R: Request<Response: Debug + Default> + Default>() {
    for version in [-1, R::VERSIONS.end() + 1, i16::MAX] {
        let mut out = vec![];
        assert!(encode_request(&mut out, version, 1, None, &R::default()).is_err());
        assert!(encode_response::<R>(&mut out, version, 1, &R::Response::default()).is_err());
        assert_eq!(out, []);
        let error = DecodeError::Version { api: R::NAME, version };
        assert_eq!(decode_response::<R>(&[0; 99], version).map(drop), Err(error));
    }
}

fn written<T: Wire>(value: &T, version: i16, flexible: bool) -> Vec<u8> {
    let mut bytes = vec![];
    let written = value.encode(&mut Writer::new(&mut bytes, version, flexible));
    written.unwrap_or_else(|error| panic!("v{version}: {error}"));
    bytes
}
