//! What the cluster looks like, as far as brokers have told.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ErrorCode,
    net::servers::HostPort,
    protocol::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic},
    types::TopicPartition,
    wire::Uuid,
};

/// Brokers, topics, leaders.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    brokers: BTreeMap<i32, HostPort>,
    topics: BTreeMap<Arc<str>, Topic>,
    ids: BTreeMap<Uuid, Arc<str>>,
    changes: u64,
    recreated: Vec<Arc<str>>,
}

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// The id that tells it from a topic of the same name before or after it; brokers before 2.8 have none.
    pub id: Option<Uuid>,
    /// Whether brokers keep it for themselves, as they say from Kafka 0.10 on.
    pub internal: bool,
    /// The partitions by number.
    pub partitions: BTreeMap<i32, Partition>,
    /// The error of the last answer, which leaves the partitions as they were known before.
    pub error: Option<ErrorCode>,
}

/// What is known of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The broker that leads it, unless there is none just now.
    pub leader: Option<i32>,
    /// How often the leader has changed; `None` where brokers do not tell.
    pub epoch: Option<i32>,
    /// The brokers that have a copy of it.
    pub replicas: Vec<i32>,
}

impl Topic {
    /// Whether the topic exists, or did when it was last told of.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.error.is_none() || !self.partitions.is_empty()
    }
}

impl Cluster {
    /// Takes over an answer of a version, as far as it is about topics that are `wanted`, by name and whether they are
    /// internal. Other topics are forgotten, so that what is known does not grow with every change of mind.
    pub fn update(
        &mut self,
        version: i16,
        response: &MetadataResponse,
        wanted: impl Fn(&str, bool) -> bool,
    ) {
        let brokers = response
            .brokers
            .iter()
            .filter_map(|b| Some((b.node_id, HostPort::from_broker(&b.host, b.port)?)));
        let brokers: BTreeMap<i32, HostPort> = brokers.filter(|(id, _)| *id >= 0).collect();
        if brokers != self.brokers {
            self.brokers = brokers;
            self.changes += 1;
        }
        self.retain(&wanted);
        for topic in &response.topics {
            if let Some(name) = topic.name.as_ref().filter(|name| wanted(name, topic.is_internal)) {
                self.update_topic(version, name, topic);
            }
        }
    }

    /// There is no such topic, as far as an answer about all topics tells.
    pub fn set_missing(&mut self, name: &Arc<str>) {
        let topic = self.topics.entry(name.clone()).or_default();
        if topic.error.replace(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).is_none() {
            self.changes += 1;
        }
    }

    /// Forgets all topics but these.
    pub fn retain(&mut self, wanted: impl Fn(&str, bool) -> bool) {
        let before = self.topics.len();
        self.topics.retain(|name, topic| wanted(name, topic.internal));
        if self.topics.len() != before {
            let topics = &self.topics;
            self.ids.retain(|_, name| topics.contains_key(name));
            self.changes += 1;
        }
    }

    /// Takes over a leader that a fetch response hinted at (KIP-951), if it is news.
    /// Says whether the hint can be used: a leader that is no known broker cannot.
    pub fn update_leader(&mut self, partition: &TopicPartition, leader: i32, epoch: i32) -> bool {
        let known = self.brokers.contains_key(&leader);
        let entry = self
            .topics
            .get_mut(partition.topic())
            .and_then(|t| t.partitions.get_mut(&partition.partition()));
        let Some(entry) = entry.filter(|p| known && p.epoch.is_none_or(|old| old < epoch)) else {
            return false;
        };
        (entry.leader, entry.epoch) = (Some(leader), Some(epoch));
        self.changes += 1;
        true
    }

    /// The brokers by id.
    pub fn brokers(&self) -> impl Iterator<Item = (i32, &HostPort)> {
        self.brokers.iter().map(|(id, host)| (*id, host))
    }

    /// Whether there is such a broker.
    #[must_use]
    pub fn has_broker(&self, id: i32) -> bool {
        self.brokers.contains_key(&id)
    }

    /// The topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &Topic)> {
        self.topics.iter()
    }

    /// What is known of a topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The name of the topic with an id.
    #[must_use]
    pub fn topic_name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.ids.get(&id)
    }

    /// What is known of a partition.
    #[must_use]
    pub fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.topics.get(partition.topic())?.partitions.get(&partition.partition())
    }

    /// The broker that leads a partition, if there is one and it is known.
    #[must_use]
    pub fn leader(&self, partition: &TopicPartition) -> Option<i32> {
        self.partition(partition)?.leader.filter(|id| self.brokers.contains_key(id))
    }

    /// The topics that were made anew since the last call.
    pub fn take_recreated(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.recreated)
    }

    /// Counts the changes, so that others see whether there were any.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn update_topic(&mut self, version: i16, name: &str, answer: &MetadataResponseTopic) {
        let name: Arc<str> =
            self.topics.get_key_value(name).map_or_else(|| name.into(), |(key, _)| key.clone());
        let topic = self.topics.entry(name.clone()).or_default();
        let before = topic.clone();
        if answer.error_code != 0 {
            topic.error = Some(ErrorCode(answer.error_code));
        } else {
            topic.error = None;
            topic.internal = answer.is_internal;
            let id = Some(answer.topic_id).filter(|id| *id != Uuid::default());
            // A broker that tells none says nothing about it.
            if let Some(id) = id.filter(|id| topic.id != Some(*id)) {
                // Another topic of the same name: epochs of the old one mean nothing for it.
                topic.partitions.clear();
                if topic.id.is_some() {
                    self.recreated.push(name.clone());
                }
                if let Some(old) = topic.id.take() {
                    self.ids.remove(&old);
                }
                topic.id = Some(id);
            }
            if let Some(id) = id {
                self.ids.insert(id, name);
            }
            for partition in &answer.partitions {
                let known = topic.partitions.entry(partition.partition_index).or_default();
                take_newer(version, known, partition);
            }
        }
        if *topic != before {
            self.changes += 1;
        }
    }
}

/// Takes over what an answer says of a partition: a broker that is behind does not take it back to an older leader.
fn take_newer(version: i16, known: &mut Partition, answer: &MetadataResponsePartition) {
    // Before v9 a broker that has just started may tell epochs that are too old (KAFKA-9212).
    const RELIABLE_EPOCHS: i16 = 9;
    let epoch = Some(answer.leader_epoch).filter(|e| version >= RELIABLE_EPOCHS && *e >= 0);
    if let (Some(old_epoch), Some(new_epoch)) = (known.epoch, epoch)
        && new_epoch < old_epoch
    {
        return;
    }
    *known = Partition {
        leader: Some(answer.leader_id).filter(|id| *id >= 0),
        epoch,
        replicas: answer.replica_nodes.clone(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::metadata::MetadataResponseBroker;

    fn answer(id: u8, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: "h".into(),
            port: 9092,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![MetadataResponseTopic {
                name: Some("t".into()),
                topic_id: Uuid([id; 16]),
                partitions: vec![MetadataResponsePartition {
                    leader_id,
                    leader_epoch,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn leader(cluster: &Cluster) -> Option<(i32, i32)> {
        let p = cluster.partition(&("t", 0).into())?;
        Some((p.leader?, p.epoch?))
    }

    #[test]
    fn fault_48_a_broker_that_is_behind_does_not_take_a_partition_back_to_an_older_leader() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, 1, 5), |_, _| true);
        cluster.update(12, &answer(1, 2, 4), |_, _| true);
        assert_eq!(leader(&cluster), Some((1, 5)));
        cluster.update(12, &answer(1, 2, 6), |_, _| true);
        assert_eq!(leader(&cluster), Some((2, 6)));
    }

    #[test]
    fn a_topic_created_anew_begins_with_its_own_epochs() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, 1, 5), |_, _| true);
        cluster.update(12, &answer(2, 2, 0), |_, _| true);
        assert_eq!(leader(&cluster), Some((2, 0)));
        assert_eq!(cluster.topic_name(Uuid([1; 16])), None);
        assert_eq!(cluster.topic_name(Uuid([2; 16])).map(|n| &**n), Some("t"));
    }

    #[test]
    fn an_error_about_a_topic_leaves_its_partitions_as_they_were_known() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, 1, 5), |_, _| true);
        let mut error = answer(1, -1, -1);
        error.topics[0].error_code = 3;
        error.topics[0].partitions.clear();
        cluster.update(12, &error, |_, _| true);
        assert_eq!(leader(&cluster), Some((1, 5)));
        assert_eq!(cluster.topic("t").and_then(|t| t.error), Some(ErrorCode(3)));
    }

    #[test]
    fn a_hint_is_taken_when_it_is_newer_and_its_leader_is_known() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, 1, 5), |_, _| true);
        let partition = ("t", 0).into();
        assert!(!cluster.update_leader(&partition, 9, 6));
        assert!(!cluster.update_leader(&partition, 2, 5));
        assert!(cluster.update_leader(&partition, 2, 6));
        assert_eq!(leader(&cluster), Some((2, 6)));
    }

    #[test]
    fn fault_50_a_partition_without_leader_or_with_an_unknown_one_has_none() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, -1, 5), |_, _| true);
        assert_eq!(cluster.leader(&("t", 0).into()), None);
        cluster.update(12, &answer(1, 77, 6), |_, _| true);
        assert_eq!(cluster.leader(&("t", 0).into()), None);
    }

    #[test]
    fn a_topic_that_is_no_longer_wanted_is_forgotten_with_its_id() {
        let mut cluster = Cluster::default();
        cluster.update(12, &answer(1, 1, 5), |_, _| true);
        let before = cluster.changes();
        cluster.update(12, &answer(1, 1, 5), |name, _| name != "t");
        assert_eq!(cluster.topics().count(), 0);
        assert_eq!(cluster.topic_name(Uuid([1; 16])), None);
        assert!(cluster.changes() > before);
        let before = cluster.changes();
        cluster.update(12, &answer(1, 1, 5), |name, _| name != "t");
        assert_eq!(cluster.changes(), before, "nothing of it was taken in");
    }

    #[test]
    fn replicas_are_those_of_the_last_answer_and_survive_a_hint() {
        let mut cluster = Cluster::default();
        let replicas = |cluster: &Cluster| {
            cluster.partition(&("t", 0).into()).map(|p| p.replicas.clone()).unwrap()
        };
        for nodes in [vec![1, 2], vec![2, 3]] {
            let mut answer = answer(1, 1, 5);
            answer.topics[0].partitions[0].replica_nodes.clone_from(&nodes);
            let before = cluster.changes();
            cluster.update(12, &answer, |_, _| true);
            assert_eq!(replicas(&cluster), nodes);
            assert!(cluster.changes() > before);
        }
        assert!(cluster.update_leader(&("t", 0).into(), 2, 6));
        assert_eq!(replicas(&cluster), [2, 3]);
    }
}
