//! The scripted broker coordinates groups as Kafka does: each rule, in the words of the protocol.

#[path = "../support/mod.rs"]
mod support;

mod bed;
mod lifecycle;
