//! The one loop: the only place that reads the clock, and the only one that waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    Error, Result,
    consumer::{
        keeper::Presence,
        machines::Machines,
        options::Resolved,
        selector::{Selector, Sockets},
    },
    coordinator::Coordinator,
    net::{connection::later, resolver::Resolver},
};

const WAKEUP: u8 = 1;
const STOP: u8 = 2;
/// The group wants the caller to look in.
const GROUP: u8 = 4;
/// Code of the user runs, which may not read.
const CALLBACK: u8 = 8;

/// What other threads, and signal handlers, may say to the loop: atomics and one write, no lock and no memory.
#[derive(Debug)]
pub(crate) struct Signals {
    flags: AtomicU8,
    waker: Arc<mio::Waker>,
}

impl Signals {
    pub(crate) fn wakeup(&self) {
        self.raise(WAKEUP);
    }

    pub(crate) fn stop(&self) {
        self.raise(STOP);
    }

    /// Whether there is anything to look at, be it from outside or from the group: for every record, so as cheap as can be.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.flags.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.flags.load(Ordering::Acquire) & STOP != 0
    }

    /// Whether there was a wake-up; it counts for one call.
    pub(crate) fn take_wakeup(&self) -> bool {
        self.any() && self.flags.fetch_and(!WAKEUP, Ordering::AcqRel) & WAKEUP != 0
    }

    pub(crate) fn set_group(&self, wanted: bool) {
        self.set(GROUP, wanted);
    }

    pub(crate) fn set_callback(&self, runs: bool) {
        self.set(CALLBACK, runs);
    }

    pub(crate) fn in_callback(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CALLBACK != 0
    }

    /// Whether the group wants the caller to look in.
    pub(crate) fn group(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & GROUP != 0
    }

    /// Ends the wait of whoever holds the loop, without saying anything to it.
    pub(crate) fn nudge(&self) {
        // As below.
        let _ = self.waker.wake();
    }

    fn set(&self, flag: u8, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::AcqRel);
        } else if self.flags.load(Ordering::Relaxed) & flag != 0 {
            self.flags.fetch_and(!flag, Ordering::AcqRel);
        }
    }

    fn raise(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
        // Fails only where the wake-up is pending already, or the consumer is gone.
        let _ = self.waker.wake();
    }
}

/// How often sockets are looked at before a time-out is judged.
const ROUNDS: usize = 1_000;

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended<T> {
    /// The condition gave this.
    Done(T),
    /// The deadline has passed.
    TimedOut,
    /// A wake-up, or a stop, came.
    Signalled,
}

/// The loop and what it drives.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) machines: Machines,
    selector: Selector,
    /// Since when the caller is away.
    left: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(
        options: &Resolved,
        resolver: Arc<dyn Resolver>,
    ) -> Result<(Self, Arc<Signals>)> {
        let (selector, waker) = Selector::new(options.connection.socket_options.clone(), resolver)
            .map_err(|source| Error::Connection {
                node: "this machine".into(),
                step: "making a selector",
                source: Arc::new(source),
            })?;
        let machines = Machines::new(options, fastrand::u64(..), now());
        Ok((
            Self { machines, selector, left: None },
            Arc::new(Signals { flags: AtomicU8::new(0), waker }),
        ))
    }

    /// Runs until `done` gives something, `deadline` has passed, or a signal comes that was not there before.
    pub(crate) fn run_until<T>(
        &mut self,
        deadline: Instant,
        signals: &Signals,
        mut done: impl FnMut(&mut Machines) -> Option<T>,
    ) -> Result<Ended<T>> {
        self.enter()?;
        let ended = self.run(deadline, Some(signals), &mut done);
        self.leave();
        ended
    }

    /// The same whatever the signals say: they stay for a call that can tell of them. `None` when the time is over.
    pub(crate) fn run_through<T>(
        &mut self,
        deadline: Instant,
        mut done: impl FnMut(&mut Machines) -> Option<T>,
    ) -> Result<Option<T>> {
        self.enter()?;
        let ended = self.run(deadline, None, &mut done);
        self.leave();
        Ok(match ended? {
            Ended::Done(value) => Some(value),
            Ended::TimedOut | Ended::Signalled => None,
        })
    }

    fn run<T>(
        &mut self,
        deadline: Instant,
        signals: Option<&Signals>,
        done: &mut impl FnMut(&mut Machines) -> Option<T>,
    ) -> Result<Ended<T>> {
        let stopped = signals.is_some_and(Signals::is_stopped);
        let signalled = |signals: &Signals| {
            signals.any() && (signals.take_wakeup() || (signals.is_stopped() && !stopped))
        };
        loop {
            let now = now();
            self.machines.handle(now);
            if let Some(value) = done(&mut self.machines) {
                return Ok(Ended::Done(value));
            }
            // A call that closes has nobody to tell.
            if signals.is_some()
                && let Some(error) = self.machines.poll_refusal()
            {
                return Err(error);
            }
            if signals.is_some_and(signalled) {
                return Ok(Ended::Signalled);
            }
            if now >= deadline {
                // Not without having moved what is there: a time-out of zero makes progress too.
                self.step(now)?;
                self.machines.handle(now);
                return Ok(done(&mut self.machines).map_or(Ended::TimedOut, Ended::Done));
            }
            if self.selector.exchange(&mut self.machines.client, Sockets::All, now) {
                continue;
            }
            let due = self.machines.poll_timeout(now);
            let next = due.map_or(deadline, |at| at.min(deadline));
            self.wait_and_look(next.saturating_duration_since(now), due, Sockets::All)?;
        }
    }

    /// Moves what can be moved without waiting, so that what is asked for next is on its way while records are handed out.
    pub(crate) fn pump(&mut self) -> Result<()> {
        self.enter()?;
        let now = now();
        self.machines.handle(now);
        self.step(now)?;
        self.machines.handle(now);
        self.selector.exchange(&mut self.machines.client, Sockets::All, now);
        self.leave();
        Ok(())
    }

    /// Keeps the membership in the group alive while the caller is away, until it comes in, or nothing is left to wait for.
    /// Says when to look again. Does what is due now without waiting also where the caller is inside.
    pub(crate) fn attend(&mut self, presence: &Presence, signals: &Signals) -> Result<Duration> {
        /// However soon something is due: the caller may be about to come in.
        const SHORTEST: Duration = Duration::from_millis(1);
        /// However late something is due: the caller may have begun something new.
        const LONGEST: Duration = Duration::from_secs(1);
        let heartbeat = self.machines.group.as_ref().map(Coordinator::heartbeat_interval);
        let longest = heartbeat.map_or(LONGEST, |interval| interval.clamp(SHORTEST, LONGEST));
        self.look(Sockets::NotForRecords)?;
        loop {
            let now = now();
            // The time that a listener takes is the group's.
            if (presence.has_progressed() || signals.in_callback())
                && let Some(group) = &mut self.machines.group
            {
                group.note_progress(now);
            }
            self.machines.handle_away(now);
            signals.set_group(self.machines.wants_caller(now));
            let moved =
                self.selector.exchange(&mut self.machines.client, Sockets::NotForRecords, now);
            if presence.is_inside() {
                return Ok(SHORTEST);
            }
            if moved {
                continue;
            }
            let due = self.machines.away_timeout(now);
            let wait = due.map_or(longest, |at| at.saturating_duration_since(now)).min(longest);
            let group = self.machines.group.as_ref();
            if group.is_none_or(|group| !group.is_alive() || group.is_quiet(now)) {
                return Ok(wait.max(SHORTEST));
            }
            self.wait_and_look(wait, due, Sockets::NotForRecords)?;
        }
    }

    /// The present time, for a deadline.
    pub(crate) fn now(&self) -> Instant {
        now()
    }

    fn enter(&mut self) -> Result<()> {
        /// So little is nothing to a time-out, and a look at the sockets would cost more than what the caller came for.
        const SHORT: Duration = Duration::from_millis(10);
        let Some(left) = self.left.take() else { return Ok(()) };
        let away = now().saturating_duration_since(left);
        self.machines.was_away(away);
        if away >= SHORT { self.look(Sockets::All) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.left = Some(now());
    }

    /// Takes in what is there already, before a time-out is judged by the clock: whoever has answered while nobody looked,
    /// however long that was, is not late.
    fn look(&mut self, sockets: Sockets) -> Result<()> {
        let now = now();
        self.wait(Duration::ZERO)?;
        // Each round takes what one socket has brought; a peer that never ends is judged all the same.
        for _ in 0..ROUNDS {
            if !self.selector.exchange(&mut self.machines.client, sockets, now) {
                break;
            }
            match sockets {
                Sockets::All => self.machines.take_in(now),
                Sockets::NotForRecords => self.machines.take_in_away(now),
            }
        }
        Ok(())
    }

    fn step(&mut self, now: Instant) -> Result<()> {
        if !self.selector.exchange(&mut self.machines.client, Sockets::All, now) {
            self.wait(Duration::ZERO)?;
            self.selector.exchange(&mut self.machines.client, Sockets::All, now);
        }
        Ok(())
    }

    /// Waits, which may last longer than it should where the whole process was stopped. `due`: when somebody is to be judged.
    fn wait_and_look(
        &mut self,
        timeout: Duration,
        due: Option<Instant>,
        sockets: Sockets,
    ) -> Result<()> {
        self.wait(timeout)?;
        if due.is_some_and(|at| at <= now()) { self.look(sockets) } else { Ok(()) }
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.selector.wait(Some(timeout)).map_err(|source| Error::Connection {
            node: "this machine".into(),
            step: "waiting for sockets",
            source: Arc::new(source),
        })
    }
}

/// `now + delay`, or the far future.
pub(crate) fn deadline(delay: Duration) -> Instant {
    later(now(), delay)
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn now() -> Instant {
    Instant::now()
}
