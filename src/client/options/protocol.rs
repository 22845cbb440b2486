//! What brokers are spoken with: in the clear or not, as somebody or as nobody.

use crate::options::closed_set;

/// How brokers are spoken with. A broker has a listener, and so a port, for each that it serves.
///
/// ```
/// use kafka_blocking::SecurityProtocol;
///
/// assert_eq!("SASL_SSL".parse::<SecurityProtocol>()?, SecurityProtocol::SaslSsl);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// In the clear, as nobody.
    Plaintext,
    /// Encrypted by TLS; who the client is, a certificate of its own can say.
    Ssl,
    /// In the clear, after logging in by SASL.
    SaslPlaintext,
    /// Encrypted by TLS, after logging in by SASL.
    SaslSsl,
}

closed_set! {
    SecurityProtocol, "security_protocol" {
        Plaintext: "plaintext",
        Ssl: "ssl",
        SaslPlaintext: "sasl_plaintext",
        SaslSsl: "sasl_ssl"
    },
    "must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", str::to_ascii_uppercase
}

impl SecurityProtocol {
    /// Whether it encrypts.
    #[must_use]
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether it logs in.
    #[must_use]
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}
