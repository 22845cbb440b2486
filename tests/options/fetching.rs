//! What a broker is asked for: the fields of the requests that it receives.

use kafka_blocking::{
    ConsumerBuilder, IsolationLevel,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::ScriptedBroker;

use crate::support::{broker, next, reader};

/// The broker of a consumer with these options that has read two records, one after the other.
fn broker_of(options: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder) -> ScriptedBroker {
    let broker = broker(&["a"]);
    let consumer = options(reader(&broker)).build().unwrap();
    next(&consumer);
    broker.append("t", 0, ["b"]);
    next(&consumer);
    broker
}

/// What that broker was asked with Fetch.
fn fetches(options: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder) -> Vec<FetchRequest> {
    let fetches = broker_of(options).requests_of::<FetchRequest>();
    assert!(fetches.len() > 1, "{fetches:?}");
    fetches
}

#[test]
fn option_client_id() {
    let broker = broker_of(|o| o.client_id("my-program"));
    let requests = broker.requests();
    assert!(requests.iter().any(scripted_broker::LoggedRequest::is::<FetchRequest>));
    for request in requests {
        assert_eq!(request.header.client_id.as_deref(), Some("my-program"), "{request:?}");
    }
}

#[test]
fn option_fetch_min_bytes() {
    let fetches = fetches(|o| o.fetch_min_bytes(7));
    assert!(fetches.iter().all(|f| f.min_bytes == 7), "{fetches:?}");
}

#[test]
fn option_fetch_max_wait_ms() {
    let fetches = fetches(|o| o.fetch_max_wait_ms(123));
    assert!(fetches.iter().all(|f| f.max_wait_ms == 123), "{fetches:?}");
}

#[test]
fn option_fetch_max_bytes() {
    let fetches = fetches(|o| o.fetch_max_bytes(54_321));
    assert!(fetches.iter().all(|f| f.max_bytes == 54_321), "{fetches:?}");
}

#[test]
fn option_max_partition_fetch_bytes() {
    let fetches = fetches(|o| o.max_partition_fetch_bytes(4_321));
    let partitions: Vec<_> =
        fetches.iter().flat_map(|f| &f.topics).flat_map(|t| &t.partitions).collect();
    assert!(!partitions.is_empty());
    assert!(partitions.iter().all(|p| p.partition_max_bytes == 4_321), "{partitions:?}");
}

#[test]
fn option_isolation_level() {
    let asked = |level: IsolationLevel| {
        let broker = broker_of(|o| o.isolation_level(level));
        let fetches = broker.requests_of::<FetchRequest>();
        let searches = broker.requests_of::<ListOffsetsRequest>();
        assert!(fetches.len() > 1 && !searches.is_empty(), "{fetches:?} {searches:?}");
        let searches = searches.iter().map(|search| search.isolation_level);
        fetches.iter().map(|fetch| fetch.isolation_level).chain(searches).collect::<Vec<_>>()
    };
    let committed = asked(IsolationLevel::ReadCommitted);
    assert!(committed.iter().all(|level| *level == 1), "{committed:?}");
    let uncommitted = asked(IsolationLevel::ReadUncommitted);
    assert!(uncommitted.iter().all(|level| *level == 0), "{uncommitted:?}");
}

#[test]
fn option_client_rack() {
    let with = fetches(|o| o.client_rack("zone b"));
    assert!(with.iter().all(|f| f.rack_id == "zone b"), "{with:?}");
    let without = fetches(|o| o);
    assert!(without.iter().all(|f| f.rack_id.is_empty()), "{without:?}");
}

#[test]
fn option_enable_incremental_fetch_sessions() {
    let with = fetches(|o| o.enable_incremental_fetch_sessions(true));
    assert!(with.iter().any(|f| f.session_id > 0 && f.session_epoch > 0), "{with:?}");
    let without = fetches(|o| o.enable_incremental_fetch_sessions(false));
    for fetch in without {
        assert_eq!((fetch.session_id, fetch.session_epoch), (0, -1), "{fetch:?}");
        assert_eq!(fetch.topics.len(), 1, "without a session all is named: {fetch:?}");
    }
}

#[test]
fn option_allow_auto_create_topics() {
    let asked = |allow: bool| {
        let broker = broker_of(|o| o.allow_auto_create_topics(allow));
        let asked = broker.requests_of::<MetadataRequest>();
        asked.iter().map(|m| m.allow_auto_topic_creation).collect::<Vec<_>>()
    };
    let refused = asked(false);
    assert!(!refused.is_empty() && refused.iter().all(|allowed| !allowed), "{refused:?}");
    assert!(asked(true).iter().all(|allowed| *allowed));
}
