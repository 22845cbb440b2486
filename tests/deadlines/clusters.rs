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
    dead::{Causes, Check, calls_end_in_time},
    members::members_end_in_time,
    support::{append, broker_with},
};

/// Two tests of each cluster: one without a group, and one of members.
macro_rules! check_all {
    ($($cluster:ident: $calls:ident, $members:ident;)*) => {
        $(
            #[test]
            fn $calls() {
                $cluster(calls_end_in_time);
            }

            #[test]
            fn $members() {
                $cluster(members_end_in_time);
            }
        )*
    };
}

check_all! {
    gone:
        fault_241_calls_end_in_time_when_all_brokers_are_gone,
        fault_241_members_end_in_time_when_all_brokers_are_gone;
    paused:
        fault_241_calls_end_in_time_when_the_broker_is_paused,
        fault_241_members_end_in_time_when_the_broker_is_paused;
    silent:
        fault_241_calls_end_in_time_when_a_broker_reads_on_and_says_nothing,
        fault_241_members_end_in_time_when_a_broker_reads_on_and_says_nothing;
    garbage:
        fault_241_calls_end_in_time_when_a_broker_says_garbage,
        fault_241_members_end_in_time_when_a_broker_says_garbage;
    only_api_versions:
        fault_241_calls_end_in_time_when_a_broker_answers_only_api_versions,
        fault_241_members_end_in_time_when_a_broker_answers_only_api_versions;
    black_hole:
        fault_241_calls_end_in_time_when_packets_to_the_broker_are_dropped,
        fault_241_members_end_in_time_when_packets_to_the_broker_are_dropped;
}

fn broker() -> ScriptedBroker {
    let broker = broker_with(2, 0);
    append(&broker, 0, 1);
    broker
}

fn gone(check: Check) {
    let broker = broker();
    check(&broker.address(), &mut || broker.stop(1), Causes(&["refused"]));
}

fn paused(check: Check) {
    let broker = broker();
    let causes = Causes(&["was not answered within", "ApiVersions"]);
    check(&broker.address(), &mut || broker.pause(1), causes);
}

fn silent(check: Check) {
    let broker = broker();
    let causes = Causes(&["was not answered within", "ApiVersions"]);
    check(&broker.address(), &mut || broker.on_any().silence(), causes);
}

fn garbage(check: Check) {
    let broker = broker();
    let mut die = || broker.on_any().bytes([0xa5; 64]);
    check(&broker.address(), &mut die, Causes(&["a frame of"]));
}

fn only_api_versions(check: Check) {
    let broker = broker();
    let mut die = || {
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
    check(&broker.address(), &mut die, causes);
}

fn black_hole(check: Check) {
    let broker = broker();
    let mut hole = None;
    let mut die = || {
        broker.stop(1);
        hole = Some(BlackHole::at(&broker));
    };
    check(&broker.address(), &mut die, Causes(&["connecting", "nothing came within"]));
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
