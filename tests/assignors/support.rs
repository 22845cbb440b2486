//! Groups and tables, shortly written.

use std::{collections::BTreeMap, sync::Arc};

use kafka_blocking::{AssignmentStrategy, GroupMember, PartitionAssignor, TopicPartition};

/// Topics, with the numbers of their partitions.
pub(crate) type Topics = BTreeMap<Arc<str>, i32>;

/// Who got what, by member id.
pub(crate) type Assignment = BTreeMap<String, Vec<TopicPartition>>;

pub(crate) const ALL: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

pub(crate) fn assignor(name: &str) -> Box<dyn PartitionAssignor> {
    AssignmentStrategy::new().with(name).assignors().pop().expect("a name that there is")
}

pub(crate) fn topics(list: &[(&str, i32)]) -> Topics {
    list.iter().map(|(topic, partitions)| ((*topic).into(), *partitions)).collect()
}

/// A member that subscribes to these topics.
pub(crate) fn member(id: &str, topics: &[&str]) -> GroupMember {
    GroupMember::new(id, topics.iter().copied())
}

/// Partitions, written as `t0:0,t0:1`; no partitions as nothing.
pub(crate) fn partitions(text: &str) -> Vec<TopicPartition> {
    let partition = |entry: &str| {
        let (topic, number) = entry.rsplit_once(':').expect("topic:number");
        TopicPartition::new(topic, number.parse().expect("a number"))
    };
    text.split(',').filter(|entry| !entry.is_empty()).map(partition).collect()
}

/// A table, written as `m0=t0:0,t0:1 m1=t0:2`.
pub(crate) fn table(text: &str) -> Assignment {
    let line = |entry: &str| {
        let (member, share) = entry.split_once('=').expect("member=partitions");
        (member.to_owned(), partitions(share))
    };
    text.split_whitespace().map(line).collect()
}

/// What an assignor gives, each share in order.
pub(crate) fn assign(name: &str, topics: &Topics, members: &[GroupMember]) -> Assignment {
    let mut assignment = assignor(name).assign(topics, members).expect("an assignment");
    assignment.values_mut().for_each(|share| share.sort());
    assignment
}

/// The same member as it joins after it had this: what it had stands where the assignor looks for it.
pub(crate) fn having(
    name: &str,
    member: GroupMember,
    had: &[TopicPartition],
    generation: i32,
) -> GroupMember {
    match name {
        "sticky" => {
            let mut assignor = assignor(name);
            assignor.on_assignment(had, generation);
            let data = assignor.user_data(member.topics()).expect("what it had");
            member.with_user_data(data)
        }
        "cooperative-sticky" => member.with_owned(had).with_generation(generation),
        _ => member,
    }
}
