//! How a simulated consumer gives back what it has: closing, unsubscribing and being dropped, as in the crate.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_blocking::{
    Error, TopicPartition, consumer::machines::Machines, coordinator::Coordinator,
};

use super::{
    consumer::{News, SimulatedConsumer},
    world::Happened,
};

/// How long a member that goes waits for the others to agree, so that its commits are taken.
const AGREEMENT: Duration = Duration::from_secs(3);

/// How long being dropped may take.
const DROP_PATIENCE: Duration = Duration::from_millis(500);

impl SimulatedConsumer {
    /// Closes the consumer, as `KafkaConsumer::close` does.
    pub async fn close(mut self) {
        self.note(Happened::CameBack);
        self.note(Happened::Note("closes".into()));
        let call = self.begin("close", self.limits.request_timeout);
        let until = self.now() + self.limits.request_timeout;
        self.give_back(self.limits.auto_commit, "the consumer was closed", until).await;
        self.end(call);
        let finished = self.with_group(|group, _| {
            group.give_up_commits();
            group.take_finished()
        });
        self.tell_of_commits(finished);
    }

    /// Reads nothing from now on, and leaves the group.
    pub async fn unsubscribe(&mut self) {
        self.note(Happened::CameBack);
        self.note(Happened::Note("unsubscribes".into()));
        let call = self.begin("unsubscribe", self.limits.api_timeout);
        let until = self.now() + self.limits.api_timeout;
        self.give_back(self.limits.auto_commit, "it has unsubscribed", until).await;
        self.end(call);
        self.with_driver(|machines, now| {
            machines.subscriptions.unsubscribe();
            machines.subscription_changed(now);
        });
    }

    /// Is dropped without being closed.
    pub async fn drop_it(mut self) {
        self.note(Happened::Note("is dropped".into()));
        let call = self.begin("drop", DROP_PATIENCE);
        let until = self.now() + DROP_PATIENCE;
        if self.machines.group.as_ref().is_some_and(Coordinator::is_known) {
            self.leave_group("the consumer was dropped", until).await;
        }
        self.end(call);
    }

    /// Gives all partitions back to the group, and leaves it.
    async fn give_back(&mut self, commit: bool, reason: &'static str, until: Instant) {
        let partitions = self.with_driver(|machines, now| {
            let begun = machines.with_group(now, |_, cx| {
                let assigned: BTreeSet<TopicPartition> =
                    cx.subscriptions.assignment().cloned().collect();
                cx.subscriptions.begin_revocation(&assigned);
                if cx.subscriptions.is_shared() { assigned } else { BTreeSet::new() }
            });
            begun.unwrap_or_default().into_iter().collect::<Vec<_>>()
        });
        if !partitions.is_empty() {
            let agreed_by = until.min(self.now() + AGREEMENT);
            self.await_division(false, agreed_by).await;
        }
        if commit {
            self.commit_at_last(until).await;
        }
        self.see_commits_through(until).await;
        let member = self.machines.group.as_ref().is_some_and(Coordinator::is_member);
        self.tell(if member { News::Revoked } else { News::Lost }, &partitions).await;
        self.see_commits_through(until).await;
        self.publish();
        self.leave_group(reason, until).await;
        self.follow();
    }

    /// Commits the positions of all partitions. The group may have begun to divide them anew meanwhile: then once more.
    async fn commit_at_last(&mut self, until: Instant) {
        let agreed_by = until.min(self.now() + AGREEMENT);
        loop {
            let left = until.saturating_duration_since(self.now());
            let started = self.with_driver(|machines, now| {
                machines
                    .with_group(now, |group, cx| group.commit_positions(|_| true, left, cx))
                    .flatten()
            });
            let Some(id) = started else { break };
            let result = self.wait_for_commit(id, left).await;
            if matches!(result, Err(Error::RebalanceInProgress))
                && self.await_division(true, agreed_by).await
            {
                continue;
            }
            if let Err(error) = result {
                self.note(Happened::Failed("the last commit", error));
            }
            break;
        }
    }

    /// Takes part in dividing the partitions, if that is what the group is about; says whether it was, and is done.
    async fn await_division(&mut self, soon: bool, until: Instant) -> bool {
        let mut was = false;
        loop {
            self.publish();
            let ended = self
                .run_until(until, |m| {
                    let dividing = m.group.as_ref().is_some_and(|group| group.is_dividing(soon));
                    was |= dividing;
                    if dividing { m.step().map(Some) } else { Some(None) }
                })
                .await;
            self.follow();
            match ended {
                Some(Some(step)) => {
                    if let Err(error) = self.take_step(step).await {
                        self.note(Happened::Failed("a step", error));
                        return was;
                    }
                }
                Some(None) => return was,
                None => return false,
            }
        }
    }

    /// Waits for commits that are on their way, and tells of them.
    async fn see_commits_through(&mut self, until: Instant) {
        self.publish();
        self.run_until(until, |m| {
            let settled = m.group.as_ref().is_none_or(|group| !group.has_commits());
            settled.then_some(())
        })
        .await;
        self.follow();
        self.tell_of_finished();
    }

    /// Leaves the group, and waits until it knows.
    async fn leave_group(&mut self, reason: &'static str, until: Instant) {
        let now = self.now();
        self.machines.with_group(now, |group, cx| group.leave(reason, cx));
        let left =
            |m: &mut Machines| m.group.as_ref().is_none_or(Coordinator::has_left).then_some(());
        self.run_until(until, left).await;
    }
}
