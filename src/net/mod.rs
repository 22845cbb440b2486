//! Connections to brokers.

pub mod backoff;
pub mod connection;
pub mod fetch_stream;
pub mod resolver;
pub mod sasl;
pub mod servers;
pub mod socket_options;
mod staging;
