//! What many of these tests begin with.

use std::time::Duration;

use kafka_blocking::{ConsumerBuilder, ConsumerRecord, Error, KafkaConsumer};
use scripted_broker::{ScriptedBroker, Simulation};

/// What never takes so long unless something is wrong, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker whose topic `t` has one partition, with these records in one batch.
pub(crate) fn broker(values: &[&str]) -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    if !values.is_empty() {
        broker.append("t", 0, values.iter().copied());
    }
    broker
}

/// The options of a consumer that reads `t` from its beginning.
pub(crate) fn reader(broker: &ScriptedBroker) -> ConsumerBuilder {
    ConsumerBuilder::new()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(PATIENCE)
}

/// The next record, which there must be.
pub(crate) fn next(consumer: &KafkaConsumer) -> ConsumerRecord {
    consumer.next().expect("a record in time").expect("a record and no error")
}

/// The error of `build()`.
pub(crate) fn refused(builder: ConsumerBuilder) -> Error {
    builder.build().expect_err("a consumer that cannot be built")
}

/// One simulated broker, whose topic `t` has one partition, and a consumer that reads it from its beginning.
pub(crate) fn simulation(options: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder) -> Simulation {
    let mut simulation =
        Simulation::new(1, 7, |builder| options(builder.auto_offset_reset("earliest")));
    simulation.cluster.state.create_topic("t", 1);
    simulation.subscribe(&["t"]);
    simulation
}

/// Appends a record to `t-0` in a simulation.
pub(crate) fn append(simulation: &mut Simulation, value: impl Into<Vec<u8>>) {
    let record = scripted_broker::Record::value(value);
    simulation.cluster.state.partition_mut("t", 0).log.append(&[record], 0);
    simulation.cluster.changed();
}

/// Whole and broken milliseconds of a time, for ranges.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
