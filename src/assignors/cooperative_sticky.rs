//! Cooperative sticky: as sticky, and what is to move is given up before somebody else gets it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    GroupMember, PartitionAssignor, RebalanceProtocol, balance,
    claims::{Before, Claim},
    turns::Turns,
};
use crate::{error::BoxError, types::TopicPartition};

/// Divides as the sticky assignor does, but members go on reading what they keep (KIP-429).
///
/// A partition that another member still has is given to nobody in this round. The member that has it sees that it is not
/// among its own any more, gives it up, and joins again; then it is free.
///
/// Where the group is eager, as while its members change from another assignor to this one, nobody has anything in hand and
/// nothing is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct CooperativeStickyAssignor {
    /// The generation in which this member got what it has.
    generation: i32,
}

impl Default for CooperativeStickyAssignor {
    fn default() -> Self {
        Self { generation: -1 }
    }
}

impl PartitionAssignor for CooperativeStickyAssignor {
    fn name(&self) -> &'static str {
        "cooperative-sticky"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager, RebalanceProtocol::Cooperative]
    }

    /// The generation, for leaders that do not look into the subscription for it (before KIP-792).
    fn user_data(&self, _: &BTreeSet<Arc<str>>) -> Option<Vec<u8>> {
        Some(self.generation.to_be_bytes().to_vec())
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        let turns = Turns::new(topics, members);
        let claims: Vec<Claim> = turns.members.iter().map(|member| claim(member)).collect();
        let before = Before::new(&turns, &claims);
        let mut shares = balance::divide(&turns, &before);
        for (member, share) in shares.iter_mut().enumerate() {
            share.retain(|(topic, number)| before.is_free_for(member, *topic, *number));
        }
        Ok(turns.by_id(&shares))
    }

    fn on_assignment(&mut self, _: &[TopicPartition], generation: i32) {
        self.generation = generation;
    }
}

/// What a member has in hand.
fn claim(member: &GroupMember) -> Claim {
    let from_user_data = || Some(i32::from_be_bytes(*member.user_data()?.first_chunk()?));
    let generation = member.generation().or_else(from_user_data).unwrap_or(-1);
    Claim { partitions: member.owned().to_vec(), generation }
}
