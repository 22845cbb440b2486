//! Batches of records: headers, records, control batches, checksums, and each codec.

use std::sync::Arc;

use kafka_blocking::records::{
    BATCH_OVERHEAD, BatchHeader, BatchWalk, BatchWriter, Chunk, ChunkPool, Codec, ControlType,
    Decompressor, RecordsError, next_batch_len,
};
use scripted_broker::seal;

use crate::input::Input;

/// A batch may take so much when it is unpacked.
const LIMIT: usize = 1 << 20;

/// Whole batches one after the other. The first byte says whether checksums are checked, and made right before that, as
/// the fuzzer finds none.
pub(crate) fn records(bytes: &[u8]) {
    let mut input = Input(bytes);
    let how = input.byte();
    let mut bytes = input.0.to_vec();
    let mut starts = Vec::new();
    let mut at = 0;
    while let Ok(Some(len)) = next_batch_len(&bytes[at..]) {
        starts.push(at);
        let Some(batch) = bytes.get_mut(at..at.saturating_add(len)) else { break };
        if how & 1 == 1 && batch.len() >= BATCH_OVERHEAD {
            seal(batch);
        }
        at += len;
    }
    // What is no batch is met as well.
    starts.push(at);
    let chunk = Arc::new(Chunk::from(bytes));
    let mut decompressor = Decompressor::new(ChunkPool::new(LIMIT), LIMIT);
    for start in starts {
        walk(&chunk, start, how & 2 == 2, &mut decompressor);
    }
}

fn walk(chunk: &Arc<Chunk>, start: usize, check_crcs: bool, decompressor: &mut Decompressor) {
    let _ = ControlType::of_batch(&chunk.filled()[start..]);
    let header = BatchHeader::parse(&chunk.filled()[start..]);
    let topic: Arc<str> = "t".into();
    let Ok(walk) = BatchWalk::open(chunk, start, &topic, 0, check_crcs, decompressor) else {
        return;
    };
    let header = header.expect("it was opened");
    let (all, error) = read_all(&mut walk.clone(), &header);
    // From the middle on it is the same.
    let middle = all.get(all.len() / 2).map_or(header.next_offset(), |record| record.offset);
    let mut rest = walk.clone();
    if rest.skip_to(middle).is_ok() {
        let (rest, error_of_rest) = read_all(&mut rest, &header);
        assert_eq!((rest.as_slice(), error_of_rest), (&all[all.len() / 2..], error));
    }
    if error.is_none() && !all.is_empty() {
        written_again(&header, &all, decompressor);
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// All records, and the error that ends them; each call repeats that.
fn read_all(walk: &mut BatchWalk, header: &BatchHeader) -> (Vec<Record>, Option<RecordsError>) {
    let (mut all, mut before) = (Vec::<Record>::new(), header.base_offset - 1);
    loop {
        let left = walk.remaining();
        match walk.next_ref() {
            Ok(Some(record)) => {
                assert!(record.offset() > before && record.offset() <= header.last_offset());
                before = record.offset();
                let headers = record.headers();
                let headers =
                    headers.map(|h| (h.key().into_owned(), h.value().map(<[u8]>::to_vec)));
                all.push(Record {
                    offset: record.offset(),
                    timestamp: record.timestamp(),
                    key: record.key().map(<[u8]>::to_vec),
                    value: record.value().map(<[u8]>::to_vec),
                    headers: headers.collect(),
                });
            }
            Ok(None) => {
                assert_eq!(left, 0, "it ended too early");
                return (all, None);
            }
            Err(error) => {
                assert_eq!(walk.next_ref().err(), Some(error));
                return (all, Some(error));
            }
        }
    }
}

/// What was read can be written, and is read back.
fn written_again(header: &BatchHeader, all: &[Record], decompressor: &mut Decompressor) {
    let mut writer = BatchWriter::new(header.base_offset);
    writer.codec = header.codec().expect("it was opened");
    for record in all {
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        writer.append(record.offset, record.timestamp, key, value, &headers);
    }
    let bytes = writer.finish().expect("the codec is in this build");
    let written = BatchHeader::parse(&bytes).expect("it was written");
    let chunk = Arc::new(Chunk::from(bytes));
    match BatchWalk::open(&chunk, 0, &"t".into(), 0, true, decompressor) {
        Ok(mut walk) => {
            let again = read_all(&mut walk, &written);
            let same_times = header.base_timestamp == written.base_timestamp
                || all.iter().all(|r| r.timestamp.checked_sub(all[0].timestamp).is_some());
            assert!(!same_times || again == (all.to_vec(), None), "{all:?}, {again:?}");
        }
        // Written anew, lengths may take more bytes; not many.
        Err(RecordsError::TooLarge(LIMIT)) => {}
        Err(error) => panic!("{error}: {all:?}"),
    }
}

/// The first byte chooses the codec and the limit, the rest is what is unpacked, and then what is packed.
pub(crate) fn codecs(bytes: &[u8]) {
    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let mut input = Input(bytes);
    let codec = input.pick(&CODECS);
    let limit = 1 << (input.below(22));
    let pool = ChunkPool::new(LIMIT);
    let mut decompressor = Decompressor::new(pool, limit);
    let first = decompressor.decompress(codec, input.0).map(|chunk| chunk.filled().to_vec());
    if let Ok(plain) = &first {
        assert!(plain.len() <= limit, "{} of {limit}", plain.len());
    }
    // What was left behind in the contexts by this one changes nothing for the next ones.
    let mut writer = BatchWriter::new(0);
    writer.codec = codec;
    writer.push_junk(input.0);
    let packed = writer.finish().expect("the codec is in this build");
    let plain = decompressor.decompress(codec, &packed[BATCH_OVERHEAD..]);
    match plain {
        Ok(plain) => assert_eq!(plain.filled(), input.0),
        Err(error) => {
            assert_eq!(error, RecordsError::TooLarge(limit));
            assert!(input.0.len() > limit, "{} of {limit}", input.0.len());
        }
    }
    let again = decompressor.decompress(codec, input.0).map(|chunk| chunk.filled().to_vec());
    assert_eq!(first, again);
}
