//! Every option has an effect that can be seen from outside: one test for each, with another value than its default.
#![allow(
    clippy::disallowed_methods,
    reason = "some options are about real time, which the tests of them measure"
)]

mod bounds;
mod connecting;
mod fetching;
mod group;
mod members;
mod names;
mod reading;
mod security;
mod sharing;
#[cfg(target_os = "linux")]
mod sockets;
mod support;
mod times;
mod warnings;
