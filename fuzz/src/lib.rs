//! What is fuzzed: functions that take any bytes, and fail by a panic.
//!
//! `run` builds one program for all of them; CONTRIBUTING.md says how to use it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod assignors;
mod connection;
mod fetch_stream;
mod group;
mod hostile;
mod input;
mod messages;
mod reading;
mod records;
mod securing;
mod settings;
mod subscriptions;
mod vectors;

/// Something that takes any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, on the command line and as the name of its corpus.
    pub name: &'static str,
    /// Takes some bytes; it panics where something is wrong.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    // Every response, and every request, in every version.
    Target { name: "responses", run: messages::responses, seeds: vectors::responses },
    Target { name: "requests", run: messages::requests, seeds: vectors::requests },
    // Record batches, and what is inside of compressed ones.
    Target { name: "records", run: records::records, seeds: vectors::records },
    Target { name: "codecs", run: records::codecs, seeds: vectors::packed },
    // A connection that is sent anything at any time, and a Fetch response in any pieces.
    Target { name: "connection", run: connection::connection, seeds: vectors::choices },
    Target { name: "securing", run: securing::securing, seeds: vectors::choices },
    Target { name: "fetch_stream", run: fetch_stream::fetch_stream, seeds: vectors::fetches },
    // What members of a group tell each other, and how assignors take it.
    Target { name: "subscriptions", run: subscriptions::subscriptions, seeds: vectors::told },
    Target { name: "assignors", run: assignors::assignors, seeds: vectors::choices },
    // What users write: servers, options, patterns.
    Target { name: "options", run: settings::options, seeds: settings::option_seeds },
    Target { name: "patterns", run: settings::patterns, seeds: settings::pattern_seeds },
    // All machines of a consumer, with brokers that say anything.
    Target { name: "reading", run: reading::reading, seeds: vectors::choices },
    Target { name: "group", run: group::group, seeds: vectors::few_choices },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
