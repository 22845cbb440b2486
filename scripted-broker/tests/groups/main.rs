//! The scripted broker coordinates groups as Kafka does: each rule, in the words of the protocol.

mod bed;
mod joining;
mod leaving;
mod lifecycle;
mod offsets;
mod placement;
mod rebalancing;
mod scripted;
mod scripting;
mod sockets;
mod statics;
mod syncing;
