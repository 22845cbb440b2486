//! A consumer that reads without a group, with brokers that do anything: it ends in bounded time, and does not spin.

use std::time::Duration;

use kafka_blocking::{IsolationLevel, TopicPartition, records::Codec};
use scripted_broker::{Marker, Record, Simulation, encode_transactional};

use crate::{hostile::add_rule, input::Input};

/// First what there is, then what the brokers do, then what else happens.
pub(crate) fn reading(bytes: &[u8]) {
    let mut input = Input(bytes);
    let nodes = 1 + input.byte() % 3;
    let (how, seed) = (input.byte(), u64::from(input.byte()));
    let mut simulation = Simulation::new(nodes, seed, |builder| {
        builder
            .auto_offset_reset(["earliest", "latest", "none"][usize::from(how & 3).min(2)])
            .isolation_level(match how & 4 {
                0 => IsolationLevel::ReadUncommitted,
                _ => IsolationLevel::ReadCommitted,
            })
            .enable_incremental_fetch_sessions(how & 8 == 0)
            .check_crcs(how & 16 == 0)
            .fetch_max_wait_ms(500_u64)
    });
    fill(&mut simulation);
    if how & 32 == 0 {
        simulation.assign([("t", 0), ("t", 1), ("u", 0)]);
    } else {
        simulation.subscribe(&["t", "u"]);
    }
    for _ in 0..1 + input.below(6) {
        add_rule(&mut simulation.cluster, false, &mut input);
    }
    for _ in 0..4 {
        happen(&mut simulation, nodes, &mut input);
        simulation.run_for(Duration::from_secs(3));
    }
    simulation.cluster.clear_rules();
    (1..=nodes).for_each(|node| simulation.restart(node));
    simulation.run_for(Duration::from_secs(20));
    // 32 seconds, of which any can have some requests that fail and are tried again.
    assert!(simulation.turns() < 10_000, "{} turns", simulation.turns());
    assert!(simulation.spins().len() < 20, "{:?}", simulation.spins().last());
}

fn fill(simulation: &mut Simulation) {
    let state = &mut simulation.cluster.state;
    state.create_topic("t", 2);
    state.create_topic("u", 1);
    state.append("t", 0, ["a", "b", "c"]);
    state.append("t", 1, ["d"]);
    let records: Vec<Record> = (0..20).map(|n| Record::value(format!("{n}"))).collect();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        state.append_batch("u", 0, encode_transactional(7, codec, &records));
        let marker = if codec == Codec::Lz4 { Marker::Abort } else { Marker::Commit };
        state.append_marker("u", 0, 7, marker);
    }
}

/// Something that users or clusters do.
fn happen(simulation: &mut Simulation, nodes: u8, input: &mut Input<'_>) {
    let node = 1 + input.byte() % nodes;
    match input.byte() % 6 {
        0 => simulation.stop(node),
        1 => simulation.restart(node),
        2 => simulation.cluster.state.move_leader("t", 0, Some(node.into())),
        3 => {
            let partition = TopicPartition::new("t", 0);
            if simulation.machines.subscriptions.assignment().any(|p| *p == partition) {
                simulation.seek(partition, i64::from(input.byte()));
            }
        }
        4 => add_rule(&mut simulation.cluster, false, input),
        _ => {
            simulation.cluster.state.append("t", 1, ["e", "f"]);
            simulation.cluster.changed();
        }
    }
}
