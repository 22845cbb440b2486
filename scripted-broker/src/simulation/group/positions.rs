//! How a simulated consumer goes to another place, and how long its calls take.

use std::time::{Duration, Instant};

use kafka_blocking::{
    TopicPartition,
    subscriptions::{PartitionState, Place},
};

use super::{consumer::SimulatedConsumer, world::Happened};

/// A call that blocks, as it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    name: &'static str,
    timeout: Duration,
    began: Instant,
    /// How long the listener had taken by then, in all calls.
    told: Duration,
}

impl SimulatedConsumer {
    /// Reads a partition from this offset on.
    ///
    /// # Panics
    /// Where it is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        self.note(Happened::Sought(partition.clone(), offset));
        self.with_driver(|machines, _| {
            let place = Place { offset, epoch: None };
            machines.subscriptions.seek(partition, place).expect("it is assigned");
        });
    }

    /// Where a partition is read, if that is known.
    pub fn position(&mut self, partition: &TopicPartition) -> Option<i64> {
        self.with_driver(|machines, _| {
            let id = machines.subscriptions.id(partition).ok()?;
            machines.subscriptions.state(id).and_then(PartitionState::offset)
        })
    }

    /// A call begins that may take so long.
    pub(super) fn begin(&self, name: &'static str, timeout: Duration) -> Call {
        Call { name, timeout, began: self.now(), told: self.told }
    }

    /// It ends; what the listener took does not count.
    pub(super) fn end(&self, call: Call) {
        let took = (self.now() - call.began).saturating_sub(self.told - call.told);
        let Call { name, timeout, began, .. } = call;
        self.note(Happened::Returned { call: name, timeout, took, began: self.since_start(began) });
    }
}
