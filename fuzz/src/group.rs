//! Members of a group, with brokers that do anything: they end in bounded time, and what they are given was theirs.

use std::time::Duration;

use scripted_broker::{GroupSimulation, ListenerHabits};

use crate::{hostile::add_rule, input::Input};

/// First the members, then what the brokers do.
pub(crate) fn group(bytes: &[u8]) {
    let mut input = Input(bytes);
    let seed = u64::from(input.byte());
    let mut simulation = GroupSimulation::new(2, "g", seed, false);
    simulation.with_cluster(|cluster, _| {
        cluster.state.create_topic("t", 3);
        cluster.state.append("t", 0, ["a", "b", "c"]);
        cluster.state.append("t", 1, ["d"]);
        for _ in 0..1 + input.below(6) {
            add_rule(cluster, true, &mut input);
        }
    });
    for _ in 0..1 + input.below(2) {
        start(&mut simulation, &mut input);
    }
    let mut steps = 0;
    for seconds in [6, 12, 18, 25] {
        if seconds == 18 {
            simulation.with_cluster(|cluster, _| {
                cluster.clear_rules();
                cluster.state.append("t", 2, ["e"]);
                cluster.changed();
            });
        } else if input.bool() {
            simulation.with_cluster(|cluster, _| add_rule(cluster, true, &mut input));
        }
        while !simulation.step(Duration::from_secs(seconds)) {
            steps += 1;
            assert!(steps < 10_000, "it goes on and on at {:?}", simulation.elapsed());
        }
    }
}

fn start(simulation: &mut GroupSimulation, input: &mut Input<'_>) {
    let how = input.byte();
    let assignors = ["range", "sticky", "cooperative-sticky", "range,cooperative-sticky"];
    let listener = ListenerHabits {
        commits: (how & 4 == 4).then_some(Duration::from_millis(200)),
        takes_ms: 0..1,
    };
    simulation.start(
        |builder| {
            builder
                .partition_assignment_strategy(assignors[usize::from(how & 3)])
                .enable_auto_commit(how & 8 == 8)
                .auto_commit_interval_ms(500_u64)
                .auto_offset_reset("earliest")
                .session_timeout_ms(6_000_u64)
                .heartbeat_interval_ms(1_000_u64)
        },
        listener,
        move |mut consumer| async move {
            if !consumer.connect().await {
                return;
            }
            consumer.subscribe(&["t"]);
            for round in 0..30_u32 {
                consumer.came_back();
                match consumer.poll_max(Duration::from_millis(500), 2).await {
                    Ok(taken) => {
                        for (partition, offset) in taken {
                            consumer.finished(&partition, offset);
                        }
                    }
                    Err(error) => consumer.failed("poll", error),
                }
                if how & 16 == 16
                    && round % 4 == 3
                    && let Err(error) = consumer.commit(Duration::from_secs(1)).await
                {
                    consumer.failed("commit", error);
                }
                consumer.work(Duration::from_millis(u64::from(how >> 5) * 100 + 1)).await;
            }
            consumer.close().await;
        },
    );
}
