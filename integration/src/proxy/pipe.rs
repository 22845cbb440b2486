//! One direction of a connection as a machine: it is given bytes and the time, and says which go out when.
use std::{collections::VecDeque, time::Instant};

use fastrand::Rng;

use super::{
    faults::{End, Way},
    flips::{Flip, Flips},
};

/// What came in and has not gone out, in order.
#[derive(Debug)]
pub(super) struct Pipe {
    way: Way,
    flips: Flips,
    pieces: VecDeque<Piece>,
    queued: usize,
    /// How many bytes were let in, and how many of them have gone out.
    taken: u64,
    passed: u64,
    /// When whoever receives is to hear that no more comes.
    eof: Option<Instant>,
    /// Nothing passes any more.
    closed: bool,
}

#[derive(Debug)]
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    gone: usize,
}

/// What is to be done now that everything before it has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The sender has ended.
    Eof,
    /// It was decided so.
    Fault(End),
}

impl Pipe {
    pub(super) fn new(way: Way, rng: Rng) -> Self {
        let flips = Flips::new(way.flip_one_in, rng);
        let pieces = VecDeque::new();
        Self { way, flips, pieces, queued: 0, taken: 0, passed: 0, eof: None, closed: false }
    }

    /// How many bytes it has room for. One that swallows them always has.
    pub(super) fn room(&self) -> usize {
        let capacity = if self.way.link.is_some() { NARROW } else { CAPACITY };
        capacity.saturating_sub(self.queued)
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        let bytes = &bytes[..bytes.len().min(self.left())];
        if bytes.is_empty() {
            return;
        }
        let mut bytes = bytes.to_vec();
        self.flips.apply(&mut bytes);
        self.taken += bytes.len() as u64;
        self.queued += bytes.len();
        self.pieces.push_back(Piece { due: now + self.way.delay, bytes, gone: 0 });
    }

    /// The sender sends no more.
    pub(super) fn handle_eof(&mut self, now: Instant) {
        if self.left() > 0 {
            self.eof = Some(now + self.way.delay);
        }
    }

    /// From now on nothing passes; what was under way is lost.
    pub(super) fn swallow(&mut self) {
        self.closed = true;
        self.pieces.clear();
        self.queued = 0;
        self.eof = None;
    }

    /// What may go out now.
    pub(super) fn poll_bytes(&self, now: Instant) -> Option<&[u8]> {
        let piece =
            self.pieces.front().filter(|_| self.poll_time().is_some_and(|due| due <= now))?;
        let bytes = &piece.bytes[piece.gone..];
        Some(
            &bytes
                [..bytes.len().min(self.way.link.as_ref().map_or(usize::MAX, |link| link.piece()))],
        )
    }

    /// So many of those have gone.
    pub(super) fn handle_passed(&mut self, count: usize, now: Instant) {
        let Some(piece) = self.pieces.front_mut() else { return };
        piece.gone += count;
        if piece.gone == piece.bytes.len() {
            self.pieces.pop_front();
        }
        self.queued -= count;
        self.passed += count as u64;
        if let Some(link) = &self.way.link {
            link.occupy(count, now);
        }
    }

    /// What is to happen now; once.
    pub(super) fn poll_finish(&mut self, now: Instant) -> Option<Finish> {
        if self.closed || !self.pieces.is_empty() {
            return None;
        }
        let fault = self
            .way
            .end
            .filter(|(after, _)| self.passed >= *after)
            .map(|(_, end)| Finish::Fault(end));
        let eof = || self.eof.filter(|due| *due <= now).map(|_| Finish::Eof);
        let finish = fault.or_else(eof)?;
        self.swallow();
        Some(finish)
    }

    /// When there is something to do next, other than to take what comes in.
    pub(super) fn poll_time(&self) -> Option<Instant> {
        let Some(piece) = self.pieces.front() else { return self.eof };
        let free_at = self.way.link.as_ref().and_then(|link| link.free_at());
        Some(free_at.map_or(piece.due, |free_at| free_at.max(piece.due)))
    }

    /// Whether nothing passes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many bytes have gone out.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// What was flipped.
    pub(super) fn flips(&self) -> &[Flip] {
        self.flips.done()
    }

    /// How many more bytes are let in.
    fn left(&self) -> usize {
        if self.closed {
            return 0;
        }
        let left = self.way.end.map_or(u64::MAX, |(after, _)| after - self.taken);
        usize::try_from(left).unwrap_or(usize::MAX)
    }
}

/// What is under way at most: 5 MB a second with a delay of 200 ms.
const CAPACITY: usize = 1 << 20;
/// What waits for a link at most, so that others who share it do not wait for long.
const NARROW: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::faults::Link, *};

    fn pipe(way: Way) -> Pipe {
        Pipe::new(way, Rng::with_seed(1))
    }

    /// What goes out at once.
    fn drain(pipe: &mut Pipe, now: Instant) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = pipe.poll_bytes(now).map(<[u8]>::to_vec) {
            pipe.handle_passed(bytes.len(), now);
            all.extend(bytes);
        }
        all
    }

    #[test]
    fn bytes_and_the_end_pass_unchanged_and_at_once() {
        let now = Instant::now();
        let mut pipe = pipe(Way::default());
        pipe.handle_bytes(b"one", now);
        pipe.handle_bytes(b"two", now);
        pipe.handle_eof(now);
        assert_eq!(pipe.poll_finish(now), None);
        assert_eq!(drain(&mut pipe, now), b"onetwo");
        assert_eq!((pipe.poll_finish(now), pipe.poll_finish(now)), (Some(Finish::Eof), None));
        assert_eq!(pipe.passed(), 6);
    }

    #[test]
    fn each_byte_and_the_end_are_late_by_the_delay() {
        let (now, delay) = (Instant::now(), Duration::from_millis(200));
        let mut pipe = pipe(Way { delay, ..Way::default() });
        pipe.handle_bytes(b"one", now);
        let later = now + Duration::from_millis(50);
        pipe.handle_bytes(b"two", later);
        pipe.handle_eof(later);
        assert_eq!(drain(&mut pipe, now + delay - Duration::from_nanos(1)), b"");
        assert_eq!(pipe.poll_time(), Some(now + delay));
        assert_eq!(drain(&mut pipe, now + delay), b"one");
        assert_eq!(pipe.poll_time(), Some(later + delay));
        assert_eq!(drain(&mut pipe, later + delay), b"two");
        assert_eq!(pipe.poll_finish(later + delay - Duration::from_nanos(1)), None);
        assert_eq!(pipe.poll_finish(later + delay), Some(Finish::Eof));
    }

    #[test]
    fn a_link_lets_no_more_than_its_rate_pass_and_not_much_less() {
        let begin = Instant::now();
        let mut pipe = pipe(Way { link: Some(Link::new(1_000_000)), ..Way::default() });
        pipe.handle_bytes(&[0; 50_000], begin);
        let mut now = begin;
        while let Some(due) = pipe.poll_time() {
            now = now.max(due);
            drain(&mut pipe, now);
            let most = (now - begin).as_micros() + 10_000;
            assert!(u128::from(pipe.passed()) <= most, "{} after {:?}", pipe.passed(), now - begin);
        }
        assert_eq!(pipe.passed(), 50_000);
        // The last piece has its time when it is gone.
        assert!((40..=50).contains(&(now - begin).as_millis()), "{:?}", now - begin);
    }

    #[test]
    fn connections_share_a_link() {
        let begin = Instant::now();
        let way = Way { link: Some(Link::new(1_000_000)), ..Way::default() };
        let mut pipes = [pipe(way.clone()), pipe(way)];
        for pipe in &mut pipes {
            pipe.handle_bytes(&[0; 50_000], begin);
        }
        let mut now = begin;
        // Each takes a piece when the line is free, in turn.
        for turn in 0.. {
            let pipe = &mut pipes[turn % 2];
            let Some(due) = pipe.poll_time() else { break };
            now = now.max(due);
            drain(pipe, now);
        }
        assert_eq!(pipes.map(|pipe| pipe.passed()), [50_000; 2]);
        assert!((80..=100).contains(&(now - begin).as_millis()), "{:?}", now - begin);
    }

    #[test]
    fn a_full_pipe_takes_no_more_until_something_has_gone() {
        let now = Instant::now();
        let mut pipe = pipe(Way::default());
        pipe.handle_bytes(&vec![0; CAPACITY], now);
        assert_eq!(pipe.room(), 0);
        pipe.handle_passed(1_000, now);
        assert_eq!(pipe.room(), 1_000);
    }

    #[test]
    fn a_fault_comes_after_just_so_many_bytes() {
        for end in [End::Close, End::Reset, End::Silence, End::HalfClose] {
            let now = Instant::now();
            let mut pipe = pipe(Way { end: Some((5, end)), ..Way::default() });
            pipe.handle_bytes(b"one", now);
            assert_eq!(drain(&mut pipe, now), b"one");
            assert_eq!(pipe.poll_finish(now), None);
            pipe.handle_bytes(b"two", now);
            assert_eq!(pipe.poll_finish(now), None, "what is before it comes first");
            assert_eq!(drain(&mut pipe, now), b"tw");
            assert_eq!(pipe.poll_finish(now), Some(Finish::Fault(end)));
            pipe.handle_bytes(b"more", now);
            pipe.handle_eof(now);
            assert_eq!((drain(&mut pipe, now), pipe.poll_finish(now)), (Vec::new(), None));
            assert!(pipe.is_closed() && pipe.room() > 0);
        }
    }

    #[test]
    fn what_is_under_way_is_lost_in_a_black_hole() {
        let now = Instant::now();
        let mut pipe = pipe(Way { delay: Duration::from_millis(1), ..Way::default() });
        pipe.handle_bytes(b"one", now);
        pipe.swallow();
        assert_eq!(
            (drain(&mut pipe, now + Duration::from_secs(1)), pipe.poll_time()),
            (Vec::new(), None)
        );
    }
}
