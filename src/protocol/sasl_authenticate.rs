//! Carries the messages of a SASL mechanism, after SaslHandshake of version 1.

api! {
    SaslAuthenticateRequest(key 36, versions 0..=2, flexible 2..) -> SaslAuthenticateResponse;

    /// A message of the client.
    struct SaslAuthenticateRequest {
        0.. => auth_bytes: Vec<u8>,
    }

    /// The broker's answer.
    struct SaslAuthenticateResponse {
        0.. => error_code: i16,
        0.. => error_message: Option<String>,
        0.. => auth_bytes: Vec<u8>,
        1.. => session_lifetime_ms: i64 where ignorable,
    }
}
