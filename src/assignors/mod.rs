//! How the partitions of a group's topics are divided among its members.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{error::BoxError, types::TopicPartition};

mod balance;
mod claims;
mod cooperative_sticky;
mod holding;
mod leader;
mod member;
mod messages;
mod range;
mod roundrobin;
mod sticky;
mod strategy;
mod turns;

pub use leader::divide;
pub use member::GroupMember;
pub use messages::{Subscription, decode_assignment, decode_subscription, encode_assignment};
pub use strategy::AssignmentStrategy;

/// Divides the partitions of a group's topics among its members.
///
/// The broker makes one member of a group its leader. The leader's assignor is told what all members subscribe to, and
/// says who reads what. Which assignor that is is settled by the names: the first one in the leader's list that all members
/// have. Those that come with the crate are called `range`, `roundrobin`, `sticky` and `cooperative-sticky`, and divide as
/// those of kafka-python and of Kafka's Java client do, so members of all three may be in one group.
///
/// One of your own goes into [`AssignmentStrategy`]:
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
/// use kafka_blocking::{AssignmentStrategy, BoxError, ConsumerBuilder, GroupMember, PartitionAssignor, TopicPartition};
///
/// /// One member reads everything, and the others stand by.
/// struct OneReads;
///
/// impl PartitionAssignor for OneReads {
///     fn name(&self) -> &str {
///         "one-reads"
///     }
///
///     fn assign(
///         &self,
///         topics: &BTreeMap<Arc<str>, i32>,
///         members: &[GroupMember],
///     ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
///         let mut assignment: BTreeMap<_, _> = members.iter().map(|m| (m.member_id().to_owned(), Vec::new())).collect();
///         for (topic, partitions) in topics {
///             let subscribed = members.iter().filter(|m| m.topics().contains(topic));
///             let reader = subscribed.map(GroupMember::member_id).min().ok_or("a topic that nobody reads")?;
///             let all = (0..*partitions).map(|partition| TopicPartition::new(topic.clone(), partition));
///             assignment.entry(reader.to_owned()).or_default().extend(all);
///         }
///         Ok(assignment)
///     }
/// }
///
/// let builder = ConsumerBuilder::new()
///     .group_id("my-group")
///     .partition_assignment_strategy(AssignmentStrategy::new().with_assignor(|| OneReads));
///
/// // It can be tried without a group:
/// let topics = BTreeMap::from([("t".into(), 2)]);
/// let members = [GroupMember::new("a", ["t"]), GroupMember::new("b", ["t"])];
/// let assignment = OneReads.assign(&topics, &members).unwrap();
/// assert_eq!(assignment["a"], [TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
/// assert!(assignment["b"].is_empty());
/// ```
///
/// kafka-python: `AbstractPartitionAssignor`.
pub trait PartitionAssignor: Send {
    /// The name by which the members of a group agree on an assignor, such as `range`. It must not be empty, and must
    /// always be the same.
    fn name(&self) -> &str;

    /// How the members of a group may go from one assignment to the next. [`RebalanceProtocol::Eager`] suits every assignor.
    ///
    /// A consumer uses the highest one that all its assignors have.
    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager]
    }

    /// What this member tells the leader's assignor beside its topics: there it is [`GroupMember::user_data`].
    ///
    /// It is called each time this member joins, with the topics that it subscribes to.
    fn user_data(&self, topics: &BTreeSet<Arc<str>>) -> Option<Vec<u8>> {
        let _ = topics;
        None
    }

    /// Divides the partitions: who reads which, by [`GroupMember::member_id`]. Called on the leader of the group.
    ///
    /// `topics` has the number of partitions of each topic that somebody subscribes to and that exists. The result must
    /// have an entry for every member, give a partition to no more than one, and give nobody a topic that it does not
    /// subscribe to. Members stand in no particular order.
    ///
    /// Where the protocol of the group is [`RebalanceProtocol::Cooperative`], a partition that another member still has in
    /// hand, [`GroupMember::owned`], must be given to nobody: that member gives it up and joins again, and then it is free.
    ///
    /// # Errors
    /// Whatever stands in the way; it becomes an error of the call that took part in the group, and the group stays
    /// without an assignment.
    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError>;

    /// Tells this member what it got, each time that the group has been divided anew: all its partitions, and the
    /// generation of the group.
    fn on_assignment(&mut self, partitions: &[TopicPartition], generation: i32) {
        let _ = (partitions, generation);
    }
}

/// How the members of a group go from one assignment to the next.
///
/// Orders from the lowest to the highest; a consumer uses the highest one that all its assignors have.
///
/// ```
/// use kafka_blocking::RebalanceProtocol;
///
/// assert!(RebalanceProtocol::Eager < RebalanceProtocol::Cooperative);
/// ```
///
/// kafka-python: `RebalanceProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RebalanceProtocol {
    /// Every member gives up all its partitions before it joins, so none of them is read meanwhile.
    Eager,
    /// A member keeps what it has while it joins, and gives up only what is to go to another one, which gets it in a second
    /// round (KIP-429).
    Cooperative,
}
