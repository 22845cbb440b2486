//! The error codes of Kafka's protocol.

use std::fmt;

/// The code of a broker's answer; codes that this crate does not know keep their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// The offset is not in the log.
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);
    /// The right to read the topic is missing.
    pub const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);

    /// Whether the request may succeed when it is sent again.
    #[must_use]
    pub fn retriable(self) -> bool {
        false
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
