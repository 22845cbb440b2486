//! Real Kafka brokers, Kafka's own Java clients and kafka-python, as guards for tests.
//!
//! Everything here panics with what went wrong instead of returning errors: it is only called by tests.
#![doc = include_str!("../README.md")]
mod canonical;
pub mod certificates;
mod child;
mod cluster;
mod console;
mod forward_proxy;
mod group_log;
pub mod groups;
mod java;
mod login;
mod ours;
pub mod proxy;
mod python;
mod refusals;
mod same;
pub mod tls_front;
mod topics;
mod truncation;

pub use crate::{
    canonical::{Field, PartitionDigest, PartitionDigester, RecordFields, line},
    cluster::{Cluster, ClusterBuilder, Kerberos, LogsOnFailure},
    console::{ConsoleConsumer, Printed, run_console_tool},
    forward_proxy::ForwardProxy,
    group_log::Rebalance,
    java::{
        Acknowledged, GroupMember, GroupState, JavaConsumer, JavaFailure, JavaRecord, JavaTool,
        Lookups, Offsets, PartitionState, Resource, Sessions, Sources, TimeLookup,
    },
    login::{Login, unsecured_token},
    ours::{Way, by_partition, lookups, open},
    python::{dump_with_kafka_python, read_with_kafka_python, run as run_with_kafka_python},
    refusals::{assert_says, refusal},
    same::assert_reads_as_java,
    topics::{create_compacted_topic, transactional_history},
    truncation::Truncation,
};
