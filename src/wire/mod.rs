//! How Kafka writes values as bytes.
//!
//! A type is [`Wire`] when it can be written and read; what may be null is [`Nullable`], and stands as an `Option`.
//!
//! From some version on each message is *flexible*: lengths are unsigned varints, one higher than the length so
//! that 0 is null ("compact"), and every struct ends in a section of tagged fields. Whether a message is flexible
//! is known to the [`Reader`] and the [`Writer`], so the types need not say it.

mod reader;
mod sampler;
mod streamed;
mod types;
mod writer;

pub use self::{
    reader::{Pending, Reader},
    sampler::Sampler,
    streamed::{RecordBytes, Streamed},
    types::{SecretBytes, Uuid},
    writer::Writer,
};

/// A value that stands in Kafka's messages.
pub trait Wire: Sized {
    /// Appends the value.
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Reads a value, and only the bytes that belong to it.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The least number of bytes that a value takes: bounds how many can follow in so many bytes.
    fn min_size(version: i16, flexible: bool) -> usize;

    /// A value for tests that no field has as its default.
    fn sample(s: &mut Sampler) -> Self;
}

/// A value that can be null on the wire: then it is `None` of an `Option`.
pub trait Nullable: Wire {
    /// Appends the value or null.
    fn encode_nullable(value: Option<&Self>, w: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Reads a value or null.
    fn decode_nullable(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError>;

    /// The least number of bytes that a value or null takes.
    fn min_size_nullable(version: i16, flexible: bool) -> usize;
}

/// Why bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside the message. In a stream this means: not yet.
    #[error("the message ends too early")]
    UnexpectedEnd,

    /// The bytes break the format.
    #[error("{what}{}{field}", if .field.is_empty() { "" } else { " in " })]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The field where it is wrong, as `Struct.field`; empty where no field is known.
        field: &'static str,
    },

    /// The message would take many times more memory than it has bytes.
    #[error("the message would take far more memory than it has bytes")]
    TooLarge,

    /// The message has no such version.
    #[error("version {version} of {api} is unknown")]
    Version {
        /// The API.
        api: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}

impl DecodeError {
    pub(crate) fn malformed(what: &'static str) -> Self {
        Self::Malformed { what, field: "" }
    }

    /// Adds the field in which it happened; the innermost one stays.
    pub(crate) fn within(self, place: &'static str) -> Self {
        match self {
            Self::Malformed { what, field: "" } => Self::Malformed { what, field: place },
            other => other,
        }
    }
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field has a value that matters, but the version has no such field.
    #[error("{field} is not in version {version}")]
    NotInVersion {
        /// The field, as `Struct.field`.
        field: &'static str,
        /// The version.
        version: i16,
    },

    /// A field is null, which the version does not allow.
    #[error("{field} must not be null in version {version}")]
    NullInVersion {
        /// The field, as `Struct.field`.
        field: &'static str,
        /// The version.
        version: i16,
    },

    /// A string, an array or the whole message is longer than its length can say.
    #[error("{what} of {len} bytes or items is too long for the protocol")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        len: usize,
    },

    /// The message has no such version.
    #[error("version {version} of {api} is unknown")]
    Version {
        /// The API.
        api: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}
