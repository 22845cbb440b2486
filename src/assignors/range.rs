//! Ranges: each member gets a run of neighbouring partitions of each topic.

use std::{collections::BTreeMap, sync::Arc};

use super::{GroupMember, PartitionAssignor, turns::Turns};
use crate::{error::BoxError, types::TopicPartition};

/// Divides each topic for itself: of 7 partitions and 3 members, they get 0 to 2, 3 and 4, 5 and 6.
///
/// Topics with as many partitions and the same subscribers are divided alike, so what has the same key goes to the same
/// member. The first members get more where many topics do not divide evenly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RangeAssignor;

impl PartitionAssignor for RangeAssignor {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        let turns = Turns::new(topics, members);
        let mut shares = turns.empty_shares();
        for (at, topic) in turns.topics.iter().enumerate() {
            let count = i32::try_from(topic.subscribers.len())?;
            let (each, more) = (topic.partitions / count, topic.partitions % count);
            let mut next = 0;
            for (turn, member) in (0..).zip(&topic.subscribers) {
                let end = next + each + i32::from(turn < more);
                shares[*member].extend((next..end).map(|number| (at, number)));
                next = end;
            }
        }
        Ok(turns.by_id(&shares))
    }
}
