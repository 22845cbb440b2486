//! What a test can do with a group, on a [`ScriptedBroker`](crate::testing::ScriptedBroker) and in a
//! [`Simulation`](crate::testing::Simulation).

use std::time::Instant;

use crate::{ErrorCode, TopicPartition};

use super::{
    group::Group, offsets::CommittedOffset, script::MemberScript, scripted::ScriptedMemberId,
    view::GroupView,
};
use crate::testing::{cluster::Cluster, state::State};

/// A group, for a test to look at and to change. It need not exist.
pub struct GroupHandle<'a> {
    id: String,
    /// Does something to the brokers as they are at that time, and lets them act on it.
    with: Box<With<'a>>,
}

type With<'a> = dyn Fn(&mut dyn FnMut(&mut Cluster, Instant)) + 'a;

impl<'a> GroupHandle<'a> {
    pub(crate) fn new(id: &str, with: impl Fn(&mut dyn FnMut(&mut Cluster, Instant)) + 'a) -> Self {
        Self { id: id.to_owned(), with: Box::new(with) }
    }

    // What it is

    /// The group as it is now.
    #[must_use]
    pub fn view(&self) -> GroupView {
        self.with(|state, _| state.groups.view(&self.id))
    }

    /// The node that coordinates it, if one does.
    #[must_use]
    pub fn coordinator(&self) -> Option<i32> {
        self.with(|state, _| state.coordinator(&self.id))
    }

    // What is done to it

    /// Stores an offset, as if it had been committed.
    pub fn set_committed(
        &self,
        partition: impl Into<TopicPartition>,
        committed: impl Into<CommittedOffset>,
    ) {
        let (partition, committed) = (partition.into(), committed.into());
        self.with(|state, _| {
            let (topic, partition) = (partition.topic(), partition.partition());
            state.groups.set_committed(&self.id, topic, partition, committed);
        });
    }

    /// Lets a transaction be open, or not, that commits an offset here: who asks for stable offsets has to ask again.
    pub fn set_unstable(&self, partition: impl Into<TopicPartition>, unstable: bool) {
        let partition = partition.into();
        self.with(|state, _| {
            let (topic, partition) = (partition.topic(), partition.partition());
            state.groups.set_unstable(&self.id, topic, partition, unstable);
        });
    }

    /// Lets it answer everything with an error, such as `GROUP_AUTHORIZATION_FAILED` or `COORDINATOR_LOAD_IN_PROGRESS`,
    /// or no longer.
    pub fn set_error(&self, error: Option<ErrorCode>) {
        self.with(|state, _| match error {
            Some(code) => drop(state.groups.errors.insert(self.id.clone(), code)),
            None => drop(state.groups.errors.remove(&self.id)),
        });
    }

    /// Lets another node coordinate it: see [`State::set_coordinator`].
    pub fn set_coordinator(&self, node: i32) {
        self.with(|state, _| state.set_coordinator(&self.id, node));
    }

    /// Lets it rebalance: its members learn of it with their next heartbeats.
    ///
    /// # Panics
    /// Where it has no members.
    pub fn trigger_rebalance(&self) {
        self.change(|group, now| {
            assert!(!group.members.is_empty(), "a group without members does not rebalance");
            group.rebalance(std::time::Duration::ZERO, now);
        });
    }

    /// Takes a member out, as an administrator does.
    ///
    /// # Panics
    /// Where it has no such member.
    pub fn remove_member(&self, member_id: &str) {
        self.change(|group, now| {
            assert!(group.member(member_id).is_some(), "no member {member_id}");
            group.dismiss(member_id);
            group.after_dismissal(now);
        });
    }

    /// Lets the session of a member end now. That of a member that waits for an answer goes on, as it does in Kafka.
    ///
    /// # Panics
    /// Where it has no such member.
    pub fn expire_session(&self, member_id: &str) {
        self.change(|group, now| {
            let member = group.member_mut(member_id);
            member.unwrap_or_else(|| panic!("no member {member_id}")).expires = now;
        });
    }

    /// Deletes it with its offsets. Whoever waits for an answer of it is unknown.
    pub fn delete(&self) {
        self.with(|state, _| state.groups.delete(&self.id));
    }

    // Scripted members

    /// Lets a member join that lives inside the broker.
    pub fn add(&self, script: MemberScript) -> ScriptedMemberId {
        self.with(|state, now| state.groups.add_scripted(&self.id, script, now))
    }

    /// Changes what a scripted member does from now on; what it says it says when it joins the next time.
    ///
    /// # Panics
    /// Where it has left.
    pub fn change_scripted(&self, id: ScriptedMemberId, change: impl FnOnce(&mut MemberScript)) {
        self.with(|state, _| change(&mut state.groups.actor_mut(id).script));
    }

    /// Lets a scripted member join again.
    ///
    /// # Panics
    /// Where it has left.
    pub fn rejoin(&self, id: ScriptedMemberId) {
        self.with(|state, now| state.groups.rejoin_scripted(id, now));
    }

    /// Lets a scripted member leave.
    ///
    /// # Panics
    /// Where it has left.
    pub fn leave(&self, id: ScriptedMemberId) {
        self.with(|state, now| state.groups.leave_scripted(id, now));
    }

    /// The member id of a scripted member, empty where it has none yet.
    ///
    /// # Panics
    /// Where it has left.
    #[must_use]
    pub fn member_id(&self, id: ScriptedMemberId) -> String {
        self.with(|state, _| state.groups.actor(id).member_id.clone())
    }

    /// Why a scripted member is not in the group, if it was refused or removed.
    ///
    /// # Panics
    /// Where it has left.
    #[must_use]
    pub fn refused(&self, id: ScriptedMemberId) -> Option<ErrorCode> {
        self.with(|state, _| state.groups.actor(id).refused())
    }

    // Helpers

    fn change(&self, change: impl FnOnce(&mut Group, Instant)) {
        self.with(|state, now| state.groups.change(&self.id, now, change));
    }

    fn with<T>(&self, f: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (mut f, mut result) = (Some(f), None);
        (self.with)(&mut |cluster, now| {
            result = f.take().map(|f| f(&mut cluster.state, now));
        });
        result.expect("it was called")
    }
}
