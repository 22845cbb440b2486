//! Logging in at real brokers by every mechanism, and what those may do who are in.
mod acls;
mod aging;
mod carried;
#[path = "../following/mod.rs"]
mod following;
mod options;
mod passwords;
mod refused;

use std::sync::OnceLock;

use kafka_blocking_integration::{Cluster, Login};

const PROTOCOLS: [&str; 2] = ["SASL_PLAINTEXT", "SASL_SSL"];
const PASSWORD: &str = "alice-secret";

/// One node with a Kerberos realm. Everybody may do everything but for `bob`, who has just the rights that tests give him.
/// PLAINONLY has one mechanism; at REAUTH one has to log in again every two seconds, at REAUTH5 every five.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let users = ["ANONYMOUS", "alice", "carol", "dave", "client"].map(|u| format!("User:{u}"));
        Cluster::release("4.4.0")
            .kerberos()
            .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .set("super.users", &users.join(";"))
            .set("connection.failed.authentication.delay.ms", "500")
            .listener("PLAINONLY", "SASL_PLAINTEXT")
            .set("listener.name.plainonly.sasl.enabled.mechanisms", "PLAIN")
            .listener("REAUTH", "SASL_PLAINTEXT")
            .set("listener.name.reauth.connections.max.reauth.ms", "2000")
            .listener("REAUTH5", "SASL_SSL")
            .set("listener.name.reauth5.connections.max.reauth.ms", "5000")
            .start()
    })
}

/// How to get in at the listener of a protocol: as `alice`, or as `client` by Kerberos.
fn login(protocol: &str, mechanism: &str) -> Login {
    let login = at(protocol, protocol).set("sasl_mechanism", mechanism);
    match mechanism {
        "OAUTHBEARER" => login.with_tokens_of("alice"),
        "GSSAPI" => login,
        _ => login.set("sasl_plain_username", "alice").set("sasl_plain_password", PASSWORD),
    }
}

/// How to connect to a listener that has a protocol.
fn at(listener: &str, protocol: &str) -> Login {
    let login = Login::new(
        &cluster().bootstrap_of(listener),
        &[("security_protocol", protocol), ("bootstrap_timeout_ms", "10000")],
    );
    if protocol != "SASL_SSL" {
        return login;
    }
    login.set("ssl_cafile", &format!("{}/ca.pem", cluster().pki()))
}
