//! How a batch is written: for the in-process broker, and for tests, which may set any field to any value.

use super::{
    BATCH_OVERHEAD, Codec, ControlType, LOG_OVERHEAD, RecordsError, TimestampType, compression,
    varint,
};

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, `None` for null.
    pub value: Option<&'a [u8]>,
    /// Keys and values.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Builds a batch of magic 2. A field that is `None` gets the value that fits the records.
#[derive(Clone, Debug)]
pub struct BatchWriter {
    /// The offset of the first record, usually.
    pub base_offset: i64,
    /// The leader's epoch.
    pub partition_leader_epoch: i32,
    /// The message format.
    pub magic: i8,
    /// How the records are compressed.
    pub codec: Codec,
    /// Whether the broker set the timestamps.
    pub timestamp_type: TimestampType,
    /// Whether the records belong to a transaction.
    pub transactional: bool,
    /// Whether the records are markers.
    pub control: bool,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The first sequence number.
    pub base_sequence: i32,
    /// The length field.
    pub batch_length: Option<i32>,
    /// The checksum.
    pub crc: Option<u32>,
    /// All attributes at once.
    pub attributes: Option<i16>,
    /// Where the batch ends.
    pub last_offset_delta: Option<i32>,
    /// What timestamps are relative to. Set it before the first record.
    pub base_timestamp: Option<i64>,
    /// The largest timestamp.
    pub max_timestamp: Option<i64>,
    /// How many records there are.
    pub record_count: Option<i32>,
    /// The records as bytes, compressed already: used in place of those that were appended.
    pub payload: Option<Vec<u8>>,
    records: Vec<u8>,
    scratch: Vec<u8>,
    count: i32,
    last_delta: i32,
    largest_timestamp: i64,
}

impl BatchWriter {
    /// An empty batch that begins at `base_offset`.
    #[must_use]
    pub fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            partition_leader_epoch: 0,
            magic: 2,
            codec: Codec::None,
            timestamp_type: TimestampType::CreateTime,
            transactional: false,
            control: false,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            batch_length: None,
            crc: None,
            attributes: None,
            last_offset_delta: None,
            base_timestamp: None,
            max_timestamp: None,
            record_count: None,
            payload: None,
            records: Vec::new(),
            scratch: Vec::new(),
            count: 0,
            last_delta: 0,
            largest_timestamp: -1,
        }
    }

    /// Appends a record.
    pub fn append(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        self.push(&NewRecord { offset, timestamp, key, value, headers });
    }

    /// Appends a record.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        let base_timestamp = *self.base_timestamp.get_or_insert(record.timestamp);
        let delta = record.offset.wrapping_sub(self.base_offset);
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        body.push(0);
        varint::write(&mut body, record.timestamp.wrapping_sub(base_timestamp));
        varint::write(&mut body, delta);
        write_field(&mut body, record.key);
        write_field(&mut body, record.value);
        write_headers(&mut body, record.headers);
        self.push_bytes(&body, delta as i32);
        self.scratch = body;
        self.largest_timestamp = self.largest_timestamp.max(record.timestamp);
    }

    /// Appends a record of which everything behind its length is given, whether it is well-formed or not.
    pub fn push_bytes(&mut self, body: &[u8], offset_delta: i32) {
        varint::write(&mut self.records, body.len() as i64);
        self.records.extend_from_slice(body);
        self.count += 1;
        self.last_delta = offset_delta;
    }

    /// Appends bytes that count as no record.
    pub fn push_junk(&mut self, junk: &[u8]) {
        self.records.extend_from_slice(junk);
    }

    /// Appends the marker that ends a transaction, and makes the batch a control batch.
    pub fn append_control(
        &mut self,
        offset: i64,
        timestamp: i64,
        control: ControlType,
        coordinator_epoch: i32,
    ) {
        self.control = true;
        self.transactional = true;
        let number = match control {
            ControlType::Abort => 0_i16,
            ControlType::Commit => 1,
            ControlType::Other(other) => other,
        };
        let [high, low] = number.to_be_bytes();
        let [a, b, c, d] = coordinator_epoch.to_be_bytes();
        self.append(offset, timestamp, Some(&[0, 0, high, low]), Some(&[0, 0, a, b, c, d]), &[]);
    }

    /// How many records were appended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.unsigned_abs() as usize
    }

    /// Whether no record was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of the batch. Fails only when this build lacks the codec.
    pub fn finish(&self) -> Result<Vec<u8>, RecordsError> {
        let packed = match &self.payload {
            Some(payload) => payload.clone(),
            None => compression::compress(self.codec, &self.records)?,
        };
        let length = (BATCH_OVERHEAD - LOG_OVERHEAD + packed.len()) as i32;
        let mut out = Vec::with_capacity(BATCH_OVERHEAD + packed.len());
        out.extend_from_slice(&self.base_offset.to_be_bytes());
        out.extend_from_slice(&self.batch_length.unwrap_or(length).to_be_bytes());
        out.extend_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out.extend_from_slice(&self.magic.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(
            &self.attributes.unwrap_or_else(|| self.own_attributes()).to_be_bytes(),
        );
        out.extend_from_slice(&self.last_offset_delta.unwrap_or(self.last_delta).to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.unwrap_or(-1).to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.unwrap_or(self.largest_timestamp).to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.producer_epoch.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.record_count.unwrap_or(self.count).to_be_bytes());
        out.extend_from_slice(&packed);
        let crc = self.crc.unwrap_or_else(|| crc32c::crc32c(&out[21..]));
        out[17..21].copy_from_slice(&crc.to_be_bytes());
        Ok(out)
    }

    fn own_attributes(&self) -> i16 {
        let log_append = self.timestamp_type == TimestampType::LogAppendTime;
        i16::from(self.codec.id())
            | i16::from(log_append) << 3
            | i16::from(self.transactional) << 4
            | i16::from(self.control) << 5
    }
}

/// Writes a length and the bytes, −1 for null.
pub(crate) fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::write(out, -1),
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

/// Writes the count of the headers, and each.
pub(crate) fn write_headers<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    headers: &[(K, Option<V>)],
) {
    varint::write(out, headers.len() as i64);
    for (key, value) in headers {
        write_field(out, Some(key.as_ref()));
        write_field(out, value.as_ref().map(AsRef::as_ref));
    }
}
