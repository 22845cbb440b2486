//! What one record costs: opening a batch, the walk, and the hand-out of owned records one by one.
//!
//! `cargo bench --bench records` prints nanoseconds per record, the best and the median of some rounds.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{hint::black_box, sync::Arc, time::Instant};

use kafka_blocking::{
    ConsumerRecord,
    records::{BatchHeader, BatchWalk, BatchWriter, Chunk, ChunkPool, Codec, Decompressor},
};

const ROUNDS: usize = 61;
const BATCH: usize = 1 << 20;

fn main() {
    println!("{:<26} {:>8} {:>8} {:>8}", "ns/record, 1 MiB batches", "records", "best", "median");
    for size in [10, 100, 1024] {
        let (chunk, count) = batch(size, Codec::None, BATCH);
        let start = |name: &str| format!("{size:>5} B {name}");
        report(&start("CRC-32C"), count, || {
            let header = BatchHeader::parse(chunk.filled()).unwrap();
            header.check_crc(chunk.filled()).unwrap();
        });
        report(&start("walk, borrowed"), count, || {
            let mut walk = open(&chunk, false, &mut decompressor());
            let mut bytes = 0;
            while let Some(record) = walk.next_ref().unwrap() {
                bytes +=
                    record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
            }
            black_box(bytes);
        });
        report(&start("walk, owned"), count, || {
            let mut walk = open(&chunk, false, &mut decompressor());
            let mut bytes = 0;
            while let Some(record) = next(&mut walk) {
                bytes +=
                    record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
            }
            black_box(bytes);
        });
        report(&start("walk, owned, black box"), count, || {
            let mut walk = open(&chunk, false, &mut decompressor());
            while let Some(record) = next(&mut walk) {
                black_box(&record);
            }
        });
    }
    fixed_costs();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        if !codec.is_available() {
            continue;
        }
        for (name, batch_size) in [("16 KiB", 16 << 10), ("1 MiB", BATCH)] {
            let (chunk, count) = batch(100, codec, batch_size);
            let mut decompressor = decompressor();
            report(&format!("  100 B {codec}, {name}, owned"), count, || {
                let mut walk = open(&chunk, true, &mut decompressor);
                while let Some(record) = next(&mut walk) {
                    black_box(&record);
                }
            });
        }
    }
}

/// What is paid per batch, and what of a record's cost is its reference count.
fn fixed_costs() {
    let (chunk, _) = batch(100, Codec::None, 118);
    let mut decompressor = decompressor();
    let topic = Arc::from("topic");
    report("open + 1 record of 100 B", 10_000, || {
        for _ in 0..10_000 {
            let walk = BatchWalk::open(&chunk, 0, &topic, 0, true, &mut decompressor);
            let mut walk = walk.unwrap();
            while let Some(record) = next(&mut walk) {
                black_box(&record);
            }
        }
    });
    let walk = BatchWalk::open(&chunk, 0, &topic, 0, true, &mut decompressor).unwrap();
    report("Arc clone and drop", 10_000, || {
        for _ in 0..10_000 {
            black_box(Arc::clone(walk.batch()));
        }
    });
}

/// What the consumer's `next()` does inside of a batch; not inlined, as it is not there.
#[inline(never)]
fn next(walk: &mut BatchWalk) -> Option<ConsumerRecord> {
    let entry = walk.next_entry().unwrap()?;
    Some(ConsumerRecord::new(walk.batch(), entry))
}

fn decompressor() -> Decompressor {
    Decompressor::new(ChunkPool::new(4 << 20), 256 << 20)
}

fn open(chunk: &Arc<Chunk>, crc: bool, decompressor: &mut Decompressor) -> BatchWalk {
    BatchWalk::open(chunk, 0, &Arc::from("topic"), 0, crc, decompressor).unwrap()
}

/// A batch of about `len` bytes of records with a key of 8 bytes and a value of `size`, like JSON.
fn batch(size: usize, codec: Codec, len: usize) -> (Arc<Chunk>, usize) {
    let count = len / (size + 18);
    let mut writer = BatchWriter::new(1_000_000);
    writer.codec = codec;
    for i in 0..count {
        let mut value = String::new();
        while value.len() < size {
            value += &format!(
                "{{\"id\":{i},\"name\":\"user-{}\",\"score\":{}}},",
                i * 7919 % 1009,
                i * 31 % 997
            );
        }
        let (offset, timestamp) = (1_000_000 + i as i64, 1_700_000_000_000 + i as i64 / 3);
        let key = format!("{i:08}");
        writer.append(
            offset,
            timestamp,
            Some(key.as_bytes()),
            Some(&value.as_bytes()[..size]),
            &[],
        );
    }
    (Arc::new(Chunk::from(writer.finish().unwrap())), count)
}

fn report(name: &str, count: usize, mut run: impl FnMut()) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<26} {count:>8} {:>8.1} {:>8.1}", times[0], times[ROUNDS / 2]);
}
