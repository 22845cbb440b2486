//! Chooses a SASL mechanism.

api! {
    SaslHandshakeRequest(key 17, versions 0..=1) -> SaslHandshakeResponse;

    /// Names the mechanism; version 0 is followed by bare SASL messages, version 1 by SaslAuthenticate.
    struct SaslHandshakeRequest {
        0.. => mechanism: String,
    }

    /// The mechanisms that the broker has.
    struct SaslHandshakeResponse {
        0.. => error_code: i16,
        0.. => mechanisms: Vec<String>,
    }
}
