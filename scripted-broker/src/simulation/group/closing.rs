//! How a simulated consumer gives back what it has: closing, unsubscribing and being dropped, as in the crate.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_blocking::{TopicPartition, consumer::machines::Machines, coordinator::Coordinator};

use super::{
    consumer::{News, SimulatedConsumer},
    world::Happened,
};

/// How long being dropped may take.
const DROP_PATIENCE: Duration = Duration::from_millis(500);

impl SimulatedConsumer {
    /// Closes the consumer, as `KafkaConsumer::close` does.
    pub async fn close(mut self) {
        self.note(Happened::CameBack);
        self.note(Happened::Note("closes".into()));
        let until = self.now() + self.limits.request_timeout;
        self.give_back(self.limits.auto_commit, "the consumer was closed", until).await;
        self.run_inside(until, |m| m.group.as_ref().is_none_or(|group| !group.has_commits())).await;
        self.tell_of_finished();
    }

    /// Reads nothing from now on, and leaves the group.
    pub async fn unsubscribe(&mut self) {
        self.note(Happened::CameBack);
        self.note(Happened::Note("unsubscribes".into()));
        let until = self.now() + self.limits.api_timeout;
        self.give_back(self.limits.auto_commit, "it has unsubscribed", until).await;
        self.with_driver(|machines, now| {
            machines.subscriptions.unsubscribe();
            machines.subscription_changed(now);
        });
    }

    /// Is dropped without being closed.
    pub async fn drop_it(mut self) {
        self.note(Happened::Note("is dropped".into()));
        let until = self.now() + DROP_PATIENCE;
        if self.machines.group.as_ref().is_some_and(Coordinator::is_alive) {
            self.leave_group("the consumer was dropped", until).await;
        }
    }

    /// Gives all partitions back to the group, and leaves it.
    async fn give_back(&mut self, commit: bool, reason: &'static str, until: Instant) {
        let left = until.saturating_duration_since(self.now());
        let (partitions, id) = self.with_driver(|machines, now| {
            let begun = machines.with_group(now, |group, cx| {
                let shared = cx.subscriptions.is_shared();
                let assigned: BTreeSet<TopicPartition> =
                    cx.subscriptions.assignment().cloned().collect();
                cx.subscriptions.begin_revocation(&assigned);
                let id = if commit { group.commit_positions(|_| true, left, cx) } else { None };
                (if shared { assigned } else { BTreeSet::new() }, id)
            });
            begun.unwrap_or_default()
        });
        if let Some(id) = id {
            let left = until.saturating_duration_since(self.now());
            if let Err(error) = self.wait_for_commit(id, left).await {
                self.note(Happened::Failed("the last commit", error));
            }
        }
        let member = self.machines.group.as_ref().is_some_and(Coordinator::is_member);
        let news = if member { News::Revoked } else { News::Lost };
        let partitions: Vec<_> = partitions.into_iter().collect();
        self.tell(news, &partitions).await;
        self.publish();
        self.leave_group(reason, until).await;
        self.follow();
    }

    /// Leaves the group, and waits until it knows.
    async fn leave_group(&mut self, reason: &'static str, until: Instant) {
        let now = self.now();
        self.machines.with_group(now, |group, cx| group.leave(reason, cx));
        let left =
            |m: &mut Machines| m.group.as_ref().is_none_or(Coordinator::has_left).then_some(());
        self.run_until(until, left).await;
    }

    async fn run_inside(&mut self, until: Instant, holds: impl Fn(&Machines) -> bool) {
        self.publish();
        self.run_until(until, |m| holds(m).then_some(())).await;
        self.follow();
    }
}
