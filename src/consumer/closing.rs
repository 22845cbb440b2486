//! How a [`KafkaConsumer`] gives back what it has: closing, unsubscribing, and being dropped.

use std::{
    cell::Cell,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    Content, KafkaConsumer,
    driver::{Driver, deadline},
    finally::Finally,
    listener::News,
};
use crate::{Error, Result, TopicPartition, coordinator::Coordinator};

/// How long a member that goes waits for the others to agree, so that its commits are taken.
const AGREEMENT: Duration = Duration::from_secs(3);

/// How long being dropped may take.
const DROP_PATIENCE: Duration = Duration::from_millis(500);

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// Closes the consumer: commits the positions if `enable_auto_commit` is on, tells the listener that its partitions are
    /// revoked, leaves the group, and closes all connections. Later calls fail with [`Error::Closed`], iteration ends;
    /// closing twice does nothing.
    ///
    /// Waits for the group up to `request_timeout_ms`; without a group it does not block. A static member
    /// (`group_instance_id`) does not leave, so that it finds its partitions when it comes back within
    /// `session_timeout_ms`. Dropping the consumer commits nothing, tells nobody, and leaves the group.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// consumer.close()?;
    /// assert!(matches!(consumer.assign([("t", 0)]), Err(kafka_blocking::Error::Closed)));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RebalanceListener`] where the listener failed; the consumer is closed nevertheless. A commit that fails is
    /// logged, and goes to `default_offset_commit_callback`. [`Error::IllegalState`] inside a callback.
    ///
    /// kafka-python: `close`.
    pub fn close(&self) -> Result<()> {
        self.close_timeout(self.limits.request_timeout)
    }

    /// As [`close`](Self::close), and waits up to `timeout`.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// kafka-python: `close(timeout_ms)`.
    pub fn close_timeout(&self, timeout: Duration) -> Result<()> {
        self.close_with(self.limits.auto_commit, timeout)
    }

    /// As [`close_timeout`](Self::close_timeout), and commits nothing, whatever `enable_auto_commit` says.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a"]);
    /// # let builder = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address())
    /// #     .auto_offset_reset("earliest").group_id("g").topics("t");
    /// use std::time::Duration;
    ///
    /// let consumer = builder.clone().build()?;
    /// consumer.next().expect("waits for ever")?;
    /// consumer.close_without_commit(Duration::from_secs(5))?;
    /// let next = builder.build()?;
    /// assert_eq!(next.committed(("t", 0))?, None);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// kafka-python: `close(autocommit=False)`.
    pub fn close_without_commit(&self, timeout: Duration) -> Result<()> {
        self.close_with(false, timeout)
    }

    fn close_with(&self, commit: bool, timeout: Duration) -> Result<()> {
        if self.closed.get() {
            return Ok(());
        }
        self.refuse_in_callback("close()")?;
        let until = deadline(timeout);
        // Also where code of the user panics.
        let _closes = Finally::new((), |()| {
            self.closed.set(true);
            self.shut();
        });
        let given_back = self.give_back(commit, "the consumer was closed", until);
        let ended = self.end_commits();
        match given_back.and(ended) {
            Err(Error::Closed) => Ok(()),
            result => result,
        }
    }

    /// Gives all partitions back to the group, if there is one, and leaves it. What goes wrong is logged, but for what
    /// the listener says.
    pub(super) fn give_back(
        &self,
        commit: bool,
        reason: &'static str,
        until: Instant,
    ) -> Result<()> {
        let partitions = self.with_driver(|driver| {
            let begun = driver.machines.with_group(driver.now(), |_, cx| {
                let assigned: BTreeSet<TopicPartition> =
                    cx.subscriptions.assignment().cloned().collect();
                cx.subscriptions.begin_revocation(&assigned);
                if cx.subscriptions.is_shared() { assigned } else { BTreeSet::new() }
            });
            Ok(begun.unwrap_or_default().into_iter().collect::<Vec<_>>())
        })?;
        let left = Cell::new(Ok(()));
        let told = {
            // Also where code of the user panics.
            let _leaves = Finally::new((), |()| {
                left.set(self.with_driver(|driver| leave(driver, reason, until)));
            });
            if !partitions.is_empty() {
                self.await_division(false, until.min(deadline(AGREEMENT)))?;
            }
            if commit {
                self.commit_at_last(until)?;
            }
            // What was committed before goes first, and is told of first.
            self.see_commits_through(until)?;
            let member = self.with_driver(|driver| {
                Ok(driver.machines.group.as_ref().is_some_and(Coordinator::is_member))
            })?;
            let told = self.tell(if member { News::Revoked } else { News::Lost }, &partitions);
            // The listener may have committed something.
            let settled = self.see_commits_through(until);
            told.and(settled)
        };
        let left = left.into_inner();
        told.and(left)
    }

    /// Commits the positions of all partitions. The group may have begun to divide them anew meanwhile: then once more.
    fn commit_at_last(&self, until: Instant) -> Result<()> {
        let agreed_by = until.min(deadline(AGREEMENT));
        loop {
            let id = self.with_driver(|driver| {
                let now = driver.now();
                let left = until.saturating_duration_since(now);
                let commit = driver
                    .machines
                    .with_group(now, |group, cx| group.commit_positions(|_| true, left, cx));
                Ok(commit.flatten())
            })?;
            let Some(id) = id else { return Ok(()) };
            let Some(finished) = self.look_at_commit(id, until)? else { return Ok(()) };
            let early = matches!(finished.result, Err(Error::RebalanceInProgress));
            // It was refused because all have joined: the answer that says so may be on its way still.
            if !early || !self.await_division(true, agreed_by)? {
                self.tell_of_commits(vec![finished]);
                return Ok(());
            }
        }
    }

    /// Takes part in dividing the partitions, if that is what the group is about: it takes no commit until that is done. Says
    /// whether it was, and is done. `soon`: or was about to be.
    fn await_division(&self, soon: bool, until: Instant) -> Result<bool> {
        let mut was = false;
        loop {
            let ended = self.with_driver(|driver| {
                driver.run_through(until, |m| {
                    let dividing = m.group.as_ref().is_some_and(|group| group.is_dividing(soon));
                    was |= dividing;
                    if dividing { m.step().map(Some) } else { Some(None) }
                })
            })?;
            match ended {
                Some(Some(step)) => self.take_step(step)?,
                Some(None) => return Ok(was),
                None => return Ok(false),
            }
        }
    }

    /// Waits for commits that are on their way, and tells of them.
    fn see_commits_through(&self, until: Instant) -> Result<()> {
        let finished = self.with_driver(|driver| {
            driver.run_through(until, |m| {
                let settled = m.group.as_ref().is_none_or(|group| !group.has_commits());
                settled.then_some(())
            })?;
            Ok(driver.machines.group.as_mut().map(Coordinator::take_finished).unwrap_or_default())
        })?;
        self.tell_of_commits(finished);
        Ok(())
    }

    /// Nothing is driven any more: whoever waits for a commit is told so.
    fn end_commits(&self) -> Result<()> {
        let finished = self.with_driver(|driver| {
            let Some(group) = &mut driver.machines.group else { return Ok(Vec::new()) };
            group.give_up_commits();
            Ok(group.take_finished())
        })?;
        self.tell_of_commits(finished);
        Ok(())
    }

    /// Ends the keeper and closes the connections.
    fn shut(&self) {
        self.cursor.borrow_mut().clear_all();
        drop(self.keeper.take());
        drop(self.shared.enter().guard.take());
    }
}

/// Leaves the group, and waits until it knows.
fn leave(driver: &mut Driver, reason: &'static str, until: Instant) -> Result<()> {
    let now = driver.now();
    let Some(()) = driver.machines.with_group(now, |group, cx| group.leave(reason, cx)) else {
        return Ok(());
    };
    let ended = driver
        .run_through(until, |m| m.group.as_ref().is_none_or(Coordinator::has_left).then_some(()));
    ended.map(drop)
}

/// Commits nothing: a loop that was left by `?` has not processed its record. Leaves the group, so that it need not wait for
/// the session to end; that takes half a second at most.
impl<K: ?Sized + Content, V: ?Sized + Content> Drop for KafkaConsumer<K, V> {
    fn drop(&mut self) {
        let until = deadline(DROP_PATIENCE);
        if let Some(driver) = self.shared.enter().guard.as_mut()
            && driver.machines.group.as_ref().is_some_and(Coordinator::is_known)
        {
            // There is nobody to tell.
            let _ = leave(driver, "the consumer was dropped", until);
        }
        self.shut();
    }
}
