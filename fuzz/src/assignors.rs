//! The assignors, told anything by the members: nothing is given twice, or to who does not subscribe to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_blocking::{
    AssignmentStrategy, GroupMember, RebalanceProtocol, TopicPartition,
    assignors::{decode_assignment, decode_subscription, divide},
    protocol::{
        consumer_protocol_subscription::{
            ConsumerProtocolSubscription, TopicPartition as OwnedPartitions,
        },
        sticky_assignor_user_data::{StickyAssignorUserData, TopicPartition as HadPartitions},
    },
};

use crate::input::Input;

const TOPICS: [&str; 6] = ["a", "b", "c", "d", "e", "missing"];

/// First the topics, then the members.
pub(crate) fn assignors(bytes: &[u8]) {
    let mut input = Input(bytes);
    let count = input.below(TOPICS.len());
    let topics: BTreeMap<Arc<str>, i32> = TOPICS[..count]
        .iter()
        .map(|topic| ((*topic).into(), i32::from(input.byte() % 33) - 1))
        .collect();
    let mut members = Vec::new();
    while !input.is_empty() && members.len() < 12 {
        members.extend(member(&mut input, members.len()));
    }
    for name in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        for protocol in [RebalanceProtocol::Eager, RebalanceProtocol::Cooperative] {
            let cooperates = name == "cooperative-sticky";
            if cooperates == (protocol == RebalanceProtocol::Cooperative) {
                check(name, protocol, &topics, &members);
            }
        }
    }
}

/// A member, as the leader sees it, where the bytes are a subscription.
fn member(input: &mut Input<'_>, number: usize) -> Option<GroupMember> {
    let how = input.byte();
    let id = format!("m{number}");
    let instance = (how & 4 == 4).then(|| format!("i{}", number % 5));
    let bytes = if how & 3 == 0 { input.some().to_vec() } else { subscription(input, how) };
    decode_subscription(&id, instance.as_deref(), &bytes).ok()
}

/// A subscription that is well-formed, whatever it claims.
fn subscription(input: &mut Input<'_>, how: u8) -> Vec<u8> {
    let wanted = input.byte();
    let topics = TOPICS.iter().enumerate().filter(|(n, _)| wanted & 1 << n != 0);
    let topics = topics.map(|(_, topic)| (*topic).to_owned()).collect();
    let generation = i32::from(input.byte()) - 2;
    let user_data = match how & 0x18 {
        0x08 => Some(input.some().to_vec()),
        0x10 => {
            let had = claims(input).map(|(topic, partitions)| HadPartitions { topic, partitions });
            let data = StickyAssignorUserData { previous_assignment: had.collect(), generation };
            Some(data.to_bytes().expect("it fits"))
        }
        _ => None,
    };
    let owned = claims(input).map(|(topic, partitions)| OwnedPartitions { topic, partitions });
    let message = ConsumerProtocolSubscription {
        topics,
        user_data,
        owned_partitions: owned.collect(),
        generation_id: generation,
        rack_id: None,
    };
    message.to_bytes(i16::from(how >> 5).min(3)).or_else(|_| message.to_bytes(3)).expect("it fits")
}

/// Some partitions of some topics, which may be there, or claimed twice.
fn claims(input: &mut Input<'_>) -> impl Iterator<Item = (String, Vec<i32>)> {
    let count = input.below(4);
    let claims: Vec<(String, Vec<i32>)> = (0..count)
        .map(|_| {
            let topic = input.pick(&TOPICS).to_owned();
            let partitions = input.byte() % 16;
            (
                topic,
                input.take(partitions.into()).iter().map(|n| i32::from(n.cast_signed())).collect(),
            )
        })
        .collect();
    claims.into_iter()
}

fn check(
    name: &str,
    protocol: RebalanceProtocol,
    topics: &BTreeMap<Arc<str>, i32>,
    members: &[GroupMember],
) {
    let assignor = AssignmentStrategy::new().with(name).assignors().pop().expect("a known name");
    let shares = divide(assignor.as_ref(), protocol, topics, members);
    let shares = shares.unwrap_or_else(|error| panic!("{name}: {error}: {topics:?} {members:?}"));
    assert_eq!(shares.len(), members.len());
    let mut given = BTreeSet::new();
    for member in members {
        let share = decode_assignment(&shares[member.member_id()]).expect("it was encoded");
        for partition in share {
            assert!(member.topics().contains(partition.topic()), "{name}: {partition} {member:?}");
            let exists = topics.get(partition.topic()).is_some_and(|n| partition.partition() < *n);
            assert!(exists, "{name}: {partition} is not there");
            assert!(given.insert(partition.clone()), "{name}: {partition} is given twice");
        }
    }
    // What a cooperative group has still in hand is free in the next round.
    if protocol == RebalanceProtocol::Eager {
        let wanted: BTreeSet<&Arc<str>> = members.iter().flat_map(GroupMember::topics).collect();
        let all = topics.iter().filter(|(topic, _)| wanted.contains(topic));
        let all: BTreeSet<TopicPartition> =
            all.flat_map(|(t, n)| (0..*n).map(|p| TopicPartition::new(t.clone(), p))).collect();
        assert_eq!(given, all, "{name}: {members:?}");
    }
}
