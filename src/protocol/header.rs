//! What stands before each request and response, and the one API that deviates.

use crate::wire::{DecodeError, EncodeError, Nullable, Reader, Wire, Writer};

use super::{Request, SCHEMAS, api_versions::ApiVersionsRequest};

/// What stands before a request, read by a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The number of the API.
    pub api_key: i16,
    /// The version of the request, and of its response.
    pub api_version: i16,
    /// What the response repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// Reads the header of a request, and at which byte its body starts.
///
/// An API that is not declared here is read as one without flexible versions.
pub fn decode_request_header(bytes: &[u8]) -> Result<(RequestHeader, usize), DecodeError> {
    let mut r = Reader::new(bytes, 1, false);
    let header = RequestHeader {
        api_key: i16::decode(&mut r)?,
        api_version: i16::decode(&mut r)?,
        correlation_id: i32::decode(&mut r)?,
        // Never compact, so that a broker can read it before it knows whether the version is one of its own.
        client_id: Option::decode(&mut r)?,
    };
    let fixed = r.consumed();
    let flexible = is_flexible(header.api_key, header.api_version);
    let mut tags = Reader::new(&bytes[fixed..], 2, flexible);
    tags.tags(|_, _| Ok(()))?;
    Ok((header, fixed + tags.consumed()))
}

/// Reads the header of the response to a request of this API and version: its correlation id.
pub fn decode_response_header(
    r: &mut Reader<'_>,
    key: i16,
    version: i16,
) -> Result<i32, DecodeError> {
    let correlation_id = i32::decode(r)?;
    if response_header_has_tags(key, version) {
        r.tags(|_, _| Ok(()))?;
    }
    Ok(correlation_id)
}

/// How many bytes the header of a response takes that has no tagged fields: brokers send none so far.
#[must_use]
pub fn response_header_len(key: i16, version: i16) -> usize {
    if response_header_has_tags(key, version) { 5 } else { 4 }
}

pub(super) fn encode_request_header(
    out: &mut Vec<u8>,
    key: i16,
    version: i16,
    flexible: bool,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    let mut w = Writer::new(out, 1, false);
    key.encode(&mut w)?;
    version.encode(&mut w)?;
    correlation_id.encode(&mut w)?;
    String::encode_nullable(client_id.map(String::from).as_ref(), &mut w)?;
    if flexible {
        w.unsigned_varint(0);
    }
    Ok(())
}

pub(super) fn encode_response_header(
    out: &mut Vec<u8>,
    key: i16,
    version: i16,
    correlation_id: i32,
) {
    let mut w = Writer::new(out, 0, false);
    w.put(&correlation_id.to_be_bytes());
    if response_header_has_tags(key, version) {
        w.unsigned_varint(0);
    }
}

/// ApiVersions is answered without tags in each version: a client that asks in a version that the broker does not
/// have gets the answer of version 0, and must be able to read it.
#[must_use]
pub fn response_header_has_tags(key: i16, version: i16) -> bool {
    is_flexible(key, version) && key != ApiVersionsRequest::KEY
}

fn is_flexible(key: i16, version: i16) -> bool {
    let schema = SCHEMAS.iter().find(|schema| schema.key == Some(key));
    schema.is_some_and(|schema| version >= schema.flexible)
}
