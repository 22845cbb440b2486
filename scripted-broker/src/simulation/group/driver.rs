//! How a simulated consumer waits: what `Driver` and `Keeper` do in the crate, with the simulated clock and network.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use kafka_blocking::{client::Role, consumer::machines::Machines, coordinator::Coordinator};

use super::{
    consumer::SimulatedConsumer,
    world::{Happened, Wake},
};
use crate::simulation::{
    SPIN, most_urgent,
    network::{ALL, Which},
};

/// Every connection's but those that bring records.
const NOT_FOR_RECORDS: Which = |role| role != Some(Role::Fetch);

/// However soon something is due: the caller may be about to come in.
const SHORTEST: Duration = Duration::from_millis(1);

/// However late something is due: the caller may have begun something new.
const LONGEST: Duration = Duration::from_secs(1);

/// How long the keeper leaves the loop to a caller that is inside.
const PATIENCE: Duration = Duration::from_millis(100);

/// So many rounds at one time are no progress any more.
const ROUNDS: usize = 10_000;

impl SimulatedConsumer {
    /// Runs until `done` gives something, or `deadline` has passed.
    pub(super) async fn run_until<T>(
        &mut self,
        deadline: Instant,
        mut done: impl FnMut(&mut Machines) -> Option<T>,
    ) -> Option<T> {
        self.enter();
        let mut rounds = (self.now(), 0);
        let ended = loop {
            let now = self.now();
            rounds = if rounds.0 == now { (now, rounds.1 + 1) } else { (now, 0) };
            assert!(rounds.1 < ROUNDS, "m{} does not come to rest", self.id);
            self.machines.handle(now);
            if let Some(value) = done(&mut self.machines) {
                break Some(value);
            }
            if now >= deadline {
                // Not without having moved what is there: a time-out of zero makes progress too.
                self.exchange(ALL);
                self.machines.handle(now);
                break done(&mut self.machines);
            }
            if self.exchange(ALL) {
                continue;
            }
            let told = self.machines.poll_timeout(now);
            let next = told.map_or(deadline, |at| at.min(deadline));
            if next <= now {
                let who = most_urgent(&mut self.machines, now);
                self.note(Happened::Spun(who));
                self.wait(now + SPIN, true).await;
                continue;
            }
            if let Some(at) = self.time_to_probe(next) {
                if self.wait(at, true).await || self.now() > at {
                    self.look_if_due(told, ALL, Machines::take_in);
                    continue;
                }
                self.machines.handle(at);
                let found = done(&mut self.machines);
                let moved = self.exchange(ALL);
                if moved || found.is_some() {
                    let who = most_urgent(&mut self.machines, now);
                    let what = format!(
                        "{:?}: did {:?}, found {}; it was told {:?} by {who}, {:?} later",
                        self.machines.attendance,
                        self.shared.borrow().done,
                        found.is_some(),
                        told.map(|t| t - now),
                        at - now,
                    );
                    self.note(Happened::WokeTooLate(what));
                }
                if found.is_some() {
                    break found;
                }
                continue;
            }
            self.wait(next, true).await;
            self.look_if_due(told, ALL, Machines::take_in);
        };
        self.leave();
        ended
    }

    /// Moves what can be moved without waiting.
    pub(super) fn pump(&mut self) {
        self.enter();
        let now = self.now();
        self.machines.handle(now);
        self.exchange(ALL);
        self.machines.handle(now);
        self.exchange(ALL);
        self.leave();
    }

    /// The caller is away until then: the keeper does what is due for the group.
    pub async fn work(&mut self, time: Duration) {
        let until = self.now() + time;
        // Whenever the keeper looked meanwhile, the caller was inside.
        while self.keeper_at < self.now() {
            self.keeper_at += PATIENCE;
        }
        while self.now() < until {
            if self.keeper && self.keeper_at <= self.now() {
                self.attend(until).await;
                continue;
            }
            let at = if self.keeper { until.min(self.keeper_at) } else { until };
            self.wait(at, false).await;
        }
    }

    /// Keeps the membership in the group alive until nothing is left to wait for, or the caller comes in.
    async fn attend(&mut self, until: Instant) {
        let heartbeat = self.machines.group.as_ref().map(Coordinator::heartbeat_interval);
        let longest = heartbeat.map_or(LONGEST, |interval| interval.clamp(SHORTEST, LONGEST));
        let began = self.now();
        self.look(NOT_FOR_RECORDS, Machines::take_in_away);
        let mut rounds = (began, 0);
        let pause = loop {
            let now = self.now();
            rounds = if rounds.0 == now { (now, rounds.1 + 1) } else { (now, 0) };
            assert!(rounds.1 < ROUNDS, "the keeper of m{} does not come to rest", self.id);
            if now >= until {
                break SHORTEST;
            }
            if (std::mem::take(&mut self.progressed) || self.in_callback)
                && let Some(group) = &mut self.machines.group
            {
                group.note_progress(now);
            }
            self.machines.handle_away(now);
            self.group_signal = self.machines.wants_caller(now);
            if self.exchange(NOT_FOR_RECORDS) {
                continue;
            }
            let next = self.machines.away_timeout(now);
            if next.is_some_and(|at| at <= now) {
                self.note(Happened::Spun("keeper"));
            }
            let wait = next.map_or(longest, |at| at.saturating_duration_since(now)).min(longest);
            let group = self.machines.group.as_ref();
            if group.is_none_or(|group| !group.is_alive() || group.is_quiet(now)) {
                break wait.max(SHORTEST);
            }
            let at = (now + wait.max(SPIN)).min(until);
            if let Some(probe) = self.time_to_probe(at.min(now + wait)) {
                if !self.wait(probe, true).await && self.now() == probe {
                    self.machines.handle_away(probe);
                    if self.exchange(NOT_FOR_RECORDS) {
                        let done = self.shared.borrow().done.clone();
                        let what = format!("away: did {done:?}, told {:?}", next.map(|t| t - now));
                        self.note(Happened::WokeTooLate(what));
                    }
                } else {
                    self.look_if_due(next, NOT_FOR_RECORDS, Machines::take_in_away);
                }
                continue;
            }
            self.wait(at, true).await;
            self.look_if_due(next, NOT_FOR_RECORDS, Machines::take_in_away);
        };
        self.keeper_at = self.now() + pause;
    }

    // Helpers

    pub(super) fn now(&self) -> Instant {
        self.shared.borrow().now
    }

    pub(super) fn since_start(&self, at: Instant) -> Duration {
        at - self.shared.borrow().started
    }

    pub(super) fn note(&self, what: Happened) {
        self.shared.borrow_mut().note(Some(self.id), what);
    }

    /// A time before `next` at which to look whether there was something to do, now and then.
    fn time_to_probe(&mut self, next: Instant) -> Option<Instant> {
        let now = self.now();
        let wait = u64::try_from((next - now).as_micros()).unwrap_or(u64::MAX);
        let probes = self.probing && wait > 2 && self.random.u8(..) < 40;
        probes.then(|| now + Duration::from_micros(self.random.u64(1..wait)))
    }

    /// Waits, and says whether something arrived that was waited for.
    async fn wait(&self, until: Instant, listens: bool) -> bool {
        let mut begun = false;
        poll_fn(|_| {
            let mut world = self.shared.borrow_mut();
            let now = world.now;
            let wake = &mut world.wakes[self.id];
            if !std::mem::replace(&mut begun, true) {
                *wake = Wake { at: until, listens, arrived: false };
                return Poll::Pending;
            }
            let arrived = listens && wake.arrived;
            if arrived || now >= until { Poll::Ready(arrived) } else { Poll::Pending }
        })
        .await
    }

    fn exchange(&mut self, which: Which) -> bool {
        self.shared.borrow_mut().exchange(self.id, &mut self.machines.client, which)
    }

    fn enter(&mut self) {
        const SHORT: Duration = Duration::from_millis(10);
        let Some(left) = self.left.take() else { return };
        let away = self.now() - left;
        self.machines.was_away(away);
        if away >= SHORT {
            self.look(ALL, Machines::take_in);
        }
    }

    fn leave(&mut self) {
        self.left = Some(self.now());
    }

    fn look_if_due(
        &mut self,
        due: Option<Instant>,
        which: Which,
        take_in: fn(&mut Machines, Instant),
    ) {
        if due.is_some_and(|at| at <= self.now()) {
            self.look(which, take_in);
        }
    }

    /// Takes in what is there already, before a time-out is judged.
    fn look(&mut self, which: Which, take_in: fn(&mut Machines, Instant)) {
        let now = self.now();
        while self.exchange(which) {
            take_in(&mut self.machines, now);
        }
    }
}
