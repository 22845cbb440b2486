//! What stands between a connected socket and the first request, besides the versions.

use super::{proxy::Proxy, sasl::Sasl, tls::TlsContext};

/// How connections are encrypted, and how the client says who it is.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Who connects us, where brokers are not reached otherwise.
    pub proxy: Option<Proxy>,
    /// TLS, where the connection has it.
    pub tls: Option<TlsContext>,
    /// How to log in, where the broker wants that.
    pub sasl: Option<Sasl>,
}
