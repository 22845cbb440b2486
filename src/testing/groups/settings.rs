//! What a coordinator allows, and how long it waits.

use std::{ops::RangeInclusive, time::Duration};

/// The settings of all coordinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// The sessions that are allowed: Kafka's `group.min.session.timeout.ms` and `group.max.session.timeout.ms`. From 1
    /// ms on here, so that tests can be short, where Kafka has 6 s; up to 30 min.
    pub sessions: RangeInclusive<Duration>,
    /// How many members a group may have: `group.max.size`.
    pub max_size: usize,
    /// How long an empty group waits for more members to come: `group.initial.rebalance.delay.ms`. 0 here, where Kafka has
    /// 3 s.
    pub initial_delay: Duration,
    /// How many bytes the text of an offset may have: `offset.metadata.max.bytes`.
    pub max_metadata: usize,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            sessions: Duration::from_millis(1)..=Duration::from_secs(1800),
            max_size: usize::MAX,
            initial_delay: Duration::ZERO,
            max_metadata: 4096,
        }
    }
}
