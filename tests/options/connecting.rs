//! How the brokers are found, and how long that may take.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerBuilder, DnsLookup, Error, Resolver};
use scripted_broker::BadServer;

use crate::support::{PATIENCE, broker, next, reader, refused};

/// Knows two names, and remembers what it was asked.
#[derive(Clone, Default)]
struct TwoNames(Arc<Mutex<Vec<String>>>);

impl Resolver for TwoNames {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().push(host.to_owned());
        match host {
            "canonical.invalid" => Ok(vec![[127, 0, 0, 1].into()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn canonical_names(&self, host: &str) -> io::Result<Vec<String>> {
        assert_eq!(host, "alias.invalid");
        Ok(vec!["canonical.invalid".to_owned()])
    }
}

#[test]
fn option_bootstrap_servers() {
    let (broker, nobody) = (broker(&["a"]), BadServer::refusing());
    let servers = [nobody.address(), broker.address()];
    let consumer =
        reader(&broker).bootstrap_servers(servers).bootstrap_timeout_ms(PATIENCE).build().unwrap();
    assert_eq!(next(&consumer).value(), Some(&b"a"[..]));
}

#[test]
fn option_resolver() {
    let broker = broker(&["a"]);
    let port = broker.address_of(1).port();
    let resolver = TwoNames::default();
    let consumer = reader(&broker)
        .bootstrap_servers(format!("canonical.invalid:{port}"))
        .resolver(resolver.clone())
        .build()
        .unwrap();
    assert_eq!(next(&consumer).value(), Some(&b"a"[..]));
    assert_eq!(*resolver.0.lock().unwrap(), ["canonical.invalid"]);
}

#[test]
fn option_client_dns_lookup() {
    let broker = broker(&["a"]);
    let port = broker.address_of(1).port();
    let builder = || {
        reader(&broker)
            .bootstrap_servers(format!("alias.invalid:{port}"))
            .resolver(TwoNames::default())
    };
    let consumer = builder()
        .client_dns_lookup(DnsLookup::ResolveCanonicalBootstrapServersOnly)
        .build()
        .unwrap();
    assert_eq!(next(&consumer).value(), Some(&b"a"[..]));
    let error = refused(builder().client_dns_lookup("use_all_dns_ips").bootstrap_timeout_ms(200));
    assert!(error.to_string().contains("alias.invalid"), "{error}");
}

#[test]
fn option_bootstrap_timeout_ms() {
    assert_gives_up_after_250_ms(ConsumerBuilder::new().bootstrap_timeout_ms(250));
}

#[test]
fn option_api_version_auto_timeout_ms() {
    assert_gives_up_after_250_ms(ConsumerBuilder::new().api_version_auto_timeout_ms(250));
}

fn assert_gives_up_after_250_ms(builder: ConsumerBuilder) {
    let server = BadServer::silent();
    let started = Instant::now();
    let error = refused(builder.bootstrap_servers(server.address()));
    let waited = started.elapsed();
    assert!((Duration::from_millis(250)..PATIENCE).contains(&waited), "{waited:?}");
    assert!(matches!(error, Error::NoBrokersAvailable(_)), "{error}");
    assert!(error.to_string().contains(&server.address()), "{error}");
}
