//! What members had before, and who of several that claim a partition keeps it.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::turns::Turns;
use crate::types::TopicPartition;

/// What a member says that it had.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Whatever the member told: it need not exist.
    pub(super) partitions: Vec<TopicPartition>,
    /// In which generation of the group; -1, where it is not known, is older than any.
    pub(super) generation: i32,
}

/// What all members had, for each partition that there is.
pub(super) struct Before {
    /// By the position of the topic in [`Turns::topics`], and the number of the partition.
    topics: Vec<Vec<Holder>>,
}

/// Who had a partition.
#[derive(Clone, Copy)]
enum Holder {
    Nobody,
    /// Only members that may not have it, since they no longer subscribe to its topic.
    Strangers,
    /// A member, by its position, and the generation in which it got the partition.
    One(usize, i32),
    /// Several of the same generation: one of them is wrong, and it is not known which.
    Disputed(i32),
}

impl Claim {
    /// That of a member that had nothing.
    pub(super) const NOTHING: Self = Self { partitions: Vec::new(), generation: -1 };
}

impl Before {
    /// `claims` stand in the order of the members.
    ///
    /// Of two claims the one of the later generation counts: the other member was not there when its partition was given to
    /// somebody else. Where two are of the same generation, neither counts.
    pub(super) fn new(turns: &Turns<'_>, claims: &[Claim]) -> Self {
        let positions: BTreeMap<&Arc<str>, usize> =
            turns.topics.iter().enumerate().map(|(at, topic)| (topic.name, at)).collect();
        let nobody = |partitions| vec![Holder::Nobody; index(partitions)];
        let mut topics: Vec<Vec<Holder>> =
            turns.topics.iter().map(|topic| nobody(topic.partitions)).collect();
        for (member, claim) in claims.iter().enumerate() {
            for partition in &claim.partitions {
                let Some(topic) = positions.get(partition.shared_topic()) else { continue };
                let Some(holder) = topics[*topic].get_mut(index(partition.partition())) else {
                    continue;
                };
                let subscribes = turns.topics[*topic].subscribers.binary_search(&member).is_ok();
                *holder = holder.or(subscribes.then_some(member), claim.generation);
            }
        }
        Self { topics }
    }

    /// The partitions of a topic, and who of the members keeps them.
    pub(super) fn keepers(&self, topic: usize) -> impl Iterator<Item = (i32, Option<usize>)> {
        (0..).zip(self.topics[topic].iter().map(|holder| holder.keeper()))
    }

    /// The member that keeps a partition.
    pub(super) fn keeper(&self, topic: usize, number: i32) -> Option<usize> {
        self.topics[topic].get(index(number))?.keeper()
    }

    /// Whether a member can have the partition at once: it keeps it, or nobody has it.
    pub(super) fn is_free_for(&self, member: usize, topic: usize, number: i32) -> bool {
        match self.topics[topic].get(index(number)) {
            Some(Holder::One(holder, _)) => *holder == member,
            Some(Holder::Strangers | Holder::Disputed(_)) => false,
            Some(Holder::Nobody) | None => true,
        }
    }
}

impl Holder {
    /// The holder after one more claim, of a member or of one that may not have it.
    fn or(self, member: Option<usize>, generation: i32) -> Self {
        let known = match self {
            Self::Nobody | Self::Strangers => {
                return member.map_or(Self::Strangers, |member| Self::One(member, generation));
            }
            Self::One(_, known) | Self::Disputed(known) => known,
        };
        let Some(member) = member else { return self };
        match (generation.cmp(&known), self) {
            (Ordering::Less, _) => self,
            (Ordering::Greater, _) => Self::One(member, generation),
            // Said twice by one.
            (Ordering::Equal, Self::One(holder, _)) if holder == member => self,
            (Ordering::Equal, _) => Self::Disputed(known),
        }
    }

    fn keeper(self) -> Option<usize> {
        match self {
            Self::One(member, _) => Some(member),
            Self::Nobody | Self::Strangers | Self::Disputed(_) => None,
        }
    }
}

/// A number of partitions as an index; a negative one is out of every range.
fn index(number: i32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
