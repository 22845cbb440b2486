//! The consumer.

pub mod options;
