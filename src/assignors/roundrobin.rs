//! Round robin: one partition for each member, and again.

use std::{collections::BTreeMap, sync::Arc};

use super::{GroupMember, PartitionAssignor, turns::Turns};
use crate::{error::BoxError, types::TopicPartition};

/// Deals all partitions of all topics like cards; a member that does not subscribe to a topic is passed over.
///
/// Members that subscribe to the same topics differ by one partition at most. Others may differ by more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundRobinAssignor;

impl PartitionAssignor for RoundRobinAssignor {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        let turns = Turns::new(topics, members);
        let mut shares = turns.empty_shares();
        // Whose turn it is, were everybody a subscriber.
        let mut turn = 0;
        for (at, topic) in turns.topics.iter().enumerate() {
            for number in 0..topic.partitions {
                let next = topic.subscribers.partition_point(|member| *member < turn);
                let member = *topic.subscribers.get(next).unwrap_or(&topic.subscribers[0]);
                turn = member + 1;
                shares[member].push((at, number));
            }
        }
        Ok(turns.by_id(&shares))
    }
}
