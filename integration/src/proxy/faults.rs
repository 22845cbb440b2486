//! What a proxy does to a connection, apart from passing its bytes on.
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// What happens to a connection; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// On the way from the client to the broker.
    pub requests: Way,
    /// On the way from the broker to the client.
    pub answers: Way,
    /// How long after it was accepted the connection ends, and how.
    pub lifetime: Option<(Duration, End)>,
}

/// What happens in one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// How long each byte is under way.
    pub delay: Duration,
    /// What limits how many bytes pass in a time; whoever has the same link shares it.
    pub link: Option<Link>,
    /// A bit is flipped in one of so many bytes, on average.
    pub flip_one_in: Option<u64>,
    /// After how many bytes what happens.
    pub end: Option<(u64, End)>,
}

/// How a connection ends, or seems to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Client and broker are told so in order (FIN). As `Way::end`: a cut.
    Close,
    /// As by a host that knows nothing of the connection (RST).
    Reset,
    /// Nothing arrives any more, and nobody is told: a black hole. As `Way::end`, in that direction.
    Silence,
    /// Whoever receives is told that no more comes, and may go on sending. As `lifetime`, that is the client.
    HalfClose,
}

/// A line of so many bytes a second, for one connection or for many.
#[derive(Clone, Debug)]
pub struct Link {
    bytes_per_second: u64,
    free_at: Arc<Mutex<Option<Instant>>>,
}

impl Faults {
    /// All that is sent and answered is under way this long.
    #[must_use]
    pub fn late(delay: Duration) -> Self {
        let way = Way { delay, ..Way::default() };
        Self { requests: way.clone(), answers: way, lifetime: None }
    }

    /// The connection ends after this time.
    #[must_use]
    pub fn short(lifetime: Duration, end: End) -> Self {
        Self { lifetime: Some((lifetime, end)), ..Self::default() }
    }
}

impl Link {
    /// A line of this many bytes a second.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Arc::default() }
    }

    /// When the line is free for a next piece.
    pub(super) fn free_at(&self) -> Option<Instant> {
        *self.lock()
    }

    /// How much may be sent at once, so that others have their turn.
    pub(super) fn piece(&self) -> usize {
        usize::try_from(self.bytes_per_second / PIECES_PER_SECOND).unwrap_or(usize::MAX).max(1)
    }

    /// Notes that so much was sent: the line is taken for as long as that takes.
    pub(super) fn occupy(&self, bytes: usize, now: Instant) {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let mut free_at = self.lock();
        let from = free_at.map_or(now, |free_at| free_at.max(now));
        *free_at = Some(from + Duration::from_nanos(nanos));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.free_at.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

const PIECES_PER_SECOND: u64 = 100;
