//! How a test puts records into logs, and takes them out: all under the epoch of the leader of the time.

use crate::records::Codec;

use crate::testing::{
    batches::{Marker, encode_marker, encode_transactional},
    records::Record,
    state::State,
};

impl State {
    /// Appends one batch; gives the offset of its first record.
    pub fn append<R: Into<Record>>(
        &mut self,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = R>,
    ) -> i64 {
        let partition = self.partition_mut(topic, partition);
        partition.log.append(&collect(records), partition.epoch)
    }

    /// Appends a batch as it is, but for its offset and epoch, whatever it holds; gives the offset of its first record.
    pub fn append_batch(&mut self, topic: &str, partition: i32, batch: Vec<u8>) -> i64 {
        let partition = self.partition_mut(topic, partition);
        partition.log.append_batch(batch, partition.epoch)
    }

    /// Appends one batch of a transaction, which begins with it unless it is under way; gives the offset of its first
    /// record.
    pub fn append_transactional<R: Into<Record>>(
        &mut self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        records: impl IntoIterator<Item = R>,
    ) -> i64 {
        self.append_transactional_packed(topic, partition, producer_id, Codec::None, records)
    }

    /// The same, compressed.
    pub fn append_transactional_packed<R: Into<Record>>(
        &mut self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        codec: Codec,
        records: impl IntoIterator<Item = R>,
    ) -> i64 {
        let batch = encode_transactional(producer_id, codec, &collect(records));
        let partition = self.partition_mut(topic, partition);
        let batch = partition.log.stamp(batch);
        partition.log.append_batch(batch, partition.epoch)
    }

    /// Appends the marker that ends a producer's transaction, or something like it; gives its offset.
    pub fn append_marker(
        &mut self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        marker: Marker,
    ) -> i64 {
        self.append_batch(topic, partition, encode_marker(producer_id, &marker))
    }

    /// Deletes what lies before an offset, a batch at a time; the log begins there.
    pub fn delete_records_before(&mut self, topic: &str, partition: i32, offset: i64) {
        self.partition_mut(topic, partition).log.delete_before(offset);
    }
}

fn collect<R: Into<Record>>(records: impl IntoIterator<Item = R>) -> Vec<Record> {
    records.into_iter().map(Into::into).collect()
}
