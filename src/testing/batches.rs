//! Batches that say more of themselves than their records: of transactions, compressed, and markers.

use crate::records::{BatchWriter, Codec, ControlType};

use crate::testing::records::Record;

/// How a transaction ends, or what stands where a marker should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Its records count.
    Commit,
    /// Its records do not count.
    Abort,
    /// A control record of a type that concerns no consumer, known or not, which ends no transaction.
    Other(i16),
    /// A control record with these bytes for a key, such as too few of them; it ends no transaction.
    Key(Vec<u8>),
}

/// When markers are written.
const TIMESTAMP: i64 = 1_700_000_000_000;

/// A batch of a transaction.
///
/// # Panics
/// Where this build lacks the codec.
#[must_use]
pub fn encode_transactional(producer_id: i64, codec: Codec, records: &[Record]) -> Vec<u8> {
    let mut batch = BatchWriter::new(0);
    batch.codec = codec;
    batch.transactional = true;
    (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (producer_id, 0, 0);
    for (offset, record) in (0..).zip(records) {
        let headers: Vec<(&str, Option<&[u8]>)> =
            record.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        batch.append(offset, record.timestamp, key, value, &headers);
    }
    batch.finish().expect("a codec that this build has")
}

/// A control batch.
#[must_use]
pub fn encode_marker(producer_id: i64, marker: &Marker) -> Vec<u8> {
    let mut batch = BatchWriter::new(0);
    (batch.producer_id, batch.producer_epoch) = (producer_id, 0);
    (batch.transactional, batch.control) = (true, true);
    match marker {
        Marker::Commit => batch.append_control(0, TIMESTAMP, ControlType::Commit, 0),
        Marker::Abort => batch.append_control(0, TIMESTAMP, ControlType::Abort, 0),
        Marker::Other(number) => {
            batch.append_control(0, TIMESTAMP, ControlType::Other(*number), 0);
        }
        Marker::Key(key) => batch.append(0, TIMESTAMP, Some(key), Some(&[0; 6]), &[]),
    }
    batch.finish().expect("a batch without compression")
}
