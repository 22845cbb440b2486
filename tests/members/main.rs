//! What members of a group do, and what becomes of them, whatever the coordinator, the other members and the listener do.
//! Each test has the number of the fault or of the behaviour that it is about.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

mod assignments;
mod cooperative;
mod coordinators;
mod etl;
mod group;
mod heartbeats;
mod joining;
mod leaving;
mod lifetimes;
mod listeners;
mod out;
mod revocation;
mod statics;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod wakeups;
