//! What members and leaders tell each other: subscriptions and assignments as bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::GroupMember;
use crate::{
    error::{Error, Result},
    protocol::{
        consumer_protocol_assignment::{self as assignment, ConsumerProtocolAssignment},
        consumer_protocol_subscription::{self as subscription, ConsumerProtocolSubscription},
    },
    types::{TopicPartition, topic_name},
    wire::{DecodeError, EncodeError, Reader, Wire},
};

/// The version that is written. Clients that know older ones only read as much as they know.
const VERSION: i16 = 3;

/// What a member tells of itself when it joins; the bytes are those of one assignor.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    /// The topics that it subscribes to.
    pub topics: &'a BTreeSet<Arc<str>>,
    /// What it has in hand while it joins; nothing with the eager protocol.
    pub owned: &'a [TopicPartition],
    /// The generation in which it got that.
    pub generation: Option<i32>,
    /// Empty is none.
    pub rack: &'a str,
}

impl Subscription<'_> {
    /// The bytes, with the user data of the assignor that they are for.
    ///
    /// # Errors
    /// [`Error::IllegalArgument`] for user data that are too long for the protocol.
    pub fn encode(&self, user_data: Option<Vec<u8>>) -> Result<Vec<u8>> {
        let owned = by_topic(self.owned);
        let message = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(ToString::to_string).collect(),
            user_data,
            owned_partitions: owned
                .map(|(topic, partitions)| subscription::TopicPartition { topic, partitions })
                .collect(),
            generation_id: self.generation.unwrap_or(-1),
            rack_id: Some(self.rack.to_owned()).filter(|rack| !rack.is_empty()),
        };
        message.to_bytes(VERSION).map_err(|error| too_long("a subscription", error))
    }
}

/// Reads what a member told of itself, of any version.
///
/// # Errors
/// [`Error::Protocol`] that names the member.
#[doc(hidden)]
pub fn decode_subscription(
    member_id: &str,
    group_instance_id: Option<&str>,
    bytes: &[u8],
) -> Result<GroupMember> {
    let message = ConsumerProtocolSubscription::from_bytes(bytes)
        .or_else(|error| subscription_of_an_older_version(bytes).ok_or(error))
        .map_err(|error| Error::Protocol {
            what: "subscription",
            reason: format!("of member {member_id:?}: {error}").into(),
        })?;
    let owned = message.owned_partitions.into_iter().map(|t| (t.topic, t.partitions));
    let mut member = GroupMember::new(member_id, message.topics).with_owned(flat(owned));
    if let Some(id) = group_instance_id {
        member = member.with_group_instance_id(id);
    }
    if message.generation_id >= 0 {
        member = member.with_generation(message.generation_id);
    }
    if let Some(rack) = message.rack_id.filter(|rack| !rack.is_empty()) {
        member = member.with_rack(rack);
    }
    if let Some(data) = message.user_data {
        member = member.with_user_data(data);
    }
    Ok(member)
}

/// Clients are about that write the number of a newer version than that of the fields that follow: it is read as the one
/// with which it ends.
fn subscription_of_an_older_version(bytes: &[u8]) -> Option<ConsumerProtocolSubscription> {
    let (number, fields) = bytes.split_first_chunk()?;
    let versions = 0..i16::from_be_bytes(*number).min(VERSION);
    versions.rev().find_map(|version| {
        let mut reader = Reader::new(fields, version, false);
        let message = ConsumerProtocolSubscription::decode(&mut reader).ok()?;
        (reader.remaining() == 0).then_some(message)
    })
}

/// The bytes that tell a member what it gets.
///
/// # Errors
/// [`Error::IllegalArgument`] for a topic whose name is too long for the protocol.
#[doc(hidden)]
pub fn encode_assignment(partitions: &[TopicPartition]) -> Result<Vec<u8>> {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(partitions)
            .map(|(topic, partitions)| assignment::TopicPartition { topic, partitions })
            .collect(),
        user_data: None,
    };
    message.to_bytes(VERSION).map_err(|error| too_long("an assignment", error))
}

/// Reads what this member gets, in order. No bytes are no partitions: some leaders leave out who gets nothing.
///
/// # Errors
/// [`Error::Protocol`] for what is not an assignment, for a topic or a partition that cannot be, and for one that stands in it
/// twice.
#[doc(hidden)]
pub fn decode_assignment(bytes: &[u8]) -> Result<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |reason: String| Error::Protocol { what: "assignment", reason: reason.into() };
    let message = ConsumerProtocolAssignment::from_bytes(bytes)
        .map_err(|error: DecodeError| wrong(error.to_string()))?;
    for topic in &message.assigned_partitions {
        topic_name::check(&topic.topic)
            .map_err(|refused| wrong(format!("{:?}: {}", refused.value, refused.allowed)))?;
    }
    let mut partitions =
        flat(message.assigned_partitions.into_iter().map(|t| (t.topic, t.partitions)));
    partitions.sort_unstable();
    if let Some(negative) = partitions.iter().find(|partition| partition.partition() < 0) {
        return Err(wrong(format!("{negative} is no partition")));
    }
    if let Some(twice) = partitions.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(format!("{} stands in it twice", twice[0])));
    }
    Ok(partitions)
}

/// Topics with the numbers of their partitions, in order.
pub(super) fn by_topic(partitions: &[TopicPartition]) -> impl Iterator<Item = (String, Vec<i32>)> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic()).or_default().push(partition.partition());
    }
    topics.into_iter().map(|(topic, mut numbers)| {
        numbers.sort_unstable();
        (topic.to_owned(), numbers)
    })
}

/// The partitions of topics; the name of each topic is shared.
pub(super) fn flat(topics: impl Iterator<Item = (String, Vec<i32>)>) -> Vec<TopicPartition> {
    topics
        .flat_map(|(topic, numbers)| {
            let topic: Arc<str> = topic.into();
            numbers.into_iter().map(move |number| TopicPartition::new(topic.clone(), number))
        })
        .collect()
}

fn too_long(what: &str, error: EncodeError) -> Error {
    Error::IllegalArgument(format!("{what}: {error}").into())
}
