//! Brokers that say whatever a test wants, at any time.
//!
//! [`ScriptedBroker`] answers sensibly unless it is told otherwise, so that a test says only what is unusual:
//!
//! ```
//! use kafka_blocking::{ErrorCode, protocol::fetch::FetchRequest};
//! use kafka_blocking::testing::ScriptedBroker;
//!
//! let broker = ScriptedBroker::start();
//! broker.create_topic("t", 1);
//! broker.append("t", 0, ["hello"]);
//! broker.on::<FetchRequest>().once().fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
//! let address = broker.address();
//! assert!(address.starts_with("127.0.0.1:"));
//! ```
//!
//! What is in the logs decides what is told about it: of transactions ([`Marker`]), the last stable offset and what was
//! aborted; of elections ([`State::elect_unclean`]), where epochs ended and where logs part; of replicas
//! ([`Follower`], [`State::rack_aware`]), who is near and how much it has.
//!
//! Producers of all kinds may write to it, with transactions or without, and tools make and delete topics, delete records,
//! and look at groups.
//!
//! Groups are coordinated as Kafka does it ([`Groups`]), by a node that tests can change. A [`GroupHandle`] shows a group
//! as it is, sets offsets, takes members out, lets the group rebalance or move, and lets members join that live inside the
//! broker ([`MemberScript`]):
//!
//! ```
//! use kafka_blocking::testing::{MemberScript, ScriptedBroker};
//!
//! let broker = ScriptedBroker::cluster(2);
//! broker.create_topic("t", 4);
//! let group = broker.group("g");
//! let member = group.add(MemberScript::new(["t"]));
//! assert!(group.view().is_stable_with(1));
//! group.set_committed(("t", 0), 5);
//! group.set_coordinator(2);
//! assert_eq!(group.view().committed(("t", 0)), Some(5));
//! group.leave(member);
//! ```
//!
//! The same brokers without sockets are a [`Cluster`].

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
