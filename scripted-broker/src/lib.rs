//! The whole consumer against the in-process broker, on a virtual clock and a network that is made up: [`Simulation`] drives the
//! machines of one consumer, [`GroupSimulation`] several members of a group.
//!
//! Beside them it has everything of [`kafka_blocking::testing`].

mod bad_server;
mod damage;
mod secrets;
mod simulation;

pub use crate::bad_server::BadServer;
pub use crate::damage::damage;
pub use crate::secrets::{assert_tells_no_secret, watch_logs};
pub use crate::simulation::{
    Attempt, Entry, GroupSimulation, Happened, ListenerHabits, MemberId, Names, Reach, Received,
    SimulatedConsumer, Simulation, Taken, nowhere,
};
pub use kafka_blocking::testing::*;
