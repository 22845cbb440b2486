//! What code that users bring along can do to a consumer: block, panic, call back. It stays usable.

mod deserializers;
mod resolvers;
#[path = "../support/mod.rs"]
mod support;
