//! What we write are the bytes that kafka-python and Kafka's own client write, and we read what they write.

use std::{collections::BTreeMap, fmt::Debug};

use kafka_blocking::{
    protocol::{
        Request, SCHEMAS, consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription, encode_request,
        encode_response,
    },
    wire::{Reader, Sampler, Wire, Writer},
};
use protocol_support::for_every_api;

mod protocol_support;

/// The bytes, by name and version.
type Vectors = BTreeMap<(String, i16), Vec<u8>>;

#[test]
fn messages_have_the_bytes_that_other_clients_write() {
    let vectors = &vectors();
    for_every_api!(compare_api(vectors));
}

#[test]
fn frames_have_the_bytes_that_other_clients_write() {
    let vectors = &vectors();
    for_every_api!(compare_frames(vectors));
}

#[test]
fn the_consumer_protocol_has_the_bytes_that_other_clients_write() {
    let vectors = vectors();
    for version in 0..=3 {
        compare::<ConsumerProtocolSubscription>(
            &vectors,
            "ConsumerProtocolSubscription",
            version,
            false,
        );
        compare::<ConsumerProtocolAssignment>(
            &vectors,
            "ConsumerProtocolAssignment",
            version,
            false,
        );
    }
}

#[test]
fn every_vector_is_compared_with() {
    for (name, version) in vectors().into_keys() {
        let plain = name.split(':').next().unwrap_or_default();
        let api = plain.trim_end_matches("Request").trim_end_matches("Response");
        let schema = SCHEMAS.iter().find(|schema| schema.name == api);
        assert!(
            schema.is_some_and(|schema| schema.versions.contains(&version)),
            "{name} {version}"
        );
    }
}

fn compare_api<R>(vectors: &Vectors)
where
    R: Request<Response: PartialEq + Debug> + PartialEq + Debug,
{
    for version in R::VERSIONS {
        let flexible = version >= R::FLEXIBLE;
        compare::<R>(vectors, &format!("{}Request", R::NAME), version, flexible);
        compare::<R::Response>(vectors, &format!("{}Response", R::NAME), version, flexible);
    }
}

fn compare<T: Wire + PartialEq + Debug>(
    vectors: &Vectors,
    name: &str,
    version: i16,
    flexible: bool,
) {
    for (nulls, suffix) in [(false, ""), (true, ":nulls")] {
        let key = (format!("{name}{suffix}"), version);
        let theirs = vectors.get(&key).unwrap_or_else(|| panic!("no vector for {key:?}"));
        let value = T::sample(&mut Sampler::new(version, nulls));
        let mut ours = vec![];
        value.encode(&mut Writer::new(&mut ours, version, flexible)).expect("a sample fits");
        assert_eq!(hex(&ours), hex(theirs), "{key:?}");
        assert_eq!(T::decode(&mut Reader::new(theirs, version, flexible)), Ok(value), "{key:?}");
    }
}

fn compare_frames<R: Request>(vectors: &Vectors) {
    if !["ApiVersions", "Heartbeat", "SaslHandshake"].contains(&R::NAME) {
        return;
    }
    // kafka-python lacks version 5 of ApiVersions.
    for version in R::VERSIONS.filter(|version| *version < 5) {
        let theirs = |half| &vectors[&(format!("{}{half}:frame", R::NAME), version)];
        let mut ours = vec![];
        let request = R::sample(&mut Sampler::new(version, false));
        encode_request(&mut ours, version, 7, Some("me"), &request).expect("a sample fits");
        assert_eq!(hex(&ours), hex(theirs("Request")), "{} {version}", R::NAME);
        ours.clear();
        let response = R::Response::sample(&mut Sampler::new(version, false));
        encode_response::<R>(&mut ours, version, 7, &response).expect("a sample fits");
        assert_eq!(hex(&ours), hex(theirs("Response")), "{} {version}", R::NAME);
    }
}

fn vectors() -> Vectors {
    let files =
        [include_str!("vectors/kafka-python.txt"), include_str!("vectors/kafka-clients.txt")];
    let lines = files.iter().flat_map(|file| file.lines()).filter(|line| !line.starts_with('#'));
    lines.map(vector).collect()
}

fn vector(line: &str) -> ((String, i16), Vec<u8>) {
    let mut parts = line.split(' ');
    let mut part = || parts.next().unwrap_or_else(|| panic!("not a vector: {line}"));
    let (name, version, digits) = (part(), part(), part());
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
    let bytes = (0..digits.len()).step_by(2).map(byte).collect();
    ((name.to_owned(), version.parse().expect("a version")), bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
