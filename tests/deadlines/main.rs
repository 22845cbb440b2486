//! Whether every call ends within its time-out + 250 ms, and says why, whatever the cluster does.

mod build;
mod clusters;
mod dead;
mod extremes;
#[cfg(target_os = "linux")]
mod frozen;
mod members;
mod methods;
mod missing;
#[path = "../support/mod.rs"]
mod support;
