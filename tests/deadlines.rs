//! Whether every call ends within its time-out + 250 ms, and says why, whatever the cluster does.

mod support;

use std::{io, net::IpAddr, time::Duration};

use kafka_blocking::{
    Error, KafkaConsumer, Resolver,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{BadServer, ScriptedBroker};
use socket2::{Domain, Socket, Type};
use support::{append, broker_with, builder, ends_within, fetches, offsets, take, wait_until};

const BOOTSTRAP: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(200);
const API: Duration = Duration::from_millis(500);
const REQUEST: Duration = Duration::from_millis(200);

// Clusters that are bad from the start

/// Builds, which must fail in time; gives what the error says.
fn build_fails(address: &str, builder: impl Fn() -> kafka_blocking::ConsumerBuilder) -> String {
    let build = || builder().bootstrap_timeout_ms(BOOTSTRAP).topics("t").build();
    match ends_within(BOOTSTRAP, "build()", build) {
        Err(Error::NoBrokersAvailable(text)) => {
            assert!(text.contains(address), "the address {address} is missing in: {text}");
            text.into()
        }
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("a consumer without a broker"),
    }
}

#[track_caller]
fn assert_says(text: &str, cause: &str) {
    assert!(text.contains(cause), "the cause {cause:?} is missing in: {text}");
}

#[test]
fn fault_241_build_names_a_port_that_refuses() {
    let server = BadServer::refusing();
    let text = build_fails(&server.address(), || builder(server.address()));
    assert_says(&text, "refused");
}

#[test]
fn fault_241_build_names_a_port_that_accepts_and_says_nothing() {
    let server = BadServer::silent();
    let text = build_fails(&server.address(), || builder(server.address()));
    assert_says(&text, "waiting for the answer to ApiVersions");
}

#[test]
fn fault_241_build_names_an_http_server() {
    let server = BadServer::http();
    let text = build_fails(&server.address(), || builder(server.address()));
    assert_says(&text, "HTTP");
}

#[test]
fn fault_241_build_names_a_server_that_says_garbage() {
    let server = BadServer::garbage(7);
    let text = build_fails(&server.address(), || builder(server.address()));
    assert_says(&text, "a frame of");
}

#[test]
fn fault_241_build_names_a_listener_whose_backlog_is_full() {
    let server = BadServer::with_full_backlog();
    let text = build_fails(&server.address(), || builder(server.address()));
    assert_says(&text, "connecting");
}

#[test]
fn fault_241_build_names_a_broker_that_answers_only_api_versions() {
    let broker = broker_with(1, 0);
    broker.on::<MetadataRequest>().silence();
    let text = build_fails(&broker.address(), || builder(broker.address()));
    assert_says(&text, "Metadata");
}

/// Knows no name.
struct Ignorant;

impl Resolver for Ignorant {
    fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("no such host is known"))
    }
}

/// Never answers.
struct Mute;

impl Resolver for Mute {
    fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn fault_241_build_names_a_wrong_name_with_what_the_resolver_said() {
    let text = build_fails("broker.example:9092", || builder("broker.example").resolver(Ignorant));
    assert_says(&text, "no such host is known");
}

#[test]
fn fault_241_build_names_a_wrong_name_with_the_systems_resolver() {
    let text = build_fails("broker.invalid:9092", || builder("broker.invalid"));
    assert_says(&text, "looking up the name");
}

#[test]
fn fault_241_build_does_not_wait_for_a_resolver_that_never_answers() {
    let text = build_fails("broker.example:9092", || builder("broker.example").resolver(Mute));
    assert_says(&text, "looking up the name");
}

#[test]
fn fault_241_build_names_every_address_with_its_own_cause() {
    let (refusing, http) = (BadServer::refusing(), BadServer::http());
    let both = format!("{},{}", refusing.address(), http.address());
    let text = build_fails(&refusing.address(), || builder(&both));
    for (address, cause) in [(refusing.address(), "refused"), (http.address(), "HTTP")] {
        let part = text.split("; ").find(|part| part.contains(&address));
        assert_says(part.unwrap_or_else(|| panic!("{address} is missing in: {text}")), cause);
    }
}

#[test]
fn a_bad_server_in_the_list_does_not_keep_the_others_from_answering() {
    let broker = broker_with(1, 1);
    for bad in [
        BadServer::refusing(),
        BadServer::silent(),
        BadServer::http(),
        BadServer::with_full_backlog(),
    ] {
        let servers = format!("{},{}", bad.address(), broker.address());
        assert_eq!(take(&builder(servers).topics("t").build().unwrap(), 1)[0].offset(), 0);
    }
}

// Clusters that go bad later

/// A consumer that has read partition 0 of `t`, whose partition 1 it has not been given yet.
fn consumer_of(broker: &ScriptedBroker) -> KafkaConsumer {
    let consumer = builder(broker.address())
        .consumer_timeout_ms(POLL)
        .request_timeout_ms(REQUEST)
        .default_api_timeout_ms(API)
        .socket_connection_setup_timeout_ms(REQUEST)
        .build()
        .unwrap();
    consumer.assign([("t", 0)]).unwrap();
    append(broker, 0, 1);
    assert_eq!(consumer.poll(support::LONG).unwrap().count(), 1);
    consumer
}

/// What holds on every cluster that has died. `causes`: one of them is named.
fn calls_end_in_time(consumer: &KafkaConsumer, broker: &ScriptedBroker, causes: &[&str]) {
    // Partition 1 was never looked at, so its position has to be asked for.
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    for _ in 0..2 {
        let polled = ends_within(POLL, "poll()", || consumer.poll(POLL));
        assert!(polled.expect("empty, not an error").is_empty());
        let next = ends_within(POLL, "next()", || consumer.next());
        assert!(next.is_none(), "{next:?}");
        let error = ends_within(API, "position()", || consumer.position(("t", 1))).unwrap_err();
        assert!(matches!(error, Error::Timeout { operation: "position", .. }), "{error:?}");
        let text = error.to_string();
        assert_says(&text, "t-1");
        assert_says(&text, &broker.address());
        assert!(causes.iter().any(|cause| text.contains(cause)), "none of {causes:?} in: {text}");
    }
    let known = ends_within(Duration::ZERO, "position()", || consumer.position(("t", 0)));
    assert_eq!(known.unwrap(), 1);
    ends_within(Duration::ZERO, "close()", || consumer.close()).unwrap();
}

#[test]
fn fault_241_calls_end_in_time_when_all_brokers_are_gone() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.stop(1);
    calls_end_in_time(&consumer, &broker, &["refused"]);
}

#[test]
fn fault_241_calls_end_in_time_when_the_broker_is_paused() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.pause(1);
    calls_end_in_time(&consumer, &broker, &["was not answered within", "ApiVersions"]);
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_reads_on_and_says_nothing() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.on_any().silence();
    calls_end_in_time(&consumer, &broker, &["was not answered within", "ApiVersions"]);
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_says_garbage() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.on_any().bytes([0xa5; 64]);
    calls_end_in_time(&consumer, &broker, &["a frame of"]);
}

#[test]
fn fault_241_calls_end_in_time_when_a_broker_answers_only_api_versions() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.on::<MetadataRequest>().silence();
    broker.on::<ListOffsetsRequest>().silence();
    broker.on::<FetchRequest>().silence();
    calls_end_in_time(&consumer, &broker, &["ListOffsets", "Metadata"]);
}

#[test]
fn fault_241_calls_end_in_time_when_packets_to_the_broker_are_dropped() {
    let broker = broker_with(2, 0);
    let consumer = consumer_of(&broker);
    broker.stop(1);
    let _hole = BlackHole::at(&broker);
    calls_end_in_time(&consumer, &broker, &["connecting", "nothing came within"]);
}

/// A listener with a full queue on the port of a broker that was stopped.
struct BlackHole(#[allow(dead_code, reason = "held open")] Vec<Socket>);

impl BlackHole {
    fn at(broker: &ScriptedBroker) -> Self {
        let address = broker.address_of(1).into();
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let mut sockets = vec![listener];
        while sockets.len() < 8 {
            let filler = socket();
            let full = filler.connect_timeout(&address, Duration::from_millis(100)).is_err();
            sockets.push(filler);
            if full {
                return Self(sockets);
            }
        }
        panic!("a backlog of 0 has taken 8 connections");
    }
}

// Extreme times

#[test]
fn fault_242_a_poll_of_no_time_and_of_one_millisecond_gets_on() {
    let broker = broker_with(1, 4);
    let consumer = builder(broker.address()).topics("t").max_poll_records(2).build().unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let mut seen = Vec::new();
        wait_until("all records", || {
            let polled = consumer.poll(timeout).unwrap();
            seen.extend(offsets(polled.records(&("t", 0).into())));
            seen.len() == 4
        });
        assert_eq!(seen, [0, 1, 2, 3]);
        consumer.seek(("t", 0), 0).unwrap();
    }
    consumer.seek(("t", 0), 4).unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let polled = ends_within(timeout, "poll()", || consumer.poll(timeout));
        assert!(polled.unwrap().is_empty());
    }
}

#[test]
fn fault_242_the_longest_times_mean_no_limit_and_do_not_overflow() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address())
        .topics("t")
        .consumer_timeout_ms(u64::MAX)
        .default_api_timeout_ms(u128::MAX)
        .bootstrap_timeout_ms(Duration::MAX)
        .metadata_max_age_ms(u64::MAX)
        .build()
        .unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 0);
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    let (handle, before) = (consumer.handle(), fetches(&broker));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Fetches that come back empty are followed by others only while somebody waits.
            wait_until("the consumer waits", || fetches(&broker) > before + 2);
            handle.wakeup();
        });
        assert!(matches!(consumer.poll(Duration::MAX), Err(Error::Wakeup)));
    });
}
