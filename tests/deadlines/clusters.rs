//! What becomes of a cluster after `build()`: one after the other of the ways to die, and every method is called.

use kafka_blocking::protocol::{
    fetch::FetchRequest, find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
    join_group::JoinGroupRequest, leave_group::LeaveGroupRequest, list_offsets::ListOffsetsRequest,
    metadata::MetadataRequest, offset_commit::OffsetCommitRequest,
    offset_fetch::OffsetFetchRequest,
};
use scripted_broker::ScriptedBroker;
use socket2::{Domain, Socket, Type};
use std::time::Duration;

use crate::{
    dead::{Causes, calls_end_in_time},
    support::{append, broker_with},
};

fn broker() -> ScriptedBroker {
    let broker = broker_with(2, 0);
    append(&broker, 0, 1);
    broker
}

#[test]
fn fault_241_calls_end_in_time_when_all_brokers_are_gone() {
    let broker = broker();
    calls_end_in_time(&broker.address(), || broker.stop(1), Causes(&["refused"]));
}

#[test]
fn fault_241_calls_end_in_time_when_the_broker_is_paused() {
    let broker = broker();
    let causes = Causes(&["was not answered within", "ApiVersions"]);
    calls_end_in_time(&broker.address(), || broker.pause(1), causes);
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_reads_on_and_says_nothing() {
    let broker = broker();
    let causes = Causes(&["was not answered within", "ApiVersions"]);
    calls_end_in_time(&broker.address(), || broker.on_any().silence(), causes);
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_says_garbage() {
    let broker = broker();
    let die = || broker.on_any().bytes([0xa5; 64]);
    calls_end_in_time(&broker.address(), die, Causes(&["a frame of"]));
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_answers_only_api_versions() {
    let broker = broker();
    let die = || {
        broker.on::<MetadataRequest>().silence();
        broker.on::<ListOffsetsRequest>().silence();
        broker.on::<FetchRequest>().silence();
        broker.on::<FindCoordinatorRequest>().silence();
        broker.on::<JoinGroupRequest>().silence();
        broker.on::<HeartbeatRequest>().silence();
        broker.on::<OffsetCommitRequest>().silence();
        broker.on::<OffsetFetchRequest>().silence();
        broker.on::<LeaveGroupRequest>().silence();
    };
    let causes = Causes(&["ListOffsets", "Metadata", "Offset", "FindCoordinator", "Heartbeat"]);
    calls_end_in_time(&broker.address(), die, causes);
}

#[test]
fn fault_241_calls_end_in_time_when_packets_to_the_broker_are_dropped() {
    let broker = broker();
    let mut hole = None;
    let die = || {
        broker.stop(1);
        hole = Some(BlackHole::at(&broker));
    };
    calls_end_in_time(&broker.address(), die, Causes(&["connecting", "nothing came within"]));
    drop(hole);
}

/// A listener with a full queue on the port of a broker that was stopped.
struct BlackHole(#[allow(dead_code, reason = "held open")] Vec<Socket>);

impl BlackHole {
    fn at(broker: &ScriptedBroker) -> Self {
        let address = broker.address_of(1).into();
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let mut sockets = vec![listener];
        while sockets.len() < 8 {
            let filler = socket();
            let full = filler.connect_timeout(&address, Duration::from_millis(100)).is_err();
            sockets.push(filler);
            if full {
                return Self(sockets);
            }
        }
        panic!("a backlog of 0 has taken 8 connections");
    }
}
