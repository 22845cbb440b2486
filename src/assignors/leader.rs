//! What the leader of a group does: it has an assignor divide the partitions, and checks what that says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{GroupMember, PartitionAssignor, RebalanceProtocol, encode_assignment};
use crate::{error::BoxError, types::TopicPartition};

/// What to send to each member: the encoded share, by member id. Every member has one.
///
/// `topics` are those that exist, with the number of their partitions; others than the members subscribe to do no harm.
///
/// # Errors
/// What the assignor failed with, or what is wrong with its assignment.
#[doc(hidden)]
pub fn divide(
    assignor: &dyn PartitionAssignor,
    protocol: RebalanceProtocol,
    topics: &BTreeMap<Arc<str>, i32>,
    members: &[GroupMember],
) -> Result<BTreeMap<String, Vec<u8>>, BoxError> {
    let wanted: BTreeSet<&Arc<str>> = members.iter().flat_map(GroupMember::topics).collect();
    let topics: BTreeMap<Arc<str>, i32> = topics
        .iter()
        .filter(|(topic, partitions)| **partitions > 0 && wanted.contains(topic))
        .map(|(topic, partitions)| (topic.clone(), *partitions))
        .collect();
    let assignment = assignor.assign(&topics, members)?;
    check(&assignment, &topics, members)
        .and_then(|()| match protocol {
            RebalanceProtocol::Eager => Ok(()),
            RebalanceProtocol::Cooperative => check_in_hand(&assignment, members),
        })
        .map_err(|wrong| format!("the assignor {} {wrong}", assignor.name()))?;
    let encoded = |member: &GroupMember| {
        let id = member.member_id();
        let share = assignment.get(id).map_or(&[][..], Vec::as_slice);
        Ok((id.to_owned(), encode_assignment(share)?))
    };
    members.iter().map(encoded).collect()
}

/// Whether every partition exists and goes to one member, which is there and subscribes to it.
fn check(
    assignment: &BTreeMap<String, Vec<TopicPartition>>,
    topics: &BTreeMap<Arc<str>, i32>,
    members: &[GroupMember],
) -> Result<(), String> {
    let members: BTreeMap<&str, &BTreeSet<Arc<str>>> =
        members.iter().map(|member| (member.member_id(), member.topics())).collect();
    let mut given: BTreeMap<&TopicPartition, &str> = BTreeMap::new();
    for (id, share) in assignment {
        let subscribed =
            members.get(id.as_str()).ok_or_else(|| format!("names {id:?}, which is no member"))?;
        for partition in share {
            let exists = topics.get(partition.shared_topic());
            let exists = exists.is_some_and(|count| (0..*count).contains(&partition.partition()));
            if !exists {
                return Err(format!("gives {partition}, which does not exist, to {id:?}"));
            }
            if !subscribed.contains(partition.shared_topic()) {
                return Err(format!("gives {partition} to {id:?}, which does not subscribe to it"));
            }
            if let Some(other) = given.insert(partition, id) {
                return Err(format!("gives {partition} to {other:?} and to {id:?}"));
            }
        }
    }
    Ok(())
}

/// Whether nobody gets what only others have in hand, who still read it.
fn check_in_hand(
    assignment: &BTreeMap<String, Vec<TopicPartition>>,
    members: &[GroupMember],
) -> Result<(), String> {
    let mut in_hand: BTreeMap<&TopicPartition, BTreeSet<&str>> = BTreeMap::new();
    for member in members {
        for partition in member.owned() {
            in_hand.entry(partition).or_default().insert(member.member_id());
        }
    }
    for (id, share) in assignment {
        for partition in share {
            let owners = in_hand.get(partition);
            if let Some(owner) = owners.filter(|owners| !owners.contains(id.as_str())) {
                return Err(format!(
                    "gives {partition} to {id:?} while {owner:?} still have it: that takes two rounds"
                ));
            }
        }
    }
    Ok(())
}
