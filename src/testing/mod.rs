//! A Kafka broker in the process, for tests of programs that read Kafka: no Java, no C, no container.
//!
#![doc = include_str!("../../docs/testing.md")]

mod answers;
mod appends;
mod batches;
mod broker;
mod cluster;
mod connection;
mod event_loop;
mod groups;
mod log;
mod producers;
mod records;
mod requests;
mod sasl;
mod script;
mod state;
mod topology;
mod unpack;

#[doc(inline)]
pub use crate::protocol;
pub use crate::{
    net::servers::HostPort,
    records::Codec,
    wire::{DecodeError, Uuid},
};

pub use self::{
    batches::{Marker, encode_marker, encode_transactional},
    broker::ScriptedBroker,
    cluster::{Cluster, ConnectionId, Output},
    groups::{
        AssignWith, Assigns, CommittedOffset, GroupHandle, GroupSettings, GroupState, GroupView,
        Groups, MemberScript, MemberView, Role, ScriptedMemberId, assignment_bytes,
        subscription_bytes,
    },
    log::{Aborted, Found, Log, Slice},
    records::{Record, encode_batch, seal},
    requests::LoggedRequest,
    script::When,
    state::{Follower, Node, Partition, State, Topic},
};
