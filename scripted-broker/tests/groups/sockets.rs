//! The same on real sockets, and in a simulation.

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        find_coordinator::FindCoordinatorRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol},
    },
};
use scripted_broker::{GroupState, MemberScript, ScriptedBroker, Simulation, subscription_bytes};
use support::Client;

use crate::bed::{GROUP, committed_request, seconds};

fn join_request(id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: subscription_bytes(["t"]),
        }],
        ..JoinGroupRequest::default()
    }
}

#[test]
fn an_answer_that_waits_comes_when_the_others_are_there() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    let other = broker.group(GROUP).add(MemberScript::new(["t"]).joins_after(Duration::MAX));
    broker.wait_for_group(GROUP, |g| g.is_stable_with(1));
    let mut client = Client::to(&broker);
    let id = client.ask(9, &join_request("")).member_id;
    client.send(9, &join_request(&id));
    let waits = |id: &str| broker.group(GROUP).view().member(id).is_some_and(|m| m.is_joining);
    broker.wait_for_group(GROUP, |g| g.members.len() == 2);
    assert!(waits(&id));
    broker.group(GROUP).rejoin(other);
    client.frame().expect("the generation begins");
    let view = broker.wait_for_group(GROUP, |g| g.state == GroupState::Stable);
    assert_eq!((view.generation, view.leader), (2, Some(broker.group(GROUP).member_id(other))));
    let joins = broker.log_of::<JoinGroupRequest>();
    assert_eq!(joins.iter().map(|(_, j)| &j.member_id[..]).collect::<Vec<_>>(), ["", &id]);
}

#[test]
fn a_coordinator_that_stops_is_gone_until_it_is_back_or_another_takes_over() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.group(GROUP).set_committed(("t", 0), 5);
    let find = |client: &mut Client| {
        let coordinator_keys = vec![GROUP.to_owned()];
        let request = FindCoordinatorRequest { coordinator_keys, ..Default::default() };
        let found = client.ask(4, &request).coordinators.remove(0);
        (found.node_id, ErrorCode(found.error_code))
    };
    let mut client = Client::connect(broker.address_of(2));
    assert_eq!(find(&mut client), (1, ErrorCode::NONE));
    broker.stop(1);
    assert_eq!(find(&mut client), (-1, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    broker.restart(1);
    assert_eq!(find(&mut client), (1, ErrorCode::NONE));
    broker.set_coordinator_failover(true);
    broker.stop(1);
    assert_eq!(find(&mut client), (2, ErrorCode::NONE));
    let response = client.ask(8, &committed_request());
    assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 5);
}

#[test]
fn sessions_end_by_the_real_clock() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let script = MemberScript::new(["t"]).session_timeout(Duration::from_millis(30));
    let id = broker.group(GROUP).add(script);
    broker.group(GROUP).change_scripted(id, |script| script.frozen = true);
    broker.wait_for_group(GROUP, |g| g.state == GroupState::Empty);
}

#[test]
fn a_simulation_has_groups_too() {
    let mut simulation = Simulation::new(1, 1, |options| options);
    simulation.cluster.state.create_topic("t", 2);
    let script = MemberScript::new(["t"]).session_timeout(seconds(7));
    let id = simulation.group(GROUP).add(script);
    simulation.run_for(seconds(20));
    assert!(simulation.group(GROUP).view().is_stable_with(1));
    simulation.group(GROUP).change_scripted(id, |script| script.frozen = true);
    simulation.run_for(seconds(7));
    assert_eq!(simulation.group(GROUP).view().state, GroupState::Empty);
}
