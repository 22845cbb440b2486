//! How topics come, grow and go, and how their partitions change their leaders.

use crate::wire::Uuid;

use crate::testing::state::{Follower, Partition, State, Topic};

impl State {
    /// A new topic; its partitions are led by the nodes in turn. One of the same name is replaced, and has another id.
    ///
    /// # Panics
    /// For more than 255 topics.
    pub fn create_topic(&mut self, name: &str, partitions: usize) {
        self.next_topic = self.next_topic.checked_add(1).expect("fewer than 256 topics");
        let topic = Topic { id: Uuid([self.next_topic; 16]), partitions: Vec::new() };
        self.topics.insert(name.to_owned(), topic);
        self.add_partitions(name, partitions);
    }

    /// Whether one more topic can be made.
    pub(super) fn has_topic_ids(&self) -> bool {
        self.next_topic < u8::MAX
    }

    /// More partitions for a topic, led by the nodes in turn.
    ///
    /// # Panics
    /// Where there is no such topic.
    pub fn add_partitions(&mut self, name: &str, more: usize) {
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        let topic = self.topics.get_mut(name).unwrap_or_else(|| panic!("no topic {name}"));
        let old = topic.partitions.len();
        topic.partitions.extend((old..old + more).map(|n| Partition {
            leader: Some(ids[n % ids.len()]),
            replicas: ids.clone(),
            ..Partition::default()
        }));
    }

    /// A topic goes, with all that it held.
    ///
    /// # Panics
    /// Where there is no such topic.
    pub fn delete_topic(&mut self, name: &str) {
        assert!(self.topics.remove(name).is_some(), "no topic {name}");
    }

    /// Lets another node lead a partition, or none, in a new epoch.
    pub fn move_leader(&mut self, topic: &str, partition: i32, leader: Option<i32>) {
        let partition = self.partition_mut(topic, partition);
        partition.leader = leader;
        partition.epoch += 1;
        if leader.is_some() {
            partition.log.begin_epoch(partition.epoch);
        }
    }

    /// Lets a node lead that has less of the log: what lies at or behind an offset is lost, and what is appended from
    /// now on is of a new epoch.
    pub fn elect_unclean(&mut self, topic: &str, partition: i32, leader: i32, truncate_to: i64) {
        self.partition_mut(topic, partition).log.truncate(truncate_to);
        self.move_leader(topic, partition, Some(leader));
    }

    /// Changes in what a replica differs from its leader.
    pub fn follower_mut(&mut self, topic: &str, partition: i32, node: i32) -> &mut Follower {
        self.partition_mut(topic, partition).followers.entry(node).or_default()
    }
}
