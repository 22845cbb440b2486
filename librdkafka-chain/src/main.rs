//! One member of one stage: SERVERS GROUP FROM TO ASSIGNOR ROUNDS GLANCE_MS SESSION_MS BATCH LENIENT.
use std::env;

use kafka_blocking_librdkafka_chain::{Settings, run};

fn main() -> kafka_blocking::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    run(&Settings::from_arguments(&arguments))
}
