//! How the machines come to a connection: which address, after how long, and how often. On a virtual clock.

use std::{net::SocketAddr, time::Duration};

use kafka_blocking::{net::servers::HostPort, protocol::list_offsets::ListOffsetsRequest};
use scripted_broker::{Names, Reach, Simulation, nowhere};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn connected(sim: &mut Simulation) -> bool {
    sim.machines.metadata.answers() > 0
}

/// A consumer that has read the one record there is.
fn reading(nodes: u8, seed: u64) -> Simulation {
    let mut sim = Simulation::new(nodes, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "first");
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| !sim.received().is_empty());
    sim
}

fn append(sim: &mut Simulation, value: &str) {
    sim.cluster.state.partition_mut("t", 0).log.append(&[value.into()], 0);
    sim.cluster.changed();
}

/// The waits between attempts, where each takes `taken` to fail.
fn waits(times: &[Duration], taken: Duration) -> Vec<Duration> {
    times.windows(2).map(|w| w[1] - w[0] - taken).collect()
}

/// Checks that waits are 50 ms, 100 ms, … up to 30 s, each within 20 %.
fn assert_backoff(waits: &[Duration]) {
    for (n, wait) in (0..).zip(waits) {
        let exact = ms(50).saturating_mul(1 << n.min(20)).min(ms(30_000));
        let most = exact.mul_f64(1.2).min(ms(30_000)) + ms(1);
        assert!((exact.mul_f64(0.8)..=most).contains(wait), "wait {n}: {wait:?} for {exact:?}");
    }
}

#[test]
fn fault_1_two_of_three_bootstrap_servers_refuse_and_the_third_is_used_at_once() {
    for seed in 0..20 {
        let mut sim = Simulation::new(3, seed, |o| o);
        sim.set_reach(Simulation::address(1), Reach::Refuse);
        sim.set_reach(Simulation::address(2), Reach::Refuse);
        let took = sim.run_until(MINUTE, connected);
        assert!(took < ms(40), "seed {seed}: {took:?} is more than the first backoff");
        assert!(sim.errors().is_empty());
    }
}

#[test]
fn fault_3_servers_whose_packets_are_lost_hold_up_the_others_for_a_second_each_at_most() {
    for seed in 0..20 {
        let mut sim = Simulation::new(3, seed, |o| o);
        sim.set_reach(Simulation::address(1), Reach::Lost);
        sim.set_reach(Simulation::address(2), Reach::Lost);
        let took = sim.run_until(MINUTE, connected);
        assert!(took < ms(2_200), "seed {seed}: {took:?}");
    }
}

#[test]
fn fault_3_an_attempt_is_given_up_after_the_set_up_time_which_grows_to_its_maximum() {
    let mut sim = Simulation::new(1, 1, |o| o);
    sim.set_reach(Simulation::address(1), Reach::Lost);
    sim.run_for(3 * MINUTE);
    let times: Vec<Duration> = sim.attempts().iter().map(|a| a.at).collect();
    for (n, gap) in waits(&times, ms(0)).iter().enumerate() {
        let setup = ms([10_000, 20_000, 30_000][n.min(2)]);
        let backoff = ms(50) * (1 << n);
        let range =
            setup.mul_f64(0.8) + backoff.mul_f64(0.8)..=setup + backoff.mul_f64(1.2) + ms(1);
        assert!(range.contains(gap), "gap {n}: {gap:?} is not in {range:?}");
    }
    assert!(times.len() >= 5);
    let text = sim.machines.client.describe_failures(sim.now());
    assert!(text.contains("10.0.0.1:9092") && text.contains("connecting"), "{text}");
}

#[test]
fn fault_4_a_server_that_accepts_and_is_silent_is_given_up_after_the_set_up_time() {
    let mut sim = Simulation::new(1, 1, |o| o);
    sim.cluster.set_paused(1, true);
    sim.run_until(MINUTE, |sim| sim.attempts().len() == 2);
    let second = sim.attempts()[1].at;
    assert!((ms(8_000)..ms(10_100)).contains(&second), "{second:?}");
    let text = sim.machines.client.describe_failures(sim.now());
    assert!(text.contains("ApiVersions"), "{text}");
    sim.cluster.set_paused(1, false);
    sim.run_until(MINUTE, connected);
}

#[test]
fn fault_4_a_silent_server_does_not_hold_up_the_others() {
    for seed in 0..20 {
        let mut sim = Simulation::new(3, seed, |o| o);
        sim.cluster.set_paused(1, true);
        sim.cluster.set_paused(2, true);
        let took = sim.run_until(MINUTE, connected);
        assert!(took < ms(2_200), "seed {seed}: {took:?}");
    }
}

#[test]
fn fault_21_attempts_follow_the_backoff() {
    for seed in 0..10 {
        let mut sim = Simulation::new(1, seed, |o| o);
        sim.stop(1);
        sim.run_for(10 * MINUTE);
        let times: Vec<Duration> = sim.attempts().iter().map(|a| a.at).collect();
        assert_backoff(&waits(&times, ms(1)));
        assert!((25..40).contains(&times.len()), "{} attempts", times.len());
    }
}

#[test]
fn fault_21_ten_minutes_without_brokers_cost_little_and_end_with_the_first_that_is_back() {
    let mut sim = reading(3, 1);
    let (turns, attempts) = (sim.turns(), sim.attempts().len());
    for node in 1..=3 {
        sim.stop(node);
    }
    sim.run_for(10 * MINUTE);
    // Three brokers with two connections each, and three bootstrap servers.
    let attempts = sim.attempts().len() - attempts;
    assert!(attempts < 9 * 40, "{attempts} attempts");
    let turns = sim.turns() - turns;
    assert!(turns < 10 * 600, "{turns} turns in 600 s");
    assert_eq!(sim.spins(), []);
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    for node in 1..=3 {
        sim.restart(node);
    }
    append(&mut sim, "second");
    sim.run_until(ms(31_000), |sim| sim.received().len() == 2);
    assert_eq!(sim.values(), ["first", "second"]);
}

#[test]
fn fault_24_of_a_name_with_three_addresses_the_next_is_tried_at_once() {
    let mut sim = Simulation::new(1, 1, |o| o.bootstrap_servers("kafka.example:9092"));
    let [first, last] = [nowhere(1), nowhere(2)];
    let up = Simulation::address(1);
    sim.set_name("kafka.example", Names::Addresses(vec![first, up.ip(), last]));
    let took = sim.run_until(MINUTE, connected);
    assert!(took < ms(10), "{took:?}");
    let tried: Vec<SocketAddr> = sim.attempts()[..2].iter().map(|a| a.address).collect();
    assert_eq!(tried, [SocketAddr::new(first, 9092), up]);
}

#[test]
fn fault_24_an_address_that_hangs_is_left_for_the_next_after_the_set_up_time() {
    let mut sim = Simulation::new(1, 1, |o| o.bootstrap_servers("kafka.example:9092"));
    let dead = SocketAddr::new(nowhere(1), 9092);
    sim.set_reach(dead, Reach::Lost);
    let up = Simulation::address(1);
    sim.set_name("kafka.example", Names::Addresses(vec![dead.ip(), up.ip()]));
    let took = sim.run_until(MINUTE, connected);
    assert!((ms(8_000)..ms(10_010)).contains(&took), "{took:?}");
}

#[test]
fn fault_26_a_name_that_is_not_resolved_is_looked_up_again_with_backoff() {
    let mut sim = Simulation::new(1, 1, |o| o.bootstrap_servers("kafka.example:9092"));
    sim.set_name("kafka.example", Names::Fails("temporary failure in name resolution"));
    sim.run_for(2 * MINUTE);
    let times: Vec<Duration> = sim.lookups().iter().map(|(at, _)| *at).collect();
    assert_backoff(&waits(&times, ms(1)));
    assert!(times.len() > 10);
    let text = sim.machines.client.describe_failures(sim.now());
    assert!(text.contains("kafka.example") && text.contains("temporary failure"), "{text}");
    sim.set_name("kafka.example", Names::Addresses(vec![Simulation::address(1).ip()]));
    sim.run_until(ms(31_000), connected);
}

#[test]
fn fault_26_a_look_up_that_is_never_answered_does_not_hold_up_others() {
    let names = "never.example:9092,kafka.example:9092";
    for seed in 0..10 {
        let mut sim = Simulation::new(1, seed, |o| o.bootstrap_servers(names));
        sim.set_name("never.example", Names::Never);
        sim.set_name("kafka.example", Names::Addresses(vec![Simulation::address(1).ip()]));
        let took = sim.run_until(MINUTE, connected);
        assert!(took < ms(1_100), "seed {seed}: {took:?}");
    }
}

#[test]
fn fault_26_a_brokers_name_that_is_lost_in_mid_run_resets_no_offset() {
    let mut sim = reading(1, 1);
    let asked = sim.cluster.requests_of::<ListOffsetsRequest>().len();
    sim.cluster.state.node_mut(1).advertised = HostPort::new("broker.example", 9092);
    sim.machines.metadata.request_update();
    sim.run_for(MINUTE);
    assert!(sim.lookups().len() > 5);
    append(&mut sim, "second");
    sim.set_name("broker.example", Names::Addresses(vec![Simulation::address(1).ip()]));
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert_eq!(sim.values(), ["first", "second"]);
    assert_eq!(sim.cluster.requests_of::<ListOffsetsRequest>().len(), asked);
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}
