//! Which bits of a stream are flipped: those that a seed says, however the stream is cut into pieces.
use std::collections::VecDeque;

use fastrand::Rng;

/// A bit that was flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which byte of this direction of the connection.
    pub position: u64,
    /// What was done to the byte, by exclusive or.
    pub mask: u8,
    /// The bytes before it as they were sent, [`Flip::AROUND`] at most.
    pub before: Vec<u8>,
    /// The byte itself as it was sent, and those after it, [`Flip::AROUND`] at most.
    pub after: Vec<u8>,
}

/// Flips bits of a stream, one in so many bytes on average.
#[derive(Debug)]
pub(super) struct Flips {
    one_in: Option<u64>,
    rng: Rng,
    position: u64,
    next: u64,
    last: VecDeque<u8>,
    done: Vec<Flip>,
}

impl Flip {
    /// How many bytes before and after a flipped one are kept.
    pub const AROUND: usize = 64;
}

impl Flips {
    pub(super) fn new(one_in: Option<u64>, rng: Rng) -> Self {
        let (last, done) = (VecDeque::new(), Vec::new());
        let mut flips = Self { one_in, rng, position: 0, next: 0, last, done };
        flips.next = flips.gap();
        flips
    }

    /// Flips what is due in the next bytes of the stream.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        if self.one_in.is_none() {
            return;
        }
        for byte in bytes {
            if self.position == self.next {
                let mask = 1 << self.rng.u8(0..8);
                let before = self.last.iter().copied().collect();
                self.done.push(Flip { position: self.position, mask, before, after: Vec::new() });
                self.next += 1 + self.gap();
            }
            self.remember(*byte);
            if let Some(flip) = self.done.last().filter(|flip| flip.position == self.position) {
                *byte ^= flip.mask;
            }
            self.position += 1;
        }
    }

    /// What was flipped so far.
    pub(super) fn done(&self) -> &[Flip] {
        &self.done
    }

    fn remember(&mut self, byte: u8) {
        if self.last.len() == Flip::AROUND {
            self.last.pop_front();
        }
        self.last.push_back(byte);
        for flip in self.done.iter_mut().rev().take_while(|flip| flip.after.len() < Flip::AROUND) {
            flip.after.push(byte);
        }
    }

    fn gap(&mut self) -> u64 {
        self.one_in.map_or(0, |one_in| self.rng.u64(0..one_in.max(1).saturating_mul(2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flipped(seed: u64, piece: usize) -> (Vec<u8>, Vec<Flip>) {
        let mut flips = Flips::new(Some(100), Rng::with_seed(seed));
        let mut bytes = sent();
        for piece in bytes.chunks_mut(piece) {
            flips.apply(piece);
        }
        (bytes, flips.done().to_vec())
    }

    fn sent() -> Vec<u8> {
        (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect()
    }

    #[test]
    fn a_seed_flips_the_same_bits_however_the_stream_is_cut() {
        assert_eq!(flipped(7, 1), flipped(7, 20_000));
        assert_eq!(flipped(7, 333), flipped(7, 4_096));
        assert_ne!(flipped(7, 333).0, flipped(8, 333).0);
    }

    #[test]
    fn as_many_bits_are_flipped_as_was_asked_for_and_no_others() {
        let (received, flips) = flipped(1, 512);
        assert!((150..250).contains(&flips.len()), "{} of about 200", flips.len());
        let sent = sent();
        let changed: Vec<u64> =
            (0..20_000).filter(|n| sent[*n] != received[*n]).map(|n| n as u64).collect();
        assert_eq!(changed, flips.iter().map(|flip| flip.position).collect::<Vec<_>>());
        for flip in &flips {
            let at = usize::try_from(flip.position).unwrap();
            assert_eq!(flip.mask.count_ones(), 1);
            assert_eq!(received[at], sent[at] ^ flip.mask);
        }
    }

    #[test]
    fn a_flip_is_told_with_what_was_around_it() {
        let sent = sent();
        for flip in flipped(3, 50).1 {
            let at = usize::try_from(flip.position).unwrap();
            assert_eq!(flip.before, sent[at.saturating_sub(Flip::AROUND)..at]);
            assert_eq!(flip.after, sent[at..sent.len().min(at + Flip::AROUND)]);
        }
    }
}
