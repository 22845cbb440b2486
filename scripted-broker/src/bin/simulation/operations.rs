//! What can happen in a run, one after the other: so that a run can be played again, with less of it.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request, fetch::FetchRequest, find_coordinator::FindCoordinatorRequest,
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        metadata::MetadataRequest, offset_commit::OffsetCommitRequest,
        offset_fetch::OffsetFetchRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{GroupSimulation, Reach};

use crate::{
    chaos::{Chaos, GROUP},
    ledger::MemberId,
    program::{Dice, End, Habits},
};

/// A member by its number in the run in which this was drawn. In another run there may be no such member.
pub(crate) type Label = usize;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Time passes.
    Pass(Duration),
    /// Records are written.
    Append { topic: &'static str, partition: usize, count: usize, length: usize },
    /// A member comes, in this stage of a rolling change.
    Start { member: Label, stage: usize, habits: Box<Habits>, dice: Dice },
    /// It is told to go.
    End(Label, End),
    /// Its process dies, and its connections with it or not.
    Kill { member: Label, closing: bool },
    /// It hangs, or goes on.
    Freeze(Label, bool),
    /// A broker dies.
    Stop(u8),
    /// It comes back.
    Restart(u8),
    /// It hangs.
    Pause(u8),
    /// The group has this coordinator.
    Coordinate(u8),
    /// A broker closes its connections.
    CloseConnections(u8),
    /// A topic gets one more partition.
    AddPartition(&'static str),
    /// The first partition of a topic has another leader, or none.
    MoveLeader(&'static str, Option<i32>),
    /// The coordinator loses a member, or thinks that it hears nothing of it.
    Expel { nth: usize, removed: bool },
    /// One of a member's connections dies.
    Cut(Label),
    /// What becomes of packets between a member and a broker.
    SetReach(Label, u8, Reach),
    /// How long they take.
    SetLatency(Label, u8, Duration),
    /// For how long none arrives.
    Hold(Label, u8, Duration),
    /// Something happens to the next requests of a kind.
    Hinder { what: Hindered, times: usize, how: How },
}

/// Which requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hindered {
    Join,
    Sync,
    Heartbeat,
    Commit,
    Committed,
    FindCoordinator,
    Leave,
    Metadata,
    Fetch,
}

/// What becomes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Close,
    CloseAfter,
    Delay(Duration),
    Swallow,
    CutAt(usize),
    Fail(i16),
}

impl Chaos {
    /// Lets it happen.
    pub(crate) fn happen(&mut self, operation: Operation) {
        self.recipe.borrow_mut().operations.push(operation.clone());
        match operation {
            Operation::Pass(time) => self.run_for(time),
            Operation::Start { member, stage, habits, dice } => {
                self.start(member, stage, *habits, dice);
            }
            Operation::End(member, end) => {
                if let Some(member) = self.member(member) {
                    self.words[member].end.set(Some(end));
                }
            }
            Operation::Kill { member, closing } => {
                if let Some(member) = self.member(member) {
                    self.sim.kill(member, closing);
                }
            }
            Operation::Freeze(member, frozen) => {
                if let Some(member) = self.member(member) {
                    self.freeze(member, frozen);
                }
            }
            Operation::Hinder { what, times, how } => hinder(&mut self.sim, what, times, how),
            Operation::Cut(_)
            | Operation::SetReach(..)
            | Operation::SetLatency(..)
            | Operation::Hold(..) => self.disturb_network(&operation),
            _ => self.disturb_brokers(&operation),
        }
    }

    fn member(&self, label: Label) -> Option<MemberId> {
        self.members.get(&label).copied()
    }

    fn disturb_network(&mut self, operation: &Operation) {
        let (Operation::Cut(label)
        | Operation::SetReach(label, ..)
        | Operation::SetLatency(label, ..)
        | Operation::Hold(label, ..)) = operation
        else {
            return;
        };
        let Some(member) = self.member(*label) else { return };
        match *operation {
            Operation::Cut(_) => self.sim.cut(member),
            Operation::SetReach(_, node, reach) => self.sim.set_reach(member, node, reach),
            Operation::SetLatency(_, node, time) => self.sim.set_latency(member, node, time),
            Operation::Hold(_, node, time) => self.sim.hold(member, node, time),
            _ => {}
        }
    }

    fn disturb_brokers(&mut self, operation: &Operation) {
        let sim = &mut self.sim;
        match *operation {
            Operation::Append { topic, partition, count, length } => {
                let value = "x".repeat(length);
                sim.with_cluster(|cluster, _| {
                    let partitions = cluster.state.topics[topic].partitions.len();
                    let partition = i32::try_from(partition % partitions).expect("a few");
                    cluster.state.append(topic, partition, vec![value.as_str(); count]);
                    cluster.changed();
                });
            }
            Operation::Stop(node) => sim.stop(node),
            Operation::Restart(node) => sim.restart(node),
            Operation::Pause(node) => {
                sim.with_cluster(|cluster, _| cluster.set_paused(node.into(), true));
            }
            Operation::Coordinate(node) => sim.with_cluster(|cluster, now| {
                cluster.group(GROUP, now).set_coordinator(node.into());
            }),
            Operation::CloseConnections(node) => {
                sim.with_cluster(|cluster, _| cluster.close_connections(node.into()));
            }
            Operation::AddPartition(topic) => sim.with_cluster(|cluster, _| {
                if cluster.state.topics[topic].partitions.len() < 6 {
                    cluster.state.add_partitions(topic, 1);
                    cluster.changed();
                }
            }),
            Operation::MoveLeader(topic, leader) => sim.with_cluster(|cluster, _| {
                cluster.state.move_leader(topic, 0, leader);
                cluster.changed();
            }),
            Operation::Expel { nth, removed } => {
                let Some(members) = expellable(sim) else { return };
                let id = &members[nth % members.len()];
                sim.with_cluster(|cluster, now| {
                    let group = cluster.group(GROUP, now);
                    if removed { group.remove_member(id) } else { group.expire_session(id) }
                });
            }
            _ => {}
        }
    }
}

/// Whom the coordinator could lose. A group without one that runs is left as it is.
pub(crate) fn expellable(sim: &mut GroupSimulation) -> Option<Vec<String>> {
    sim.with_cluster(|cluster, now| {
        let coordinator = cluster.state.coordinator(GROUP);
        if coordinator.is_none_or(|node| cluster.is_paused(node)) {
            return None;
        }
        cluster.handle(now);
        let members = cluster.group(GROUP, now).view().members;
        let ids: Vec<String> = members.into_iter().map(|member| member.id).collect();
        Some(ids).filter(|ids| !ids.is_empty())
    })
}

fn hinder(sim: &mut GroupSimulation, what: Hindered, times: usize, how: How) {
    match what {
        Hindered::Join => hinder_api::<JoinGroupRequest>(sim, times, how),
        Hindered::Sync => hinder_api::<SyncGroupRequest>(sim, times, how),
        Hindered::Heartbeat => hinder_api::<HeartbeatRequest>(sim, times, how),
        Hindered::Commit => hinder_api::<OffsetCommitRequest>(sim, times, how),
        Hindered::Committed => hinder_api::<OffsetFetchRequest>(sim, times, how),
        Hindered::FindCoordinator => hinder_api::<FindCoordinatorRequest>(sim, times, how),
        Hindered::Leave => hinder_api::<LeaveGroupRequest>(sim, times, how),
        Hindered::Metadata => hinder_api::<MetadataRequest>(sim, times, how),
        Hindered::Fetch => hinder_api::<FetchRequest>(sim, times, how),
    }
}

fn hinder_api<R: Request>(sim: &mut GroupSimulation, times: usize, how: How)
where
    R::Response: Send + 'static,
{
    sim.note(format!("hinders {} {times} times: {how:?}", R::NAME));
    sim.with_cluster(|cluster, _| {
        let rule = cluster.on::<R>().times(times);
        match how {
            How::Close => rule.close(),
            How::CloseAfter => rule.close_after(),
            How::Delay(time) => rule.delay(time),
            How::Swallow => rule.swallow(),
            How::CutAt(at) => rule.cut_at(at),
            How::Fail(code) => rule.fail(ErrorCode(code)),
        }
    });
}
