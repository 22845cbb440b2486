//! The answers to OffsetCommit and OffsetFetch: each partition with its offset, or with its error.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::{
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
            OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
        },
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
            OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
            OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
};

use super::Refusals;
use crate::testing::{groups::CommittedOffset, state::State};

// OffsetCommit

impl State {
    pub(super) fn commit_offsets(
        &mut self,
        node: i32,
        version: i16,
        request: &OffsetCommitRequest,
        refusals: &Refusals,
        now: Instant,
    ) -> OffsetCommitResponse {
        let refused = refusals.all.or_else(|| self.groups.error(&request.group_id));
        let admitted = refused.map_or_else(
            || {
                self.coordinates(node, &request.group_id)?;
                self.groups.admit_commit(request, version, now)
            },
            Err,
        );
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let outcome = match refused {
                    Some(code) => Err(code),
                    None => {
                        self.commit_one(version, &request.group_id, topic, p, admitted, refusals)
                    }
                };
                OffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: outcome.map_or_else(|code| code.0, |()| 0),
                }
            });
            OffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name.clone(),
                topic_id: topic.topic_id,
            }
        });
        OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() }
    }

    fn commit_one(
        &mut self,
        version: i16,
        group_id: &str,
        topic: &OffsetCommitRequestTopic,
        partition: &OffsetCommitRequestPartition,
        admitted: Result<(), ErrorCode>,
        refusals: &Refusals,
    ) -> Result<(), ErrorCode> {
        let name = match version {
            10.. => self.topic_name(topic.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?,
            _ => &topic.name,
        };
        refusals.check(name, partition.partition_index)?;
        if let Some(code) = self.topic_errors.get(name) {
            return Err(*code);
        }
        if !self.topics.contains_key(name) {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        // Topics are looked at first, by whichever node is asked.
        admitted?;
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        if metadata.len() > self.groups.settings.max_metadata {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        let epoch = partition.committed_leader_epoch;
        let committed = CommittedOffset {
            offset: partition.committed_offset,
            leader_epoch: (epoch >= 0).then_some(epoch),
            metadata,
        };
        let name = name.to_owned();
        self.groups.set_committed(group_id, &name, partition.partition_index, committed);
        Ok(())
    }
}

// OffsetFetch

impl State {
    pub(super) fn fetch_offsets(
        &self,
        node: i32,
        version: i16,
        request: &OffsetFetchRequest,
        refusals: &Refusals,
    ) -> OffsetFetchResponse {
        if version >= 8 {
            let groups = request.groups.iter();
            return OffsetFetchResponse {
                groups: groups
                    .map(|g| self.fetch_group(node, version, g, request.require_stable, refusals))
                    .collect(),
                ..OffsetFetchResponse::default()
            };
        }
        let topics = request.topics.as_ref().map(|topics| {
            let named = topics.iter().map(|t| OffsetFetchRequestTopics {
                name: t.name.clone(),
                partition_indexes: t.partition_indexes.clone(),
                ..OffsetFetchRequestTopics::default()
            });
            named.collect()
        });
        let ask = OffsetFetchRequestGroup {
            group_id: request.group_id.clone(),
            topics,
            ..OffsetFetchRequestGroup::default()
        };
        let found = self.fetch_group(node, version, &ask, request.require_stable, refusals);
        OffsetFetchResponse {
            error_code: found.error_code,
            topics: found.topics.into_iter().map(in_old_form).collect(),
            ..OffsetFetchResponse::default()
        }
    }

    fn fetch_group(
        &self,
        node: i32,
        version: i16,
        ask: &OffsetFetchRequestGroup,
        require_stable: bool,
        refusals: &Refusals,
    ) -> OffsetFetchResponseGroup {
        let mut group = OffsetFetchResponseGroup {
            group_id: ask.group_id.clone(),
            ..OffsetFetchResponseGroup::default()
        };
        let refused = refusals.all.map_or_else(|| self.coordinates(node, &ask.group_id), Err);
        if let Err(code) = refused {
            // Before there was a place for the group's error, it stood at each partition.
            if version >= 2 && !of_partitions(code) {
                group.error_code = code.0;
                return group;
            }
            let topics = ask.topics.iter().flatten();
            group.topics = topics.map(|t| each(t, |_| failed(code))).collect();
            return group;
        }
        let all;
        let asked = match &ask.topics {
            Some(topics) => topics,
            None => {
                all = self.all_committed(version, &ask.group_id);
                &all
            }
        };
        let topics = asked.iter().map(|t| {
            each(t, |partition| {
                self.fetch_one(version, &ask.group_id, t, partition, require_stable, refusals)
                    .unwrap_or_else(failed)
            })
        });
        group.topics = topics.collect();
        group
    }

    /// What is asked for where everything is asked for.
    fn all_committed(&self, version: i16, group_id: &str) -> Vec<OffsetFetchRequestTopics> {
        let mut topics: Vec<OffsetFetchRequestTopics> = Vec::new();
        for (name, partition) in self.groups.committed_partitions(group_id) {
            if self.topic_errors.contains_key(&name) {
                continue;
            }
            match topics.last_mut().filter(|t| t.name == name) {
                Some(topic) => topic.partition_indexes.push(partition),
                None => {
                    let topic_id = self.topics.get(&name).map(|t| t.id).unwrap_or_default();
                    topics.push(OffsetFetchRequestTopics {
                        name,
                        topic_id,
                        partition_indexes: vec![partition],
                    });
                }
            }
        }
        topics.retain(|t| version < 10 || !t.topic_id.is_zero());
        topics
    }

    fn fetch_one(
        &self,
        version: i16,
        group_id: &str,
        topic: &OffsetFetchRequestTopics,
        partition: i32,
        require_stable: bool,
        refusals: &Refusals,
    ) -> Result<OffsetFetchResponsePartitions, ErrorCode> {
        let name = match version {
            10.. => self.topic_name(topic.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?,
            _ => &topic.name,
        };
        refusals.check(name, partition)?;
        if let Some(code) = self.topic_errors.get(name) {
            return Err(*code);
        }
        if require_stable && self.groups.is_unstable(group_id, name, partition) {
            return Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
        }
        let Some(committed) = self.groups.committed(group_id, name, partition) else {
            return Ok(none());
        };
        Ok(OffsetFetchResponsePartitions {
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            metadata: Some(committed.metadata.clone()),
            ..OffsetFetchResponsePartitions::default()
        })
    }
}

fn each(
    topic: &OffsetFetchRequestTopics,
    mut find: impl FnMut(i32) -> OffsetFetchResponsePartitions,
) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|&partition_index| {
        OffsetFetchResponsePartitions { partition_index, ..find(partition_index) }
    });
    OffsetFetchResponseTopics {
        partitions: partitions.collect(),
        name: topic.name.clone(),
        topic_id: topic.topic_id,
    }
}

/// What is said of a partition for which nothing was committed.
fn none() -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        committed_offset: -1,
        metadata: Some(String::new()),
        ..OffsetFetchResponsePartitions::default()
    }
}

fn failed(code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions { error_code: code.0, ..none() }
}

fn in_old_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|p| OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: p.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}

/// Whether an error stands beside the partitions.
fn of_partitions(code: ErrorCode) -> bool {
    [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::UNSTABLE_OFFSET_COMMIT,
    ]
    .contains(&code)
}
