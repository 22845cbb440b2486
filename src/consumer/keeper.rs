//! Who keeps the membership in the group alive while the caller is busy with records.
//!
//! A thread that mostly sleeps. When something is due for the group and the caller is not inside, it takes the loop, does
//! what keeps the membership alive, and lets go at once when the caller comes in. Where the caller is inside whenever it
//! looks, by calls that do not run the loop, the caller's next one does what is due.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::driver::{Driver, Signals};

/// How long to leave the loop to a caller that is inside.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the caller and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    driver: Mutex<Option<Driver>>,
    pub(super) presence: Presence,
    pub(super) signals: Arc<Signals>,
}

/// Where the caller is, told without a lock.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The caller has the loop, or wants it.
    inside: AtomicBool,
    /// The keeper has the loop.
    attended: AtomicBool,
    /// The keeper came while the caller was inside: the caller is to do what is due.
    left_to_caller: AtomicBool,
    /// Counts what the caller reads.
    progress: AtomicU64,
    /// How much of that the keeper has seen.
    seen: AtomicU64,
    ended: AtomicBool,
}

impl Presence {
    /// The caller has come back for more. One relaxed store, as there is one caller.
    #[inline]
    pub(crate) fn note_progress(&self) {
        self.progress
            .store(self.progress.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Whether the caller has come back for more since the last call.
    pub(crate) fn has_progressed(&self) -> bool {
        let progress = self.progress.load(Ordering::Relaxed);
        self.seen.swap(progress, Ordering::Relaxed) != progress
    }

    /// Whether the caller has the loop, or wants it.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside.load(Ordering::SeqCst) || self.ended.load(Ordering::SeqCst)
    }
}

impl Shared {
    pub(super) fn new(driver: Driver, signals: Arc<Signals>) -> Self {
        Self { driver: Mutex::new(Some(driver)), presence: Presence::default(), signals }
    }

    /// Gives the caller the loop; the keeper lets go of it at once.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.presence.inside.store(true, Ordering::SeqCst);
        if self.presence.attended.load(Ordering::SeqCst) {
            self.signals.nudge();
        }
        // No user code runs under the lock, so a panic there is ours, and the machines are as whole as before it.
        let mut guard = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if self.presence.left_to_caller.load(Ordering::Relaxed)
            && let Some(driver) = guard.as_mut()
        {
            self.keep_alive(driver);
        }
        Entered { guard, presence: &self.presence }
    }

    /// Does what is due for the group, unless the caller is inside. Says when to look again; `None` when there will be
    /// nothing any more.
    fn attend(&self) -> Option<Duration> {
        if self.presence.ended.load(Ordering::SeqCst) {
            return None;
        }
        let guard = match self.driver.try_lock() {
            _ if self.presence.is_inside() => None,
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(mut guard) = guard else {
            self.presence.left_to_caller.store(true, Ordering::Relaxed);
            return Some(PATIENCE);
        };
        let driver = guard.as_mut()?;
        self.presence.attended.store(true, Ordering::SeqCst);
        let pause = self.keep_alive(driver);
        self.presence.attended.store(false, Ordering::SeqCst);
        Some(pause)
    }

    /// Does what is due for the group, until the caller is inside. Says when to look again.
    fn keep_alive(&self, driver: &mut Driver) -> Duration {
        self.presence.left_to_caller.store(false, Ordering::Relaxed);
        driver.attend(&self.presence, &self.signals).unwrap_or_else(|error| {
            log::error!(target: "kafka_blocking::group", "keeping the membership alive: {error}");
            PATIENCE
        })
    }
}

/// The loop, in the caller's hands.
pub(super) struct Entered<'a> {
    pub(super) guard: MutexGuard<'a, Option<Driver>>,
    presence: &'a Presence,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.presence.inside.store(false, Ordering::SeqCst);
    }
}

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it.
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let its = shared.clone();
        let thread = thread::Builder::new().name("kafka-group".to_owned()).spawn(move || {
            while let Some(pause) = its.attend() {
                thread::park_timeout(pause);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.presence.ended.store(true, Ordering::SeqCst);
        self.shared.signals.nudge();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It may be gone by a panic of its own: there is nobody to tell.
            let _ = thread.join();
        }
    }
}
