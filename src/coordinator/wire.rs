//! What members tell each other through the coordinator, as bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::steps::Joining;
use crate::{
    Error, Result,
    assignors::GroupMember,
    protocol::{
        consumer_protocol_assignment as assignment, consumer_protocol_subscription as subscription,
    },
    types::TopicPartition,
};

/// The newest version of both; older members read what they know of it.
const VERSION: i16 = 3;

/// What a member tells the leader.
///
/// # Errors
/// Where something is too long for the protocol.
pub fn encode_subscription(joining: &Joining, user_data: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut owned: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in &joining.owned {
        owned.entry(partition.topic()).or_default().push(partition.partition());
    }
    let owned = owned.into_iter().map(|(topic, partitions)| subscription::TopicPartition {
        topic: topic.to_owned(),
        partitions,
    });
    subscription::ConsumerProtocolSubscription {
        topics: joining.topics.iter().map(ToString::to_string).collect(),
        user_data,
        owned_partitions: owned.collect(),
        generation_id: joining.generation.unwrap_or(-1),
        rack_id: (!joining.rack.is_empty()).then(|| joining.rack.to_string()),
    }
    .to_bytes(VERSION)
    .map_err(|e| Error::Protocol { what: "subscription", reason: e.to_string().into() })
}

/// What a leader gives a member.
///
/// # Errors
/// Where something is too long for the protocol.
pub fn encode_assignment(partitions: &[TopicPartition]) -> Result<Vec<u8>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic()).or_default().push(partition.partition());
    }
    let topics = topics.into_iter().map(|(topic, partitions)| assignment::TopicPartition {
        topic: topic.to_owned(),
        partitions,
    });
    assignment::ConsumerProtocolAssignment {
        assigned_partitions: topics.collect(),
        user_data: None,
    }
    .to_bytes(VERSION)
    .map_err(|e| Error::Protocol { what: "assignment", reason: e.to_string().into() })
}

/// What another member has told.
pub(super) fn decode_member(id: &str, instance: Option<&str>, bytes: &[u8]) -> Result<GroupMember> {
    let told = subscription::ConsumerProtocolSubscription::from_bytes(bytes).map_err(|e| {
        Error::Protocol { what: "subscription", reason: format!("of member {id:?}: {e}").into() }
    })?;
    let topics: BTreeSet<Arc<str>> = told.topics.iter().map(|t| t.as_str().into()).collect();
    let owned = told
        .owned_partitions
        .iter()
        .flat_map(|t| t.partitions.iter().map(|n| TopicPartition::new(t.topic.as_str(), *n)));
    let mut member = GroupMember::new(id, topics).with_owned(owned.filter(|p| p.partition() >= 0));
    if let Some(instance) = instance {
        member = member.with_group_instance_id(instance);
    }
    if told.generation_id >= 0 {
        member = member.with_generation(told.generation_id);
    }
    if let Some(rack) = told.rack_id {
        member = member.with_rack(rack);
    }
    if let Some(data) = told.user_data {
        member = member.with_user_data(data);
    }
    Ok(member)
}

/// What the leader gave this member: nothing, where it gave no bytes.
pub(super) fn decode_assignment(bytes: &[u8]) -> Result<BTreeSet<TopicPartition>> {
    let malformed = |reason: String| Error::Protocol { what: "assignment", reason: reason.into() };
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let given = assignment::ConsumerProtocolAssignment::from_bytes(bytes)
        .map_err(|e| malformed(e.to_string()))?;
    let mut partitions = BTreeSet::new();
    for topic in &given.assigned_partitions {
        for number in &topic.partitions {
            let partition = TopicPartition::new(topic.topic.as_str(), *number);
            if *number < 0 || !partitions.insert(partition.clone()) {
                return Err(malformed(format!("{partition} is negative, or there twice")));
            }
        }
    }
    Ok(partitions)
}
