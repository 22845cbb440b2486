//! What a network does to a client beyond single connections: outages, names, forgotten flows, odd frames. On a virtual
//! clock.

use std::{net::SocketAddr, time::Duration};

use kafka_blocking::{
    net::servers::HostPort,
    protocol::{
        api_versions::ApiVersionsRequest,
        fetch::{FetchRequest, FetchResponse},
        list_offsets::ListOffsetsRequest,
        metadata::{MetadataRequest, MetadataResponse},
    },
};
use scripted_broker::{Names, Reach, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn connected(sim: &mut Simulation) -> bool {
    sim.machines.metadata.answers() > 0
}

/// `t-0` with one record, which nobody reads yet.
fn one_record(nodes: u8, seed: u64) -> Simulation {
    let mut sim = Simulation::new(nodes, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim);
    sim
}

fn reading(nodes: u8, seed: u64) -> Simulation {
    let mut sim = one_record(nodes, seed);
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim
}

fn append(sim: &mut Simulation) {
    let end = sim.cluster.state.partition_mut("t", 0).log.end();
    sim.cluster.state.append("t", 0, [end.to_string()]);
    sim.cluster.changed();
}

/// Appends a record, which must come soon; all came once and in order, and nobody was told anything.
#[track_caller]
fn next_comes(sim: &mut Simulation, within: Duration) {
    let had = sim.received().len();
    append(sim);
    sim.run_until(within, |sim| sim.received().len() > had);
    assert_in_order(sim);
    assert_eq!(sim.spins(), []);
}

#[track_caller]
fn assert_in_order(sim: &Simulation) {
    let offsets: Vec<i64> = sim.received().iter().map(|r| r.offset).collect();
    assert_eq!(offsets, (0..).take(offsets.len()).collect::<Vec<_>>());
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}

#[test]
fn fault_2_servers_that_are_all_away_for_a_while_are_used_when_they_are_back_and_no_error_is_told()
{
    let mut sim = one_record(3, 1);
    sim.run_until(MINUTE, connected);
    (1..=3).for_each(|node| sim.stop(node));
    sim.assign([("t", 0)]);
    sim.run_for(ms(30_000));
    assert!(sim.received().is_empty() && sim.errors().is_empty(), "{:?}", sim.errors());
    (1..=3).for_each(|node| sim.restart(node));
    // The longest backoff is half a minute.
    sim.run_until(ms(31_000), |sim| sim.received().len() == 1);
    next_comes(&mut sim, ms(1_000));
}

#[test]
fn fault_6_a_connection_that_ends_within_the_length_of_an_answer_is_a_disconnect() {
    for cut in 0..=4 {
        let mut sim = one_record(1, 1);
        sim.cluster.on::<ApiVersionsRequest>().once().cut_at(cut);
        sim.cluster.on::<MetadataRequest>().once().cut_at(cut);
        sim.cluster.on::<ListOffsetsRequest>().once().cut_at(cut);
        sim.cluster.on::<FetchRequest>().once().cut_at(cut);
        sim.assign([("t", 0)]);
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
        assert!(took < ms(2_000), "cut at {cut}: {took:?}");
        next_comes(&mut sim, ms(1_000));
    }
}

#[test]
fn fault_20_a_flow_that_is_forgotten_on_the_way_costs_its_next_request_its_time_and_reading_nothing()
 {
    let mut sim = reading(1, 1);
    sim.run_for(4 * MINUTE);
    // The fetches keep their own connection alive; the other one has been idle.
    sim.cluster.on::<MetadataRequest>().once().silence();
    let answers = sim.machines.metadata.answers();
    sim.machines.metadata.request_update();
    for _ in 0..20 {
        next_comes(&mut sim, ms(600));
        sim.run_for(ms(1_000));
    }
    // request_timeout_ms is half a minute.
    sim.run_until(ms(11_000), |sim| sim.machines.metadata.answers() > answers);
    next_comes(&mut sim, ms(600));
}

#[test]
fn fault_22_clients_of_a_cluster_that_comes_back_come_spread_over_time() {
    let mut returns = Vec::new();
    for seed in 0..200 {
        let mut sim = Simulation::new(1, seed, |o| o);
        sim.run_until(MINUTE, connected);
        sim.stop(1);
        sim.machines.metadata.request_update();
        sim.run_for(MINUTE);
        sim.restart(1);
        let (answers, back) = (sim.machines.metadata.answers(), sim.elapsed());
        sim.run_until(ms(31_000), |sim| sim.machines.metadata.answers() > answers);
        returns.push(u64::try_from((sim.elapsed() - back).as_millis()).unwrap());
    }
    returns.sort_unstable();
    let busiest = returns
        .iter()
        .map(|from| returns.iter().filter(|at| (*from..*from + 1_000).contains(at)).count());
    let busiest = busiest.max().unwrap();
    assert!(busiest < 50, "{busiest} of 200 clients come within one second: {returns:?}");
}

#[test]
fn fault_25_a_name_that_points_elsewhere_is_looked_up_anew_when_its_addresses_are_dead() {
    let mut sim = Simulation::new(1, 1, |o| {
        o.auto_offset_reset("earliest").bootstrap_servers("kafka.example:9092")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.node_mut(1).advertised = HostPort::new("kafka.example", 9092);
    let (old, new): (SocketAddr, SocketAddr) =
        (Simulation::address(1), ([10, 0, 0, 7], 9092).into());
    sim.add_address(1, new);
    sim.set_name("kafka.example", Names::Addresses(vec![old.ip()]));
    sim.assign([("t", 0)]);
    next_comes(&mut sim, MINUTE);
    sim.set_reach(old, Reach::Refuse);
    sim.cluster.close_connections(1);
    sim.run_for(ms(5_000));
    let lookups = sim.lookups().len();
    sim.set_name("kafka.example", Names::Addresses(vec![new.ip()]));
    next_comes(&mut sim, ms(10_000));
    assert!(sim.lookups().len() > lookups);
    assert_eq!(sim.attempts().last().unwrap().address, new);
}

#[test]
fn fault_27_a_name_whose_first_address_is_of_ipv6_and_dead_is_reached_by_ipv4() {
    let dead: SocketAddr = "[2001:db8::1]:9092".parse().unwrap();
    for (reach, least, most) in [(Reach::Refuse, 0, 10), (Reach::Lost, 8_000, 10_010)] {
        let mut sim = Simulation::new(1, 1, |o| o.bootstrap_servers("kafka.example:9092"));
        let up = Simulation::address(1);
        sim.set_reach(dead, reach);
        sim.set_name("kafka.example", Names::Addresses(vec![dead.ip(), up.ip()]));
        let took = sim.run_until(MINUTE, connected);
        assert!((ms(least)..ms(most)).contains(&took), "{reach:?}: {took:?}");
        let tried: Vec<SocketAddr> = sim.attempts().iter().map(|a| a.address).take(2).collect();
        assert_eq!(tried, [dead, up]);
    }
}

/// Node 1 knows nothing of the others any more: it answers as if it led, without records, and with the metadata of old.
fn isolate_node_1(sim: &mut Simulation) {
    let mut last: Option<MetadataResponse> = None;
    sim.cluster.on::<MetadataRequest>().node(1).rewrite(move |response| {
        for topic in &mut response.topics {
            for partition in &mut topic.partitions {
                (partition.leader_id, partition.leader_epoch) = (1, 0);
            }
        }
        *response = last.get_or_insert_with(|| response.clone()).clone();
    });
    sim.cluster.on::<FetchRequest>().node(1).delay(ms(500));
    sim.cluster.on::<FetchRequest>().node(1).respond(|_| FetchResponse::default());
}

#[test]
fn fault_31_a_leader_that_is_cut_off_from_its_cluster_but_not_from_us_is_left_for_its_successor() {
    for seed in 0..10 {
        let mut sim = Simulation::new(3, seed, |o| {
            o.auto_offset_reset("earliest").metadata_max_age_ms(5_000)
        });
        sim.cluster.state.create_topic("t", 1);
        sim.assign([("t", 0)]);
        next_comes(&mut sim, MINUTE);
        isolate_node_1(&mut sim);
        sim.run_for(ms(7_000));
        sim.cluster.state.move_leader("t", 0, Some(2));
        append(&mut sim);
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
        assert!(took < ms(30_000), "seed {seed}: {took:?}");
        // What node 1 goes on saying is older, and leads nobody back.
        for _ in 0..20 {
            next_comes(&mut sim, ms(1_000));
            sim.run_for(ms(3_000));
        }
    }
}
