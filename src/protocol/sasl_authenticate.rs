//! Carries the messages of a SASL mechanism, after SaslHandshake of version 1.

use crate::wire::SecretBytes;

api! {
    SaslAuthenticateRequest(key 36, versions 0..=2, flexible 2..) -> SaslAuthenticateResponse;

    /// A message of the client.
    struct SaslAuthenticateRequest {
        0.. => auth_bytes: SecretBytes,
    }

    /// The broker's answer.
    struct SaslAuthenticateResponse {
        0.. => error_code: i16,
        0.. => error_message: Option<String>,
        0.. => auth_bytes: Vec<u8>,
        /// After this time the broker closes the connection, unless it was authenticated again (KIP-368); 0 is never.
        1.. => session_lifetime_ms: i64 where ignorable,
    }
}
