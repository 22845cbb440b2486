//! One form of a record that all readers make alike, and digests of it per partition, so that millions compare.
use std::{borrow::Cow, fmt::Write};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A key, a value, or a header's value: bytes or null.
pub type Field<'a> = Option<&'a [u8]>;

/// The fields of a record, whoever read it.
#[derive(Clone, Debug)]
pub struct RecordFields<'a> {
    /// The partition that it came from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: i64,
    /// Whether the broker set the timestamp when it appended the record.
    pub appended: bool,
    /// Its key.
    pub key: Field<'a>,
    /// Its value.
    pub value: Field<'a>,
    /// Its headers in their order.
    pub headers: Vec<(Cow<'a, str>, Field<'a>)>,
}

/// What a reader found in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDigest {
    /// The partition.
    pub partition: i32,
    /// How many records it has.
    pub records: u64,
    /// How many of them have the broker's timestamp.
    pub appended: u64,
    /// The first offset, −1 when there are no records.
    pub first: i64,
    /// The last offset, −1 when there are no records.
    pub last: i64,
    /// SHA-256 over the records' canonical bytes, in hexadecimal digits.
    pub digest: String,
}

impl PartitionDigest {
    pub(crate) fn from_json(value: &Value) -> Self {
        let number = |name: &str| value[name].as_i64().expect("readers count");
        let count = |name: &str| value[name].as_u64().expect("readers count");
        Self {
            partition: i32::try_from(number("partition")).expect("partitions are small numbers"),
            records: count("records"),
            appended: count("appended"),
            first: number("first"),
            last: number("last"),
            digest: value["digest"].as_str().expect("readers make a digest").to_owned(),
        }
    }
}

/// Makes the digest of a partition while it is read.
#[derive(Clone, Debug)]
pub struct PartitionDigester {
    digest: Sha256,
    found: PartitionDigest,
    buffer: Vec<u8>,
}

impl PartitionDigester {
    /// Begins with no records.
    #[must_use]
    pub fn new(partition: i32) -> Self {
        let digest = String::new();
        let found =
            PartitionDigest { partition, records: 0, appended: 0, first: -1, last: -1, digest };
        Self { digest: Sha256::new(), found, buffer: Vec::new() }
    }

    /// Takes the next record.
    pub fn add(&mut self, record: &RecordFields<'_>) {
        self.buffer.clear();
        encode(record, &mut self.buffer);
        self.digest.update(&self.buffer);
        if self.found.records == 0 {
            self.found.first = record.offset;
        }
        self.found.last = record.offset;
        self.found.records += 1;
        self.found.appended += u64::from(record.appended);
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> PartitionDigest {
        PartitionDigest { digest: hex(&self.digest.finalize()), ..self.found }
    }
}

/// A record as a line, as the other readers' dumps have it.
pub fn line(record: &RecordFields<'_>) -> String {
    let mut line = format!(
        "{} {} {} {} {} {}",
        record.partition,
        record.offset,
        record.timestamp,
        u8::from(record.appended),
        text(record.key),
        text(record.value)
    );
    for (name, value) in &record.headers {
        write!(line, " {}={}", text(Some(name.as_bytes())), text(*value))
            .expect("a String takes all");
    }
    line
}

/// The bytes that `Canonical.java` describes.
fn encode(record: &RecordFields<'_>, out: &mut Vec<u8>) {
    out.extend(record.partition.to_be_bytes());
    out.extend(record.offset.to_be_bytes());
    out.extend(record.timestamp.to_be_bytes());
    out.push(u8::from(record.appended));
    field(record.key, out);
    field(record.value, out);
    out.extend(length(record.headers.len()).to_be_bytes());
    for (name, value) in &record.headers {
        field(Some(name.as_bytes()), out);
        field(*value, out);
    }
}

fn field(field: Field<'_>, out: &mut Vec<u8>) {
    match field {
        None => out.extend((-1_i32).to_be_bytes()),
        Some(bytes) => {
            out.extend(length(bytes.len()).to_be_bytes());
            out.extend(bytes);
        }
    }
}

fn text(field: Field<'_>) -> String {
    match field {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= 64 => format!("'{}'", hex(bytes)),
        Some(bytes) => format!("{}:{}", bytes.len(), &hex(&Sha256::digest(bytes))[..16]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn length(length: usize) -> i32 {
    i32::try_from(length).expect("records are smaller than 2 GiB")
}
