//! Connections to brokers.

pub mod backoff;
pub mod connection;
pub mod fetch_stream;
pub(crate) mod helpers;
pub mod proxy;
pub mod resolver;
pub mod sasl;
pub mod security;
pub mod servers;
pub mod socket_options;
mod staging;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_absent.rs"]
pub mod tls;
mod told;
