//! What members and leaders tell each other, as bytes, also those that other programs made.

use std::{collections::BTreeSet, sync::Arc};

use fastrand::Rng;
use kafka_blocking::{
    Error, TopicPartition,
    assignors::{Subscription, decode_assignment, decode_subscription, encode_assignment},
    protocol::{
        consumer_protocol_assignment::{self as assignment, ConsumerProtocolAssignment},
        consumer_protocol_subscription::{self as subscription, ConsumerProtocolSubscription},
    },
};

use crate::support::partitions;

fn names(topics: &[&str]) -> BTreeSet<Arc<str>> {
    topics.iter().map(|topic| (*topic).into()).collect()
}

/// What a member tells that has everything to tell.
fn whole() -> Vec<u8> {
    let subscription = Subscription {
        topics: &names(&["t", "u"]),
        owned: &partitions("u:1,t:3,t:0"),
        generation: Some(7),
        rack: "b",
    };
    subscription.encode(Some(vec![1, 2])).unwrap()
}

#[test]
fn a_subscription_reads_as_what_the_member_told() {
    let read = decode_subscription("m", Some("i"), &whole()).unwrap();
    assert_eq!((read.member_id(), read.group_instance_id()), ("m", Some("i")));
    assert_eq!(*read.topics(), names(&["t", "u"]));
    assert_eq!(read.owned(), partitions("t:0,t:3,u:1"));
    assert_eq!((read.generation(), read.rack()), (Some(7), Some("b")));
    assert_eq!(read.user_data(), Some(&[1, 2][..]));
}

#[test]
fn a_subscription_is_of_version_3_and_has_nothing_where_nothing_is_known() {
    let nothing = Subscription { topics: &names(&["t"]), owned: &[], generation: None, rack: "" };
    let bytes = nothing.encode(None).unwrap();
    assert_eq!(bytes[..2], [0, 3]);
    let message = ConsumerProtocolSubscription::from_bytes(&bytes).unwrap();
    assert_eq!(
        message,
        ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() }
    );
    let read = decode_subscription("m", None, &bytes).unwrap();
    assert_eq!(read, kafka_blocking::GroupMember::new("m", ["t"]));
}

#[test]
fn generation_0_is_known_and_an_empty_rack_is_none() {
    let message = ConsumerProtocolSubscription {
        generation_id: 0,
        rack_id: Some(String::new()),
        ..Default::default()
    };
    let read = decode_subscription("m", None, &message.to_bytes(3).unwrap()).unwrap();
    assert_eq!((read.generation(), read.rack()), (Some(0), None));
}

#[test]
fn subscriptions_of_all_versions_are_read() {
    let message = ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        user_data: Some(vec![9]),
        owned_partitions: vec![subscription::TopicPartition {
            topic: "t".into(),
            partitions: vec![0, 1],
        }],
        generation_id: 4,
        rack_id: Some("b".into()),
    };
    for version in 0..=3 {
        let read = decode_subscription("m", None, &message.to_bytes(version).unwrap()).unwrap();
        assert_eq!(read.user_data(), Some(&[9][..]));
        assert_eq!(read.owned().len(), if version >= 1 { 2 } else { 0 }, "{version}");
        assert_eq!(read.generation(), (version >= 2).then_some(4), "{version}");
        assert_eq!(read.rack(), (version >= 3).then_some("b"), "{version}");
    }
    let mut newer = message.to_bytes(3).unwrap();
    newer[1] = 9;
    newer.extend([1, 2, 3]);
    assert_eq!(decode_subscription("m", None, &newer).unwrap().rack(), Some("b"));
}

#[test]
fn a_subscription_that_ends_as_an_older_version_is_read_as_that() {
    let message = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
    for (written, claimed) in [(0, 1), (0, 3), (1, 2), (1, 3), (2, 3), (0, 200)] {
        let mut bytes = message.to_bytes(written).unwrap();
        bytes[1] = claimed;
        let read = decode_subscription("m", None, &bytes).unwrap();
        assert_eq!(*read.topics(), names(&["t"]), "{written} as {claimed}");
    }
}

#[test]
fn fault_102_a_subscription_that_makes_no_sense_is_an_error_that_names_the_member() {
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\0",
        b"\xff\xff\0\0\0\0",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\x03\0\0\0\x01\0\x01\xff\xff\xff\xff\xff",
        b"a subscription in words",
        // As of version 0, and one byte more.
        b"\0\x03\0\0\0\x01\0\x01t\xff\xff\xff\xff\0",
    ] {
        let error = decode_subscription("consumer-7", None, bytes).unwrap_err();
        let Error::Protocol { what, reason } = &error else { panic!("{error}") };
        assert_eq!(*what, "subscription");
        assert!(reason.contains("consumer-7"), "{error}");
    }
}

#[test]
fn fault_102_no_bytes_make_the_decoders_panic_or_take_much_memory() {
    let (whole, mut rng) = (whole(), Rng::with_seed(11));
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        bytes.truncate(rng.usize(..=bytes.len()));
        if let Ok(read) = decode_subscription("m", None, &bytes) {
            assert!(read.owned().len() <= bytes.len(), "{bytes:?}");
        }
        if let Ok(read) = decode_assignment(&bytes) {
            assert!(read.len() <= bytes.len() && read.iter().all(|p| p.partition() >= 0));
        }
    }
}

/// An assignment with these numbers of partitions, topic by topic.
fn assigned(topics: &[(&str, &[i32])]) -> Vec<u8> {
    let assigned_partitions = topics
        .iter()
        .map(|(topic, numbers)| assignment::TopicPartition {
            topic: (*topic).to_owned(),
            partitions: numbers.to_vec(),
        })
        .collect();
    ConsumerProtocolAssignment { assigned_partitions, user_data: Some(vec![1]) }
        .to_bytes(1)
        .unwrap()
}

#[test]
fn an_assignment_reads_as_what_the_leader_gave_in_order() {
    let share = partitions("u:1,t:10,t:2");
    let read = decode_assignment(&encode_assignment(&share).unwrap()).unwrap();
    assert_eq!(read, partitions("t:2,t:10,u:1"));
    assert_eq!(decode_assignment(&encode_assignment(&[]).unwrap()).unwrap(), []);
    assert_eq!(decode_assignment(&assigned(&[("t", &[3, 1])])).unwrap(), partitions("t:1,t:3"));
}

#[test]
fn no_bytes_are_an_assignment_without_partitions() {
    assert_eq!(decode_assignment(b"").unwrap(), []);
}

#[test]
fn fault_103_an_assignment_that_cannot_be_is_an_error() {
    for (bytes, word) in [
        (assigned(&[("t", &[0, -1])]), "t--1"),
        (assigned(&[("t", &[0, i32::MIN])]), "t--2147483648"),
        (assigned(&[("t", &[0, 1, 0])]), "t-0 stands in it twice"),
        (assigned(&[("t", &[0]), ("u", &[0]), ("t", &[0])]), "t-0 stands in it twice"),
        (assigned(&[("", &[0])]), "a topic's name must not be empty"),
        (assigned(&[("a/b", &[0])]), "a/b"),
        (b"\0".to_vec(), "ends too early"),
        (b"\0\0\0\0\0\x01\0\x01t\x7f\xff\xff\xff".to_vec(), "ends too early"),
        (b"\xff\xfe\0\0\0\0".to_vec(), "version -2"),
        (b"nonsense in words".to_vec(), ""),
    ] {
        let error = decode_assignment(&bytes).unwrap_err();
        assert!(matches!(&error, Error::Protocol { what: "assignment", .. }), "{error}");
        assert!(error.to_string().contains(word), "{word} is missing in: {error}");
    }
}

#[test]
fn what_the_protocol_cannot_hold_is_an_error() {
    let long = TopicPartition::new("x".repeat(40_000), 0);
    let error = encode_assignment(&[long]).unwrap_err();
    assert!(matches!(error, Error::IllegalArgument(_)), "{error}");
}
