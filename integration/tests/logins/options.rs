//! The options that name who a broker is in Kerberos, and where tokens come from, with a real KDC and real brokers.
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kafka_blocking::{BoxError, TokenProvider};
use kafka_blocking_integration::{Login, assert_says, unsecured_token};
use serde_json::Value;

use super::{at, cluster, login};

#[test]
fn option_sasl_kerberos_service_name() {
    let login = login("SASL_PLAINTEXT", "GSSAPI");
    assert_is_let_in(&login.clone().set("sasl_kerberos_service_name", "kafka"), "service-name");
    assert_is_unknown(&login.set("sasl_kerberos_service_name", "other"));
}

#[test]
fn option_sasl_kerberos_domain_name() {
    let login = login("SASL_SSL", "GSSAPI");
    // The address is no name of the service.
    let address = cluster().bootstrap_of("SASL_SSL").replace("localhost", "127.0.0.1");
    let by_address = login.clone().at(&address);
    assert_is_let_in(&by_address.set("sasl_kerberos_domain_name", "localhost"), "domain-name");
    assert_is_unknown(&login.set("sasl_kerberos_domain_name", "other.example"));
}

#[test]
fn option_sasl_kerberos_name() {
    let login = login("SASL_PLAINTEXT", "GSSAPI");
    for (topic, name) in
        [("principal", "kafka/localhost@EXAMPLE.TEST"), ("service-at-host", "kafka@localhost")]
    {
        assert_is_let_in(&login.clone().set("sasl_kerberos_name", name), topic);
    }
    for name in ["other/localhost@EXAMPLE.TEST", "kafka@other.example"] {
        assert_is_unknown(&login.clone().set("sasl_kerberos_name", name));
    }
}

#[test]
fn option_sasl_oauth_token_provider() {
    /// Says how often it was asked.
    struct Counting(Arc<AtomicUsize>);
    impl TokenProvider for Counting {
        fn token(&self) -> Result<String, BoxError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(unsecured_token("alice", 600))
        }

        fn extensions(&self) -> Result<BTreeMap<String, String>, BoxError> {
            Ok([("trace".to_owned(), "on".to_owned())].into())
        }
    }
    let _logs = cluster().logs_on_failure();
    let asked = Arc::new(AtomicUsize::new(0));
    write("tokens");
    let consumer = at("SASL_SSL", "SASL_SSL")
        .set("sasl_mechanism", "OAUTHBEARER")
        .consumer()
        .sasl_oauth_token_provider(Counting(Arc::clone(&asked)))
        .topics("tokens")
        .build()
        .unwrap();
    for offset in 0..10 {
        assert_eq!(consumer.next().unwrap().unwrap().offset(), offset);
    }
    // Once for each connection.
    assert!((1..=4).contains(&asked.load(Ordering::SeqCst)), "{asked:?}");
}

#[test]
fn fault_275_without_a_ticket_or_a_key_kerberos_says_that_there_is_none() {
    let login = login("SASL_SSL", "GSSAPI");
    let said = refused(&login, &[]);
    assert_says(&said, &[&cluster().bootstrap_of("SASL_SSL"), "authenticating", "GSSAPI"]);
    assert_says(&said.to_lowercase(), &["no kerberos credentials"]);
}

#[test]
fn fault_275_a_ticket_that_is_no_longer_valid_is_said_to_be_that() {
    let _logs = cluster().logs_on_failure();
    let tickets = cluster().home().join("old-tickets");
    cluster().log_in(&tickets, 1);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    let said = refused(&login("SASL_SSL", "GSSAPI"), &[("KRB5CCNAME", &tickets)]);
    assert_says(&said, &["GSSAPI", "expired"]);
}

fn write(topic: &str) {
    cluster().java().create_topic(topic, 1, 1, &[]);
    Login::new(cluster().bootstrap(), &[]).write_with_kafka_python(topic, 10);
}

/// By its key the realm's client is let in, and reads a new topic.
fn assert_is_let_in(login: &Login, topic: &str) {
    write(topic);
    let said = run(login, topic, &[("KRB5_CLIENT_KTNAME", &cluster().kerberos().keytab)]);
    assert_eq!(said["read"], 10, "{said}");
}

/// The realm does not know the service.
fn assert_is_unknown(login: &Login) {
    let said = refused(login, &[("KRB5_CLIENT_KTNAME", &cluster().kerberos().keytab)]);
    assert_says(&said, &["authenticating", "GSSAPI", "not found in Kerberos database"]);
}

/// Why somebody is not let in by Kerberos.
fn refused(login: &Login, environment: &[(&str, &Path)]) -> String {
    let said = run(login, "none", environment);
    assert_eq!(said["kind"], "AuthenticationFailed", "{said}");
    said["error"].as_str().expect("text").to_owned()
}

/// Kerberos reads the environment, so it has a process of its own.
fn run(login: &Login, topic: &str, environment: &[(&str, &Path)]) -> Value {
    let _logs = cluster().logs_on_failure();
    let program = env!("CARGO_BIN_EXE_group_reader");
    login.read_in_a_process(program, (topic, topic, 10), &cluster().kerberos(), environment)
}
