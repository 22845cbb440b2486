//! In which order members take their turns, and for which topics.

use std::{collections::BTreeMap, sync::Arc};

use super::GroupMember;
use crate::types::TopicPartition;

/// The members of a group in the order of their turns, and who of them subscribes to which topic.
pub(super) struct Turns<'a> {
    pub(super) members: Vec<&'a GroupMember>,
    /// In the order of their names; only topics that have partitions and that somebody subscribes to.
    pub(super) topics: Vec<Topic<'a>>,
}

/// What a member gets: the positions of topics in [`Turns::topics`], and numbers of partitions.
pub(super) type Share = Vec<(usize, i32)>;

/// A topic with those who subscribe to it.
pub(super) struct Topic<'a> {
    pub(super) name: &'a Arc<str>,
    /// At least 1.
    pub(super) partitions: i32,
    /// Positions in [`Turns::members`], in their order; at least one.
    pub(super) subscribers: Vec<usize>,
}

impl<'a> Turns<'a> {
    /// Static members come first, in the order of their instance ids, which outlive restarts; then the others by member id.
    pub(super) fn new(topics: &'a BTreeMap<Arc<str>, i32>, members: &'a [GroupMember]) -> Self {
        let mut members: Vec<&GroupMember> = members.iter().collect();
        members.sort_by_key(|member| {
            let instance = member.group_instance_id();
            (instance.is_none(), instance, member.member_id())
        });
        let mut subscribers: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (position, member) in members.iter().enumerate() {
            for topic in member.topics() {
                subscribers.entry(topic).or_default().push(position);
            }
        }
        let topics = topics.iter().filter(|(_, partitions)| **partitions > 0);
        let topics = topics.filter_map(|(name, partitions)| {
            let subscribers = subscribers.remove(name)?;
            Some(Topic { name, partitions: *partitions, subscribers })
        });
        let topics = topics.collect();
        Self { members, topics }
    }

    /// A share without partitions for each member.
    pub(super) fn empty_shares(&self) -> Vec<Share> {
        vec![Share::new(); self.members.len()]
    }

    /// The shares, which stand in the order of the members, by member id.
    pub(super) fn by_id(&self, shares: &[Share]) -> BTreeMap<String, Vec<TopicPartition>> {
        let mut assignment: BTreeMap<String, Vec<TopicPartition>> = BTreeMap::new();
        for (member, share) in self.members.iter().zip(shares) {
            let named = share.iter().map(|(topic, number)| {
                TopicPartition::new(self.topics[*topic].name.clone(), *number)
            });
            assignment.entry(member.member_id().to_owned()).or_default().extend(named);
        }
        assignment
    }
}
