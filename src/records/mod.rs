//! Where records come from: fetched bytes, checked, decompressed and walked one record at a time.
//!
//! The network side cuts what it reads into whole batches ([`next_batch_len`]) inside recycled [`Chunk`]s.
//! A batch is opened when its first record is wanted ([`BatchWalk::open`]): checksum, decompression, then the
//! walk hands out an [`Entry`] per record, which is a set of ranges into the batch's bytes.
//! Here is magic 2 only; `BatchHeader::parse` is the place where message sets of magic 0 and 1 branch off.

mod batch;
mod chunk;
mod compression;
mod control;
mod entry;
mod error;
mod headers;
mod varint;
mod view;
mod walk;
mod writer;

pub use self::{
    batch::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, TimestampType, next_batch_len},
    chunk::{Chunk, ChunkPool},
    compression::{Codec, Decompressor},
    control::ControlType,
    entry::Entry,
    error::RecordsError,
    headers::{Header, Headers},
    view::RecordRef,
    walk::{Batch, BatchWalk},
    writer::{BatchWriter, NewRecord},
};
pub(crate) use self::{entry::Field, headers::Text, writer::write_headers};
