//! What the walk hands out, and what it refuses. The numbers are those of the list of faults.

use std::sync::Arc;

use super::{super::*, *};
use crate::ConsumerRecord;

type Read = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

fn decompressor() -> Decompressor {
    Decompressor::new(ChunkPool::new(1 << 20), 1 << 20)
}

fn open_bytes(bytes: Vec<u8>) -> Result<BatchWalk, RecordsError> {
    open_with(bytes, true)
}

fn open_with(bytes: Vec<u8>, check_crcs: bool) -> Result<BatchWalk, RecordsError> {
    let chunk = Arc::new(Chunk::from(bytes));
    BatchWalk::open(&chunk, 0, &Arc::from("t"), 3, check_crcs, &mut decompressor())
}

fn open(writer: &BatchWriter) -> Result<BatchWalk, RecordsError> {
    open_bytes(writer.finish().unwrap())
}

fn read(mut walk: BatchWalk) -> Result<Vec<Read>, RecordsError> {
    let mut all = Vec::new();
    while let Some(record) = walk.next_ref()? {
        let (key, value) = (record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec));
        all.push((record.offset(), record.timestamp(), key, value));
    }
    Ok(all)
}

fn offsets(walk: BatchWalk) -> Vec<i64> {
    read(walk).unwrap().iter().map(|record| record.0).collect()
}

fn batch_of(base: i64, offsets: &[i64]) -> BatchWriter {
    let mut writer = BatchWriter::new(base);
    for offset in offsets {
        writer.append(*offset, 1000 + offset, Some(b"key"), Some(b"value"), &[]);
    }
    writer
}

/// What reading a batch of this one record, given as bytes behind its length, ends with.
fn read_record(body: &[u8]) -> Result<Vec<Read>, RecordsError> {
    let mut writer = BatchWriter::new(0);
    writer.push_bytes(body, 0);
    read(open(&writer)?)
}

fn is_corrupt<T>(result: Result<T, RecordsError>) -> bool {
    matches!(result, Err(RecordsError::Corrupt(_)))
}

/// A record without key and value, from its attributes to the value's length.
const EMPTY: [u8; 5] = [0, 0, 0, 1, 1];

#[test]
fn what_is_written_is_read_back() {
    let mut writer = BatchWriter::new(100);
    writer.append(100, 5000, None, None, &[]);
    writer.append(101, 4000, Some(b""), Some(b""), &[("a", None), ("a", Some(b"1"))]);
    writer.append(102, i64::from(u32::MAX), Some(&[7; 200]), Some(&vec![8; 70_000]), &[]);
    let mut walk = open(&writer).unwrap();
    assert_eq!(walk.remaining(), 3);
    let headers: Vec<_> = {
        walk.next_entry().unwrap();
        let record = walk.next_ref().unwrap().unwrap();
        record.headers().map(|h| (h.key().into_owned(), h.value().map(<[u8]>::to_vec))).collect()
    };
    assert_eq!(headers, [("a".to_owned(), None), ("a".to_owned(), Some(b"1".to_vec()))]);
    let all = read(open(&writer).unwrap()).unwrap();
    assert_eq!(all[0], (100, 5000, None, None));
    assert_eq!(all[1], (101, 4000, Some(vec![]), Some(vec![])));
    assert_eq!(all[2], (102, i64::from(u32::MAX), Some(vec![7; 200]), Some(vec![8; 70_000])));
}

#[test]
fn an_owned_record_outlives_the_walk_and_its_chunk_goes_home_with_it() {
    let pool = ChunkPool::new(1 << 20);
    let mut chunk = pool.take(16 << 10);
    chunk.extend_from_slice(&batch_of(0, &[0, 1]).finish().unwrap());
    let chunk = Arc::new(chunk);
    let mut walk =
        BatchWalk::open(&chunk, 0, &Arc::from("t"), 3, true, &mut decompressor()).unwrap();
    let entry = walk.next_entry().unwrap().unwrap();
    let record = ConsumerRecord::new(walk.batch(), entry);
    drop((walk, chunk));
    assert_eq!((record.topic(), record.partition(), record.value()), ("t", 3, Some(&b"value"[..])));
    assert_eq!(pool.kept(), 0);
    let detached = record.detach();
    assert_eq!(pool.kept(), 16 << 10, "a detached record pins nothing");
    assert_eq!(detached.value(), Some(&b"value"[..]));
}

#[test]
fn batches_follow_each_other_in_a_chunk_and_a_truncated_one_is_left_out() {
    let mut bytes = batch_of(0, &[0, 1]).finish().unwrap();
    bytes.extend(batch_of(2, &[2]).finish().unwrap());
    let whole = bytes.len();
    bytes.extend(&batch_of(3, &[3]).finish().unwrap()[..40]);
    let chunk = Arc::new(Chunk::from(bytes));
    let (mut at, mut seen) = (0, Vec::new());
    while let Some(len) = next_batch_len(&chunk.filled()[at..]).unwrap() {
        if at + len > chunk.filled().len() {
            break;
        }
        let topic = Arc::from("t");
        let walk = BatchWalk::open(&chunk, at, &topic, 0, true, &mut decompressor()).unwrap();
        seen.extend(offsets(walk));
        at += len;
    }
    assert_eq!((seen, at), (vec![0, 1, 2], whole));
    let topic = Arc::from("t");
    assert!(is_corrupt(BatchWalk::open(&chunk, at, &topic, 0, true, &mut decompressor())));
}

#[test]
fn records_below_a_position_are_skipped() {
    for (position, expected) in
        [(0, 4), (10, 4), (11, 3), (12, 2), (15, 2), (16, 1), (17, 0), (99, 0)]
    {
        let mut walk = open(&batch_of(10, &[10, 11, 15, 16])).unwrap();
        walk.skip_to(position).unwrap();
        let left = offsets(walk);
        assert_eq!(left.len(), expected, "{position}");
        assert!(left.iter().all(|offset| *offset >= position));
    }
}

#[test]
fn fault_185_compacted_gaps_are_read_in_order() {
    let walk = open(&batch_of(0, &[0, 5, 6, 100])).unwrap();
    assert_eq!(walk.header().next_offset(), 101);
    assert_eq!(offsets(walk), [0, 5, 6, 100]);
}

#[test]
fn fault_186_the_next_offset_is_behind_the_batch_though_its_last_record_is_gone() {
    let mut writer = batch_of(10, &[10, 12]);
    writer.last_offset_delta = Some(9);
    let walk = open(&writer).unwrap();
    assert_eq!(walk.header().next_offset(), 20);
    assert_eq!(offsets(walk), [10, 12]);
}

#[test]
fn fault_187_an_empty_batch_has_a_next_offset() {
    for codec in 0..=4 {
        let mut writer = BatchWriter::new(10);
        writer.last_offset_delta = Some(4);
        writer.attributes = Some(codec);
        writer.payload = Some(Vec::new());
        let walk = open(&writer).unwrap();
        assert_eq!(walk.header().next_offset(), 15);
        assert_eq!(offsets(walk), [0; 0]);
    }
}

#[test]
fn fault_188_control_batches_say_what_they_are() {
    for control in [ControlType::Abort, ControlType::Commit, ControlType::Other(9)] {
        let mut writer = BatchWriter::new(10);
        writer.producer_id = 4000;
        writer.append_control(10, 5, control, 1);
        let walk = open(&writer).unwrap();
        assert!(walk.header().is_control() && walk.header().is_transactional());
        assert_eq!((walk.header().producer_id, walk.header().next_offset()), (4000, 11));
        assert_eq!(ControlType::of_batch(&writer.finish().unwrap()), Some(control));
    }
}

#[test]
fn fault_188_an_empty_control_batch_has_no_type() {
    let mut writer = BatchWriter::new(10);
    writer.control = true;
    let walk = open(&writer).unwrap();
    assert_eq!((walk.header().is_control(), walk.header().next_offset()), (true, 11));
    assert_eq!(ControlType::of_batch(&writer.finish().unwrap()), None);
    let mut writer = BatchWriter::new(10);
    writer.control = true;
    writer.append(10, 0, Some(&[0, 0, 1]), None, &[]);
    assert_eq!(ControlType::of_batch(&writer.finish().unwrap()), None, "a key that is too short");
}

#[test]
fn fault_195_an_unknown_codec_is_an_error_that_names_it() {
    for codec in 5..=7 {
        let mut writer = batch_of(0, &[0]);
        writer.attributes = Some(codec);
        let error = open(&writer).unwrap_err();
        assert_eq!(error, RecordsError::UnsupportedCodec(codec as u8));
        assert!(error.to_string().contains(&format!("codec {codec}")), "{error}");
    }
}

#[test]
fn fault_195_a_codec_that_is_switched_off_is_an_error_that_names_it() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut writer = batch_of(0, &[0]);
        writer.attributes = Some(codec.id().into());
        writer.payload = Some(vec![1, 2, 3]);
        let error = open(&writer).unwrap_err();
        if codec.is_available() {
            assert!(matches!(error, RecordsError::Corrupt(_)), "{error}");
        } else {
            assert_eq!(error, RecordsError::UnsupportedCodec(codec.id()));
            assert!(error.to_string().contains(&format!("feature `{codec}`")), "{error}");
        }
    }
}

#[test]
fn fault_196_a_wrong_checksum_is_an_error_unless_it_is_not_checked() {
    let good = batch_of(0, &[0, 1]).finish().unwrap();
    for at in 17..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        if (57..61).contains(&at) || (23..27).contains(&at) {
            assert!(open_bytes(bad).is_err(), "{at}");
        } else {
            assert!(matches!(open_bytes(bad), Err(RecordsError::WrongCrc { .. })), "{at}");
        }
    }
    let mut bad = good;
    *bad.iter_mut().rev().nth(1).unwrap() ^= 0x10;
    assert_eq!(offsets(open_with(bad, false).unwrap()), [0, 1]);
}

#[test]
fn fault_197_a_batch_longer_than_what_came_is_corrupt() {
    let mut writer = batch_of(0, &[0]);
    writer.batch_length = Some(i32::MAX);
    assert!(is_corrupt(open(&writer)));
}

#[test]
fn fault_198_a_record_count_that_does_not_fit_is_corrupt() {
    let with_count = |count| {
        let mut writer = batch_of(0, &[0, 1, 2]);
        writer.record_count = Some(count);
        writer.last_offset_delta = Some(i32::MAX);
        open(&writer).and_then(read)
    };
    assert_eq!(with_count(3).unwrap().len(), 3);
    for count in [0, 2, 4, 1 << 20, i32::MAX, -1] {
        assert!(is_corrupt(with_count(count)), "{count}");
    }
}

#[test]
fn fault_199_a_record_whose_length_is_not_that_of_its_contents_is_corrupt() {
    let good = [&EMPTY[..], &[0]].concat();
    assert_eq!(read_record(&good).unwrap(), [(0, -1, None, None)]);
    for wrong in [-1, 0, 1, 5, 7, 8, 100, i64::from(i32::MAX), i64::from(i32::MIN)] {
        let mut writer = BatchWriter::new(0);
        let mut junk = Vec::new();
        varint::write(&mut junk, wrong);
        junk.extend_from_slice(&good);
        junk.push(0);
        writer.push_junk(&junk);
        writer.record_count = Some(1);
        assert!(is_corrupt(open(&writer).and_then(read)), "{wrong}");
    }
}

#[test]
fn fault_199_a_record_may_not_reach_into_the_next_one() {
    let mut writer = BatchWriter::new(0);
    // A value of two bytes, of which the record's length counts none.
    writer.push_junk(&[12, 0, 0, 0, 1, 4, 9, 9, 0]);
    writer.push_bytes(&[0, 0, 2, 1, 1, 0], 1);
    writer.record_count = Some(2);
    assert!(is_corrupt(open(&writer).and_then(read)));
}

#[test]
fn fault_200_bad_lengths_of_keys_values_and_headers_are_corrupt() {
    let bodies: [&[u8]; 13] = [
        &[0, 0, 0, 3, 1, 0],                            // key −2
        &[0, 0, 0, 1, 3, 0],                            // value −2
        &[0, 0, 0, 200, 1, 1, 0],                       // key beyond
        &[0, 0, 0, 1, 40, 0],                           // value beyond
        &[0, 0, 0, 1, 1, 1],                            // header count −1
        &[0, 0, 0, 1, 1, 2],                            // a header is missing
        &[0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f], // 2^31 − 1 headers
        &[0, 0, 0, 1, 1, 2, 1, 1],                      // null header key
        &[0, 0, 0, 1, 1, 2, 3, 1],                      // header key −2
        &[0, 0, 0, 1, 1, 2, 2, 65, 3],                  // header value −2
        &[0, 0, 0, 1, 1, 2, 2, 65, 8],                  // header value beyond
        &[0, 0, 0, 1, 1, 2, 8, 65],                     // header key beyond
        &[0, 0, 0, 1, 1, 2, 2, 65, 1, 7],               // a byte behind the last header
    ];
    for body in bodies {
        assert!(is_corrupt(read_record(body)), "{body:?}");
    }
    assert!(read_record(&[0, 0, 0, 1, 1, 2, 2, 65, 1]).is_ok());
}

#[test]
fn fault_201_bad_integers_of_a_record_are_corrupt() {
    let long = [0x80; 10];
    for before in [&[0][..], &[0, 0], &[0, 0, 0], &[0, 0, 0, 1], &EMPTY] {
        assert!(is_corrupt(read_record(&[before, &long, &[1, 0, 0, 0, 0, 0]].concat())));
        assert!(is_corrupt(read_record(&[before, &[0x80]].concat())), "cut off");
    }
}

#[test]
fn fault_203_offsets_that_repeat_or_fall_are_corrupt_behind_the_good_ones() {
    for second in [10, 9, 5] {
        let mut walk = open(&batch_of(5, &[10, second, 11])).unwrap();
        assert_eq!(walk.next_entry().unwrap().unwrap().offset, 10);
        for _ in 0..3 {
            assert!(is_corrupt(walk.next_entry()), "the same error again");
        }
    }
    assert!(is_corrupt(open(&batch_of(5, &[4])).and_then(read)), "below the base offset");
}

#[test]
fn fault_202_an_offset_beyond_the_batch_is_corrupt() {
    let mut writer = batch_of(0, &[0, 7]);
    writer.last_offset_delta = Some(6);
    assert!(is_corrupt(open(&writer).and_then(read)));
}

#[test]
fn fault_204_timestamps_saturate_and_log_append_time_is_that_of_the_batch() {
    let mut writer = BatchWriter::new(0);
    writer.base_timestamp = Some(i64::MAX - 1);
    writer.push_bytes(&[0, 20, 0, 1, 1, 0], 0);
    assert_eq!(read(open(&writer).unwrap()).unwrap()[0].1, i64::MAX);
    let mut writer = batch_of(0, &[0, 1]);
    writer.timestamp_type = TimestampType::LogAppendTime;
    writer.max_timestamp = Some(77);
    let walk = open(&writer).unwrap();
    assert_eq!(walk.batch().timestamp_type(), TimestampType::LogAppendTime);
    assert!(read(walk).unwrap().iter().all(|record| record.1 == 77));
}

#[test]
fn fault_210_bytes_left_over_or_short_behind_decompression_are_corrupt() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut writer = batch_of(0, &[0, 1]);
        writer.codec = codec;
        if !codec.is_available() {
            assert_eq!(writer.finish(), Err(RecordsError::UnsupportedCodec(codec.id())));
            continue;
        }
        assert_eq!(offsets(open(&writer).unwrap()), [0, 1], "{codec}");
        for count in [1, 3] {
            writer.record_count = Some(count);
            writer.last_offset_delta = Some(9);
            assert!(is_corrupt(open(&writer).and_then(read)), "{codec} {count}");
        }
        writer.record_count = None;
        writer.push_junk(&[0]);
        assert!(is_corrupt(open(&writer).and_then(read)), "{codec}");
    }
}

#[test]
fn batches_of_kafka_python_are_read_with_every_codec() {
    for line in include_str!("../../tests/vectors/records_v2.txt").lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let codec = BatchHeader::parse(&bytes).unwrap().codec().unwrap();
        if !codec.is_available() {
            continue;
        }
        let walk = open_bytes(bytes).unwrap();
        let header = *walk.header();
        assert_eq!(header.is_transactional(), name == "transactional");
        assert_eq!(header.producer_id, if name == "transactional" { 4000 } else { -1 });
        let all = read(walk).unwrap();
        assert_eq!(all.len(), 20, "{name}");
        assert_eq!(all[0], (0, 1_700_000_000_000, Some(b"key".into()), Some(b"value".into())));
        assert_eq!(all[1], (1, 1_700_000_000_123, None, Some(vec![])));
        assert_eq!(all[2], (2, 1_699_999_999_999, Some(vec![]), None));
        let value = b"a value that repeats itself ".repeat(10);
        assert_eq!(all[19], (19, 1_700_000_001_019, Some(b"k19".into()), Some(value)));
    }
}

#[test]
fn no_mutation_of_a_batch_makes_the_walk_panic_or_go_backwards() {
    let mut random = Random(42);
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut writer = BatchWriter::new(5);
        writer.codec = codec;
        for offset in 5..25 {
            writer.append(offset, offset * 7, Some(b"key"), Some(&[9; 150]), &[("h", Some(b"v"))]);
        }
        let Ok(good) = writer.finish() else { continue };
        for _ in 0..3000 {
            let mut bad = good.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bad.len());
                bad[at] = random.below(256) as u8;
            }
            bad.truncate(bad.len() - random.below(2) * random.below(bad.len()));
            let Ok(mut walk) = open_with(bad, false) else { continue };
            let (mut last, mut count) = (i64::MIN, 0);
            while let Ok(Some(record)) = walk.next_ref() {
                assert!(record.offset() > last);
                last = record.offset();
                count += record.headers().count() + record.value().map_or(0, <[u8]>::len);
            }
            assert!(count <= 1 << 20);
        }
    }
}

/// A small generator of numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
