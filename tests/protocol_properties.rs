//! What holds for any message, not only for samples: whatever is read can be written, and is read back.

use std::fmt::Debug;

use fastrand::Rng;
use kafka_blocking::{
    protocol::{
        Request, consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription,
        sticky_assignor_user_data::StickyAssignorUserData,
    },
    wire::{DecodeError, Reader, Sampler, Wire, Writer},
};
use protocol_support::for_every_api;
use scripted_broker::damage;

mod protocol_support;

/// How many damaged samples of each message in each version.
const DAMAGED: usize = 1_000;

#[test]
fn whatever_is_read_of_damaged_requests_is_written_and_read_back() {
    for_every_api!(requests());
}

#[test]
fn whatever_is_read_of_damaged_responses_is_written_and_read_back() {
    for_every_api!(responses());
}

#[test]
fn whatever_is_read_of_damaged_words_between_members_is_written_and_read_back() {
    for version in 0..=3 {
        damaged::<ConsumerProtocolSubscription>(version, false);
        damaged::<ConsumerProtocolAssignment>(version, false);
    }
    for version in 0..=1 {
        damaged::<StickyAssignorUserData>(version, false);
    }
}

fn requests<R: Request + PartialEq + Debug>() {
    for version in R::VERSIONS {
        damaged::<R>(version, version >= R::FLEXIBLE);
    }
}

fn responses<R: Request<Response: PartialEq + Debug>>() {
    for version in R::VERSIONS {
        damaged::<R::Response>(version, version >= R::FLEXIBLE);
    }
}

fn damaged<T: Wire + PartialEq + Debug>(version: i16, flexible: bool) {
    let mut random = Rng::with_seed(version.unsigned_abs().into());
    let mut read = 0;
    for _ in 0..DAMAGED {
        let sample = T::sample(&mut Sampler::new(version, random.bool()));
        let mut bytes = written(&sample, version, flexible);
        for _ in 0..random.usize(1..4) {
            damage(&mut bytes, &mut random);
        }
        read += usize::from(read_back::<T>(&bytes, version, flexible));
    }
    assert!(read > 0, "v{version}: nothing was read");
}

/// Says whether the bytes are a message; then it is read back from what it is written as.
fn read_back<T: Wire + PartialEq + Debug>(bytes: &[u8], version: i16, flexible: bool) -> bool {
    let Ok(value) = T::decode(&mut Reader::new(bytes, version, flexible)) else { return false };
    let again = written(&value, version, flexible);
    assert!(again.len() >= T::min_size(version, flexible), "v{version}: {value:?}");
    let mut reader = Reader::new(&again, version, flexible);
    match T::decode(&mut reader) {
        // The bytes behind the message, or its unknown tags, had allowed it more memory.
        Err(DecodeError::TooLarge) => assert!(again.len() < bytes.len(), "v{version}: {value:?}"),
        read => {
            assert_eq!(read.as_ref(), Ok(&value), "v{version}");
            assert_eq!(reader.remaining(), 0, "v{version}: {value:?}");
        }
    }
    true
}

fn written<T: Wire + Debug>(value: &T, version: i16, flexible: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let done = value.encode(&mut Writer::new(&mut bytes, version, flexible));
    done.unwrap_or_else(|error| panic!("v{version}: {error}: {value:?}"));
    bytes
}
