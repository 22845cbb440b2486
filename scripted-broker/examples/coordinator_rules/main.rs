//! Says what a coordinator answers in many situations, so that a real one and the scripted one can be compared.
//!
//! `cargo run -p kafka-blocking-scripted-broker --example coordinator_rules -- ADDRESS` asks the broker there, which
//! must have a topic `t` of two partitions, `group.initial.rebalance.delay.ms=0`, `group.max.size=3` and sessions from
//! 500 ms on. Without an address it asks a scripted broker. The two outputs are to be the same.

mod member;
mod situations;

use std::time::Duration;

use member::Place;
use scripted_broker::ScriptedBroker;

fn main() {
    let scripted = ScriptedBroker::start();
    scripted.create_topic("t", 2);
    scripted.set_groups(|groups| {
        groups.sessions = Duration::from_millis(500)..=Duration::from_secs(1800);
        groups.max_size = 3;
    });
    let address = std::env::args().nth(1).unwrap_or_else(|| scripted.address());
    // So that each run on a real broker has groups of its own.
    let run = std::env::args().nth(2).unwrap_or_default();
    for (name, situation) in situations::ALL {
        println!("{name}");
        let group = format!("{}{run}", name.replace(' ', "-"));
        situation(&Place { address: address.clone(), group });
    }
}
