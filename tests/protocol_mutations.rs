//! Whatever bytes a broker sends, decoding gives a value or an error, and costs no more memory than they justify.
//!
//! One test in a program of its own: the allocator counts for the whole process.

use kafka_blocking::{
    protocol::{
        Request, consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription,
    },
    wire::{DecodeError, Reader, Sampler, Wire, Writer},
};
use peak_alloc::PeakAlloc;
use protocol_support::for_every_api;

mod protocol_support;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How many mutations of each message in each version.
const MUTATIONS: u32 = 10_000;

/// How many bytes stand for small items.
const SPAN: usize = 1 << 17;

#[test]
fn fault_217_damaged_messages_give_a_value_or_an_error_within_their_memory() {
    for_every_api!(mutate_responses());
    for_every_api!(flip_and_splice());
    for version in 0..=3 {
        mutate::<ConsumerProtocolSubscription>(version, false);
        mutate::<ConsumerProtocolAssignment>(version, false);
    }
    for_every_api!(inflate());
}

fn mutate_responses<R: Request>() {
    for version in R::VERSIONS {
        mutate::<R::Response>(version, version >= R::FLEXIBLE);
    }
}

fn mutate<T: Wire>(version: i16, flexible: bool) {
    let sample = sample::<T>(version, flexible);
    let mut random = Random(0x9e37_79b9 ^ version as u64);
    let mut bytes = sample.clone();
    let mut unharmed = 0;
    for _ in 0..MUTATIONS {
        bytes.clone_from(&sample);
        for _ in 0..1 + random.below(4) {
            random.damage(&mut bytes);
        }
        unharmed += u32::from(decode_within_memory::<T>(&bytes, version, flexible).is_ok());
    }
    // Most damage is to numbers and text, some to lengths: both paths were walked.
    assert!(unharmed > 0 && unharmed < MUTATIONS, "{unharmed} of {MUTATIONS}");
}

/// Flips each bit of a sample, and writes at each position the 16 bits that decide most: the limits of lengths and counts.
fn flip_and_splice<R: Request>() {
    for version in R::VERSIONS {
        let flexible = version >= R::FLEXIBLE;
        let mut bytes = sample::<R::Response>(version, flexible);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = decode_within_memory::<R::Response>(&bytes, version, flexible);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for at in 0..bytes.len() - 1 {
            let before = [bytes[at], bytes[at + 1]];
            for splice in [0, 1, 0x7fff, 0x8000, 0xffff_u16, 0xfffe, 0x8001, 0xff7f] {
                bytes[at..at + 2].copy_from_slice(&splice.to_be_bytes());
                let _ = decode_within_memory::<R::Response>(&bytes, version, flexible);
            }
            bytes[at..at + 2].copy_from_slice(&before);
        }
    }
}

/// Puts at each position of a sample a count, and behind it bytes that may be so many small items: an item of 4 bytes
/// on the wire takes up to 72 in memory.
fn inflate<R: Request>() {
    for version in [*R::VERSIONS.start(), *R::VERSIONS.end()] {
        let flexible = version >= R::FLEXIBLE;
        let sample = sample::<R::Response>(version, flexible);
        for at in 0..sample.len() {
            for (filler, item) in [(1, 4), (0, 8)] {
                let mut bytes = sample[..at].to_vec();
                let count = (SPAN / item) as u32;
                match flexible {
                    true => Writer::new(&mut bytes, version, true).unsigned_varint(count),
                    false => bytes.extend(count.to_be_bytes()),
                }
                bytes.resize(at + SPAN, filler);
                let _ = decode_within_memory::<R::Response>(&bytes, version, flexible);
            }
        }
    }
}

fn decode_within_memory<T: Wire>(
    bytes: &[u8],
    version: i16,
    flexible: bool,
) -> Result<T, DecodeError> {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let decoded = T::decode(&mut Reader::new(bytes, version, flexible));
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= 4 * bytes.len() + (1 << 20), "{taken} for {} bytes", bytes.len());
    decoded
}

fn sample<T: Wire>(version: i16, flexible: bool) -> Vec<u8> {
    let mut bytes = vec![];
    let sample = T::sample(&mut Sampler::new(version, false));
    sample.encode(&mut Writer::new(&mut bytes, version, flexible)).expect("a sample fits");
    bytes
}

/// xorshift64: the same damage in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match (self.below(6), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << self.below(8),
            (1, Some(byte)) => *byte = self.next() as u8,
            (2, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            (3, Some(_)) => bytes.truncate(at),
            (4, Some(_)) => drop(bytes.remove(at)),
            _ => bytes.insert(at, self.next() as u8),
        }
    }
}
