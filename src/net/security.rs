//! What stands between a connected socket and the first request, besides the versions.

use super::{proxy::Proxy, sasl::Sasl, tls::TlsContext};
use crate::options::{Pem, Secret};

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

/// What the options `ssl_*` say, before any file is read.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "nobody reads them without TLS"))]
pub(crate) struct TlsFiles {
    pub(crate) check_hostname: bool,
    pub(crate) cafile: Option<Pem>,
    pub(crate) certfile: Option<Pem>,
    pub(crate) keyfile: Option<Pem>,
    pub(crate) password: Option<Secret>,
    pub(crate) crlfile: Option<Pem>,
    pub(crate) ciphers: Option<String>,
}
