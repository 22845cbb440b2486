//! Kafka's requests and responses, one file an API.

use std::ops::RangeInclusive;

use crate::wire::{DecodeError, EncodeError, Reader, Wire, Writer};

#[macro_use]
pub mod macros;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod consumer_group_heartbeat;
pub mod consumer_protocol_assignment;
pub mod consumer_protocol_subscription;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod header;
pub mod heartbeat;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sticky_assignor_user_data;
pub mod sync_group;
pub mod throttle;
pub mod txn_offset_commit;
pub mod versions;

pub use self::{
    header::{
        RequestHeader, decode_request_header, decode_response_header, response_header_has_tags,
        response_header_len,
    },
    versions::ApiRanges,
};

/// A message that a client sends and a broker answers.
pub trait Request: Wire {
    /// The number of the API.
    const KEY: i16;
    /// The name of the API.
    const NAME: &'static str;
    /// The versions that this crate can write and read.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version; `i16::MAX` where there is none.
    const FLEXIBLE: i16;
    /// What the broker answers.
    type Response: Wire;
}

/// The name of an API, for texts.
#[must_use]
pub fn api_name(key: i16) -> &'static str {
    SCHEMAS
        .iter()
        .find(|schema| schema.key == Some(key))
        .map_or("an unknown API", |schema| schema.name)
}

/// Appends a request with its header, and before both their length in four bytes.
pub fn encode_request<R: Request>(
    out: &mut Vec<u8>,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &R,
) -> Result<(), EncodeError> {
    let flexible = encoded_version::<R>(version)?;
    framed(out, |out| {
        header::encode_request_header(out, R::KEY, version, flexible, correlation_id, client_id)?;
        request.encode(&mut Writer::new(out, version, flexible))
    })
}

/// Appends a response with its header, and before both their length in four bytes: the broker's half.
pub fn encode_response<R: Request>(
    out: &mut Vec<u8>,
    version: i16,
    correlation_id: i32,
    response: &R::Response,
) -> Result<(), EncodeError> {
    let flexible = encoded_version::<R>(version)?;
    framed(out, |out| {
        header::encode_response_header(out, R::KEY, version, correlation_id);
        response.encode(&mut Writer::new(out, version, flexible))
    })
}

/// Reads a request from the bytes behind its header: the broker's half.
pub fn decode_request<R: Request>(body: &[u8], version: i16) -> Result<R, DecodeError> {
    let flexible = decoded_version::<R>(version)?;
    R::decode(&mut Reader::new(body, version, flexible))
}

/// Reads a response from the bytes behind its header. Bytes behind the response are ignored.
pub fn decode_response<R: Request>(body: &[u8], version: i16) -> Result<R::Response, DecodeError> {
    let flexible = decoded_version::<R>(version)?;
    R::Response::decode(&mut Reader::new(body, version, flexible))
}

/// The bytes of a message that stands inside another one, with their version before them.
fn encode_versioned<T: Wire>(
    schema: &macros::Schema,
    version: i16,
    message: &T,
) -> Result<Vec<u8>, EncodeError> {
    if !schema.versions.contains(&version) {
        return Err(EncodeError::Version { api: schema.name, version });
    }
    let mut out = version.to_be_bytes().to_vec();
    message.encode(&mut Writer::new(&mut out, version, version >= schema.flexible))?;
    Ok(out)
}

/// Reads a message that stands inside another one. Newer versions are read as the newest one that is known here.
fn decode_versioned<T: Wire>(schema: &macros::Schema, bytes: &[u8]) -> Result<T, DecodeError> {
    let version = i16::decode(&mut Reader::new(bytes, 0, false))?;
    if version < *schema.versions.start() {
        return Err(DecodeError::Version { api: schema.name, version });
    }
    let version = version.min(*schema.versions.end());
    T::decode(&mut Reader::new(&bytes[2..], version, version >= schema.flexible))
}

fn encoded_version<R: Request>(version: i16) -> Result<bool, EncodeError> {
    match R::VERSIONS.contains(&version) {
        true => Ok(version >= R::FLEXIBLE),
        false => Err(EncodeError::Version { api: R::NAME, version }),
    }
}

fn decoded_version<R: Request>(version: i16) -> Result<bool, DecodeError> {
    match R::VERSIONS.contains(&version) {
        true => Ok(version >= R::FLEXIBLE),
        false => Err(DecodeError::Version { api: R::NAME, version }),
    }
}

/// Appends what `body` appends, and its length before it. After an error `out` is what it was.
fn framed(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = body(out).and_then(|()| {
        let len = out.len() - start - 4;
        i32::try_from(len).map_err(|_| EncodeError::TooLong { what: "a message", len })
    });
    match written {
        Ok(len) => out[start..start + 4].copy_from_slice(&len.to_be_bytes()),
        Err(_) => out.truncate(start),
    }
    written.map(drop)
}

/// The declarations of all messages.
#[doc(hidden)]
pub const SCHEMAS: &[macros::Schema] = &[
    add_offsets_to_txn::SCHEMA,
    add_partitions_to_txn::SCHEMA,
    api_versions::SCHEMA,
    consumer_group_heartbeat::SCHEMA,
    consumer_protocol_assignment::SCHEMA,
    consumer_protocol_subscription::SCHEMA,
    create_topics::SCHEMA,
    delete_groups::SCHEMA,
    delete_records::SCHEMA,
    delete_topics::SCHEMA,
    describe_cluster::SCHEMA,
    describe_configs::SCHEMA,
    describe_groups::SCHEMA,
    end_txn::SCHEMA,
    fetch::SCHEMA,
    find_coordinator::SCHEMA,
    heartbeat::SCHEMA,
    init_producer_id::SCHEMA,
    join_group::SCHEMA,
    leave_group::SCHEMA,
    list_groups::SCHEMA,
    list_offsets::SCHEMA,
    metadata::SCHEMA,
    offset_commit::SCHEMA,
    offset_fetch::SCHEMA,
    offset_for_leader_epoch::SCHEMA,
    produce::SCHEMA,
    sasl_authenticate::SCHEMA,
    sasl_handshake::SCHEMA,
    sync_group::SCHEMA,
    txn_offset_commit::SCHEMA,
];
