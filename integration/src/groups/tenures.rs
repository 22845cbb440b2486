//! The tenures of a group's partitions: from when a member was given one until it gave it up, lost it, left or died.
use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::TopicPartition;

use super::{
    check::{Rule, Violation},
    event::{Event, PartitionOffsets, What},
    member::MemberHistory,
    settings::Kind,
};

/// How a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `on_partitions_revoked`, or a close that commits.
    Clean,
    /// `on_partitions_lost`: the group had given the partition to another before the member knew.
    Lost,
    /// The member was killed, or its consumer dropped.
    Abrupt,
    /// The member had it to the end of what was looked at.
    Open,
}

/// One member's time with one partition.
#[derive(Clone, Debug)]
pub(super) struct Tenure<'a> {
    pub(super) member: &'a str,
    pub(super) kind: Kind,
    pub(super) begin: Duration,
    pub(super) end: Duration,
    pub(super) how: End,
    /// What was committed at its begin.
    pub(super) committed: Option<i64>,
    /// Time, offset and value of what was handed out.
    pub(super) records: Vec<(Duration, i64, &'a str)>,
    /// When a commit was about to be sent, when it was acknowledged, and what for.
    pub(super) commits: Vec<(Duration, Duration, i64)>,
}

pub(super) type ByPartition<'a> = BTreeMap<TopicPartition, Vec<Tenure<'a>>>;

/// The tenures of each partition in the order in which they began. What a member did without one is a violation.
pub(super) fn tenures<'a>(
    members: &'a [MemberHistory],
    violations: &mut Vec<Violation>,
) -> ByPartition<'a> {
    let mut all = ByPartition::new();
    for member in members {
        let mut life = Life { member, open: BTreeMap::new(), intent: None, closing: None };
        for event in &member.events {
            life.handle(event, &mut all, violations);
        }
        let left: Vec<TopicPartition> = life.open.keys().cloned().collect();
        for partition in left {
            life.end(&partition, Duration::MAX, End::Open, &mut all);
        }
    }
    for tenures in all.values_mut() {
        tenures.sort_by_key(|tenure| tenure.begin);
    }
    all
}

/// A member as its events are gone through.
struct Life<'a> {
    member: &'a MemberHistory,
    open: BTreeMap<TopicPartition, Tenure<'a>>,
    /// The commit that is under way.
    intent: Option<Duration>,
    /// When it began to leave, and whether it commits.
    closing: Option<(Duration, bool)>,
}

impl<'a> Life<'a> {
    fn handle(
        &mut self,
        event: &'a Event,
        all: &mut ByPartition<'a>,
        violations: &mut Vec<Violation>,
    ) {
        let name = &self.member.name;
        let mut wrong = |rule, text: String| {
            violations.push(Violation { rule, at: event.at, text: format!("{name}: {text}") });
        };
        match &event.what {
            What::Started | What::CommitFailed(_) => {}
            What::Assigned { partitions, committed } => {
                for partition in partitions {
                    if self.open.contains_key(partition) {
                        wrong(Rule::AssignedOnce, format!("{partition} was its own already"));
                        self.end(partition, event.at, End::Abrupt, all);
                    }
                    self.begin(partition, event.at, committed.get(partition).copied());
                }
            }
            What::Revoked(partitions) | What::Lost(partitions) => {
                // Java and kafka-python tell their listeners of nothing, too.
                if partitions.is_empty() && self.member.kind == Kind::Ours {
                    wrong(Rule::RevokedOnce, "a listener was told of no partitions".to_owned());
                }
                let lost = matches!(event.what, What::Lost(_));
                let how = if lost { End::Lost } else { End::Clean };
                for partition in partitions {
                    let owned = self.end(partition, event.at, how, all);
                    // kafka-python tells of all again when a join has to be sent again.
                    if !owned && self.member.kind != Kind::KafkaPython {
                        wrong(Rule::RevokedOnce, format!("{partition} was not its own"));
                    }
                }
            }
            What::Record { partition, offset, value } => match self.open.get_mut(partition) {
                Some(tenure) => tenure.records.push((event.at, *offset, value)),
                None => {
                    wrong(Rule::Owned, format!("{partition} at {offset} was handed out"));
                }
            },
            What::Committing(_) => self.intent = Some(event.at),
            What::Committed(offsets) => {
                let sent = self.intent.take().unwrap_or(event.at);
                for (partition, offset) in self.note_commits(offsets, sent, event.at) {
                    wrong(Rule::Owned, format!("{partition} was committed at {offset}"));
                }
            }
            What::Error(message) => wrong(Rule::NoErrors, message.clone()),
            What::Closing { commits } => self.closing = Some((event.at, *commits)),
            What::Closed => self.end_all(event.at, End::Clean, all),
            What::Killed => self.end_all(event.at, End::Abrupt, all),
            What::Ended { well } => {
                if !well {
                    wrong(Rule::NoErrors, "its process failed".to_owned());
                }
                self.end_all(event.at, End::Abrupt, all);
            }
        }
    }

    fn begin(&mut self, partition: &TopicPartition, at: Duration, committed: Option<i64>) {
        let tenure = Tenure {
            member: &self.member.name,
            kind: self.member.kind,
            begin: at,
            end: Duration::MAX,
            how: End::Open,
            committed,
            records: Vec::new(),
            commits: Vec::new(),
        };
        self.open.insert(partition.clone(), tenure);
    }

    /// Whether there was one.
    fn end(
        &mut self,
        partition: &TopicPartition,
        at: Duration,
        how: End,
        all: &mut ByPartition<'a>,
    ) -> bool {
        let Some(tenure) = self.open.remove(partition) else { return false };
        all.entry(partition.clone()).or_default().push(Tenure { end: at, how, ..tenure });
        true
    }

    fn end_all(&mut self, at: Duration, how: End, all: &mut ByPartition<'a>) {
        // A group may hand on what a member had as soon as it leaves, which is before it has said that it has left.
        let (at, how) = match self.closing {
            Some((closing, true)) => (closing, how),
            Some((closing, false)) => (closing, End::Abrupt),
            None => (at, how),
        };
        for partition in self.open.keys().cloned().collect::<Vec<_>>() {
            self.end(&partition, at, how, all);
        }
    }

    /// Those that it did not own.
    fn note_commits(
        &mut self,
        offsets: &PartitionOffsets,
        sent: Duration,
        acknowledged: Duration,
    ) -> Vec<(TopicPartition, i64)> {
        let mut foreign = Vec::new();
        for (partition, offset) in offsets {
            match self.open.get_mut(partition) {
                Some(tenure) => tenure.commits.push((sent, acknowledged, *offset)),
                None => foreign.push((partition.clone(), *offset)),
            }
        }
        foreign
    }
}
