//! Real brokers that are reached through real proxies: microsocks and tinyproxy.
use std::sync::OnceLock;

use kafka_blocking::Error;
use kafka_blocking_integration::{Cluster, ForwardProxy, Login, assert_says};

const RECORDS: usize = 10_000;
const LOGIN: (&str, &str) = ("proxy-user", "proxy-secret");

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::release("4.4.0").start())
}

/// A whole topic through a proxy, to each of these listeners, where kafka-python writes it through the same proxy.
fn carry(proxy: &ForwardProxy, url: &str, topic: &str, listeners: &[&str]) {
    let _logs = cluster().logs_on_failure();
    let ca = format!("{}/ca.pem", cluster().pki());
    for listener in listeners {
        let address = cluster().bootstrap_of(listener);
        let mut login =
            Login::new(&address, &[("security_protocol", listener), ("proxy_url", url)]);
        if *listener == "SSL" {
            login = login.set("ssl_cafile", &ca);
        }
        let topic = format!("{topic}-{listener}");
        cluster().java().create_topic(&topic, 3, 1, &[]);
        login.write_with_kafka_python(&topic, RECORDS);
        let before = connections(proxy, &address);
        login.read_in_a_group(&topic, &topic, RECORDS).unwrap();
        let after = connections(proxy, &address);
        assert!(after >= before + 2, "{before} {after}: {}", proxy.log());
    }
}

/// How often the proxy was asked for an address, by its own log.
fn connections(proxy: &ForwardProxy, address: &str) -> usize {
    let port = address.rsplit(':').next().expect("it has a port");
    proxy
        .log()
        .lines()
        .filter(|line| line.to_ascii_lowercase().contains("connect") && line.contains(port))
        .count()
}

#[test]
fn a_topic_goes_through_a_proxy_for_socks_5() {
    let proxy = ForwardProxy::socks5(None);
    carry(&proxy, &proxy.url(""), "socks5", &["PLAINTEXT", "SSL"]);
}

#[test]
fn a_topic_goes_through_a_proxy_for_socks_5_that_wants_a_password_and_looks_up_names() {
    let proxy = ForwardProxy::socks5(Some(LOGIN));
    let url = proxy.url("proxy-user:proxy-secret@").replace("socks5:", "socks5h:");
    carry(&proxy, &url, "socks5h", &["SSL"]);
    is_refused(&proxy);
}

#[test]
fn a_topic_goes_through_a_proxy_for_http() {
    let proxy = ForwardProxy::http(None);
    carry(&proxy, &proxy.url(""), "http", &["PLAINTEXT", "SSL"]);
}

#[test]
fn a_topic_goes_through_a_proxy_for_http_that_wants_a_password() {
    let proxy = ForwardProxy::http(Some(LOGIN));
    carry(&proxy, &proxy.url("proxy-user:proxy-secret@"), "http-password", &["SSL"]);
    is_refused(&proxy);
}

/// With another password it is, and the error names the proxy and no password.
fn is_refused(proxy: &ForwardProxy) {
    for login in ["", "proxy-user:wrong-secret@"] {
        let options = [("proxy_url", &*proxy.url(login)), ("bootstrap_timeout_ms", "1000")];
        let error = Login::new(cluster().bootstrap(), &options).consumer().build().unwrap_err();
        assert!(matches!(error, Error::AuthenticationFailed { .. }), "{error:?}");
        assert_says(&error.to_string(), &[cluster().bootstrap(), "connecting through the proxy"]);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}
