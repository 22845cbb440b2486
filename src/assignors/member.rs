//! What an assignor knows of a member of the group.

use std::{collections::BTreeSet, sync::Arc};

use crate::types::TopicPartition;

/// A member of a group, as its leader's [`PartitionAssignor`](crate::PartitionAssignor) sees it.
///
/// The consumer makes them; the constructor is there to try an assignor of your own.
///
/// ```
/// use kafka_blocking::GroupMember;
///
/// let member = GroupMember::new("consumer-1", ["orders", "returns"])
///     .with_group_instance_id("till-3")
///     .with_owned([("orders", 0)])
///     .with_generation(4);
/// assert_eq!(member.member_id(), "consumer-1");
/// assert!(member.topics().contains("returns"));
/// assert_eq!(member.group_instance_id(), Some("till-3"));
/// assert_eq!(member.rack(), None);
/// ```
///
/// kafka-python: `ConsumerProtocolMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    member_id: String,
    group_instance_id: Option<String>,
    topics: BTreeSet<Arc<str>>,
    owned: Vec<TopicPartition>,
    generation: Option<i32>,
    rack: Option<String>,
    user_data: Option<Vec<u8>>,
}

impl GroupMember {
    /// A member of this id that subscribes to these topics, and has told nothing else.
    #[must_use]
    pub fn new<I>(member_id: impl Into<String>, topics: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Arc<str>>,
    {
        Self {
            member_id: member_id.into(),
            group_instance_id: None,
            topics: topics.into_iter().map(Into::into).collect(),
            owned: Vec::new(),
            generation: None,
            rack: None,
            user_data: None,
        }
    }

    /// The same as a static member, with its `group_instance_id` (KIP-345).
    #[must_use]
    pub fn with_group_instance_id(mut self, id: impl Into<String>) -> Self {
        self.group_instance_id = Some(id.into());
        self
    }

    /// The same with the partitions that it owns while it joins.
    #[must_use]
    pub fn with_owned<I>(mut self, partitions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        self.owned = partitions.into_iter().map(Into::into).collect();
        self
    }

    /// The same with the generation in which it got what it owns.
    #[must_use]
    pub fn with_generation(mut self, generation: i32) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The same with the rack in which it runs.
    #[must_use]
    pub fn with_rack(mut self, rack: impl Into<String>) -> Self {
        self.rack = Some(rack.into());
        self
    }

    /// The same with what its assignor gave as [`user_data`](crate::PartitionAssignor::user_data).
    #[must_use]
    pub fn with_user_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.user_data = Some(data.into());
        self
    }

    /// The id that the broker gave it. A member that joins anew has another one.
    #[must_use]
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// The option `group_instance_id` of a static member, which stays the same when it joins anew.
    #[must_use]
    pub fn group_instance_id(&self) -> Option<&str> {
        self.group_instance_id.as_deref()
    }

    /// The topics that it subscribes to, whether they exist or not.
    #[must_use]
    pub const fn topics(&self) -> &BTreeSet<Arc<str>> {
        &self.topics
    }

    /// The partitions that it owns while it joins: none with the eager protocol, nor from clients before Kafka 2.4.
    #[must_use]
    pub fn owned(&self) -> &[TopicPartition] {
        &self.owned
    }

    /// The generation in which it got what it owns, where it tells that (KIP-792).
    #[must_use]
    pub const fn generation(&self) -> Option<i32> {
        self.generation
    }

    /// The rack in which it runs, where it tells that (KIP-881).
    #[must_use]
    pub fn rack(&self) -> Option<&str> {
        self.rack.as_deref()
    }

    /// What its assignor of the same name has put in. Any program may join a group, so it can be anything.
    #[must_use]
    pub fn user_data(&self) -> Option<&[u8]> {
        self.user_data.as_deref()
    }
}
