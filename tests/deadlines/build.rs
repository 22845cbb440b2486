//! `build()`, on what a bootstrap server may be instead of a broker: it fails in time, and names each address with its cause.

use std::{io, net::IpAddr, time::Duration};

use kafka_blocking::{Error, Resolver, protocol::metadata::MetadataRequest};
use scripted_broker::BadServer;

use crate::support::{broker_with, builder, ends_within, take};

const BOOTSTRAP: Duration = Duration::from_millis(300);

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
