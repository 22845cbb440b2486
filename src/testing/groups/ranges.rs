//! How a scripted leader assigns when nobody tells it how: each topic in ranges, as Kafka's range assignor does.

use std::collections::BTreeMap;

use crate::{
    TopicPartition,
    protocol::{
        consumer_protocol_assignment::{self as assignment, ConsumerProtocolAssignment},
        consumer_protocol_subscription::ConsumerProtocolSubscription,
        join_group::JoinGroupResponseMember,
    },
};

use crate::testing::state::Topic;

/// The version of the bytes that members exchange.
const VERSION: i16 = 1;

/// The bytes with which a member subscribes to topics.
///
/// # Panics
/// Where the names are too long for the protocol.
pub fn subscription_bytes<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Vec<u8> {
    let topics = topics.into_iter().map(Into::into).collect();
    let subscription =
        ConsumerProtocolSubscription { topics, ..ConsumerProtocolSubscription::default() };
    subscription.to_bytes(VERSION).expect("names of topics are short")
}

/// The bytes with which a leader gives partitions to a member.
///
/// # Panics
/// Where the names are too long for the protocol.
pub fn assignment_bytes<P: Into<TopicPartition>>(
    partitions: impl IntoIterator<Item = P>,
) -> Vec<u8> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let partition = partition.into();
        topics.entry(partition.topic().to_owned()).or_default().push(partition.partition());
    }
    let assigned = topics
        .into_iter()
        .map(|(topic, partitions)| assignment::TopicPartition { topic, partitions });
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: assigned.collect(),
        ..ConsumerProtocolAssignment::default()
    };
    assignment.to_bytes(VERSION).expect("names of topics are short")
}

/// Gives each member its part of each topic that it subscribes to.
pub(super) fn assign(
    members: &[JoinGroupResponseMember],
    topics: &BTreeMap<String, Topic>,
) -> Vec<(String, Vec<u8>)> {
    let mut parts: BTreeMap<&str, Vec<TopicPartition>> =
        members.iter().map(|m| (m.member_id.as_str(), Vec::new())).collect();
    for (name, topic) in topics {
        let mut readers: Vec<_> = members.iter().filter(|m| reads(m, name)).collect();
        readers
            .sort_by_key(|m| (m.group_instance_id.is_none(), &m.group_instance_id, &m.member_id));
        let (all, count) = (topic.partitions.len(), readers.len());
        for (n, reader) in readers.into_iter().enumerate() {
            // The first ones get one more where it does not come out even.
            let start = |n: usize| n * (all / count) + n.min(all % count);
            let part = (start(n)..start(n + 1))
                .map(|p| (name.as_str(), i32::try_from(p).expect("few partitions")).into());
            parts.entry(&reader.member_id).or_default().extend(part);
        }
    }
    parts.into_iter().map(|(id, part)| (id.to_owned(), assignment_bytes(part))).collect()
}

fn reads(member: &JoinGroupResponseMember, topic: &str) -> bool {
    ConsumerProtocolSubscription::from_bytes(&member.metadata)
        .is_ok_and(|subscription| subscription.topics.iter().any(|t| t == topic))
}
