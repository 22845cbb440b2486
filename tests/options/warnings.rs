//! What options warn of: what works, and may not be what was meant.

use std::{
    sync::{Mutex, Once},
    thread::{self, ThreadId},
};

use kafka_blocking::ConsumerBuilder;
use scripted_broker::assert_tells_no_secret;

/// Keeps what is warned of, with the thread that did.
struct Warnings(Mutex<Vec<(ThreadId, String)>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        assert_tells_no_secret(record);
        if record.target().starts_with("kafka_blocking::") && record.level() == log::Level::Warn {
            let mut lines = self.0.lock().unwrap();
            lines.push((thread::current().id(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Listens to all that is logged, from now on.
pub(crate) fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&WARNINGS).expect("no other logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// What this thread is warned of as the options are looked at.
pub(crate) fn warnings(builder: ConsumerBuilder) -> Vec<String> {
    listen();
    let here = thread::current().id();
    WARNINGS.0.lock().unwrap().retain(|(thread, _)| *thread != here);
    builder.resolve().expect("options that are allowed");
    let lines = WARNINGS.0.lock().unwrap();
    lines.iter().filter(|(thread, _)| *thread == here).map(|(_, line)| line.clone()).collect()
}

#[test]
fn auto_commit_without_a_group_is_warned_of_where_it_was_asked_for() {
    let alone = ConsumerBuilder::new;
    assert!(warnings(alone()).is_empty(), "nobody asked for it");
    assert!(warnings(alone().enable_auto_commit(false)).is_empty());
    let warned = warnings(alone().enable_auto_commit(true));
    assert_eq!(warned, ["enable_auto_commit has no effect without a group_id"]);
    assert!(warnings(alone().group_id("g").enable_auto_commit(true)).is_empty());
}

#[test]
fn a_heartbeat_of_more_than_a_third_of_the_session_is_warned_of() {
    let member = || ConsumerBuilder::new().group_id("g").session_timeout_ms(9_000);
    assert!(warnings(member().heartbeat_interval_ms(3_000)).is_empty());
    let warned = warnings(member().heartbeat_interval_ms(3_001));
    assert_eq!(warned.len(), 1);
    for word in ["heartbeat_interval_ms = 3001", "session_timeout_ms = 9000"] {
        assert!(warned[0].contains(word), "{word} is missing in: {}", warned[0]);
    }
    // Without a group there are no heartbeats.
    let alone = ConsumerBuilder::new().session_timeout_ms(9_000).heartbeat_interval_ms(8_000);
    assert!(warnings(alone).is_empty());
}
