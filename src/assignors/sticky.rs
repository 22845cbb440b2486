//! Sticky: members keep what they had, as far as the balance allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    GroupMember, PartitionAssignor, balance,
    claims::{Before, Claim},
    messages::{by_topic, flat},
    turns::Turns,
};
use crate::{
    error::BoxError,
    protocol::sticky_assignor_user_data::{StickyAssignorUserData, TopicPartition as Partitions},
    types::TopicPartition,
};

/// Gives members the same number of partitions, and what they had before as far as that goes (KIP-54).
///
/// It is for the eager protocol, where members join with nothing in hand; so what a member had stands in its user data.
#[derive(Clone, Debug, Default)]
pub(super) struct StickyAssignor {
    /// What this member got last.
    had: Option<Claim>,
}

impl PartitionAssignor for StickyAssignor {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn user_data(&self, _: &BTreeSet<Arc<str>>) -> Option<Vec<u8>> {
        self.had.as_ref().and_then(write)
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        let turns = Turns::new(topics, members);
        let claims: Vec<Claim> =
            turns.members.iter().map(|member| read(member.user_data())).collect();
        let before = Before::new(&turns, &claims);
        Ok(turns.by_id(&balance::divide(&turns, &before)))
    }

    fn on_assignment(&mut self, partitions: &[TopicPartition], generation: i32) {
        self.had = Some(Claim { partitions: partitions.to_vec(), generation });
    }
}

/// The user data of a member.
fn write(had: &Claim) -> Option<Vec<u8>> {
    let previous_assignment = by_topic(&had.partitions)
        .map(|(topic, partitions)| Partitions { topic, partitions })
        .collect();
    let data = StickyAssignorUserData { previous_assignment, generation: had.generation };
    // Names that brokers know fit; if one did not, the member would be as one that had nothing.
    data.to_bytes().ok()
}

/// What a member had. Any program may join a group and put anything in: what cannot be read is nothing.
fn read(user_data: Option<&[u8]>) -> Claim {
    let Some(Ok(data)) = user_data.map(StickyAssignorUserData::from_bytes) else {
        return Claim::NOTHING;
    };
    let previous = data.previous_assignment.into_iter().map(|t| (t.topic, t.partitions));
    Claim { partitions: flat(previous), generation: data.generation }
}
