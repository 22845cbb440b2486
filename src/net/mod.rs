//! Connections to brokers.

pub mod servers;
pub mod socket_options;
