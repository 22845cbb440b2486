//! Real brokers' listeners with TLS: whole topics through each of them, and what is said of those that cannot be spoken with.
use std::{fs, path::PathBuf, sync::OnceLock};

use kafka_blocking::{Error, KafkaConsumer, Result};
use kafka_blocking_integration::{
    Cluster, Login, assert_says,
    certificates::{Authority, KeyForm, Subject},
    refusal,
};

const RECORDS: usize = 10_000;

fn cluster() -> &'static Cluster {
    &bed().0
}

/// One node, and who vouches for its listener OTHER, which shows a certificate for another name. SSL speaks TLS 1.2 only,
/// SSL13 TLS 1.3 only; MTLS and MTLS12 want certificates of clients.
fn bed() -> &'static (Cluster, Authority) {
    static CLUSTER: OnceLock<(Cluster, Authority)> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let authority = Authority::new("Other");
        let other = authority.issue(&Subject::new("other.example").dns("other.example"));
        let keystore = keep("other.pem", &(other.key(KeyForm::Pkcs8) + &other.pem()));
        let cluster = Cluster::release("4.4.0")
            .set("listener.name.ssl.ssl.enabled.protocols", "TLSv1.2")
            .set("listener.name.ssl13.ssl.enabled.protocols", "TLSv1.3")
            .set("listener.name.mtls12.ssl.enabled.protocols", "TLSv1.2")
            .set("listener.name.mtls12.ssl.client.auth", "required")
            .set("listener.name.other.ssl.keystore.location", &keystore)
            .listener("SSL13", "SSL")
            .listener("MTLS12", "SSL")
            .listener("OTHER", "SSL")
            .start();
        (cluster, authority)
    })
}

/// How to get in at a listener, with a certificate of our own where it wants one.
fn login(listener: &str) -> Login {
    let (servers, pki) = (cluster().bootstrap_of(listener), cluster().pki());
    let login = Login::new(&servers, &[("security_protocol", "SSL")])
        .set("ssl_cafile", &format!("{pki}/ca.pem"));
    if !listener.starts_with("MTLS") {
        return login;
    }
    login
        .set("ssl_certfile", &format!("{pki}/client.pem"))
        .set("ssl_keyfile", &format!("{pki}/client.key"))
}

/// Tries to build a consumer at a listener.
fn build(listener: &str, options: &[(&str, &str)]) -> Result<KafkaConsumer> {
    let login = Login::new(&cluster().bootstrap_of(listener), &[("bootstrap_timeout_ms", "10000")]);
    options.iter().fold(login, |login, (name, value)| login.set(name, value)).consumer().build()
}

fn refused(listener: &str, options: &[(&str, &str)]) -> String {
    let _logs = cluster().logs_on_failure();
    let options = [&[("security_protocol", "SSL")][..], options].concat();
    refusal(&cluster().bootstrap_of(listener), "TLS handshake", || build(listener, &options))
}

/// kafka-python writes a topic through a listener, and a group reads it there.
fn carry(listener: &str, topic: &str) {
    let _logs = cluster().logs_on_failure();
    cluster().java().create_topic(topic, 3, 1, &[]);
    let login = login(listener);
    login.write_with_kafka_python(topic, RECORDS);
    login.read_in_a_group(topic, topic, RECORDS).unwrap();
    let committed = cluster().java().committed(topic);
    assert_eq!(committed.values().sum::<i64>(), 10_000);
}

#[test]
fn fault_256_a_topic_goes_through_a_listener_with_tls_1_2_only() {
    carry("SSL", "tls12");
}

#[test]
fn fault_256_a_topic_goes_through_a_listener_with_tls_1_3_only() {
    carry("SSL13", "tls13");
}

#[test]
fn fault_254_a_topic_goes_through_listeners_that_want_a_certificate() {
    carry("MTLS", "mtls");
    carry("MTLS12", "mtls12");
}

#[test]
fn fault_254_a_broker_that_wants_a_certificate_says_so_to_a_client_without_one() {
    let ca = format!("{}/ca.pem", cluster().pki());
    for listener in ["MTLS", "MTLS12"] {
        let said = refused(listener, &[("ssl_cafile", &ca)]);
        assert_says(&said, &["ssl_certfile"]);
    }
}

#[test]
fn fault_254_a_broker_refuses_a_clients_certificate_of_an_authority_that_it_does_not_know() {
    let ca = format!("{}/ca.pem", cluster().pki());
    let stranger = Authority::new("Stranger").issue(&Subject::new("client1"));
    let text = stranger.pem() + &stranger.key(KeyForm::Pkcs8);
    for listener in ["MTLS", "MTLS12"] {
        let said = refused(listener, &[("ssl_cafile", &ca), ("ssl_certfile", &text)]);
        assert_says(&said, &["ssl_certfile"]);
    }
}

#[test]
fn fault_248_a_broker_with_a_certificate_for_another_name_is_refused() {
    let (_, authority) = bed();
    let said = refused("OTHER", &[("ssl_cafile", &authority.pem())]);
    assert_says(&said, &["ostname mismatch", "localhost", "other.example", "Other"]);
    let options = [
        ("security_protocol", "SSL"),
        ("ssl_cafile", &authority.pem()),
        ("ssl_check_hostname", "false"),
    ];
    build("OTHER", &options).unwrap();
}

#[test]
fn fault_252_a_broker_whose_authority_nobody_named_is_refused() {
    for listener in ["SSL", "SSL13"] {
        let said = refused(listener, &[]);
        assert_says(&said, &["unable to get local issuer certificate", "TestRoot"]);
    }
}

#[test]
fn fault_256_a_broker_without_a_cipher_in_common_refuses() {
    let ca = format!("{}/ca.pem", cluster().pki());
    let options = [("ssl_cafile", ca.as_str()), ("ssl_ciphers", "AES256-CCM")];
    assert_says(&refused("SSL", &options), &["handshake failure", "ciphers"]);
}

#[test]
fn fault_255_a_plain_text_client_at_a_port_with_tls_is_not_let_in_nor_kept_waiting() {
    for listener in ["SSL", "SSL13", "MTLS"] {
        let error = build(listener, &[("bootstrap_timeout_ms", "1000")]).unwrap_err();
        let text = error.to_string();

        assert!(
            matches!(error, Error::NoBrokersAvailable(_) | Error::AuthenticationFailed { .. }),
            "{text}"
        );
        assert_says(&text, &[&cluster().bootstrap_of(listener), "looks like TLS"]);
    }
}

#[test]
fn fault_255_a_client_with_tls_at_a_plain_text_port_is_not_let_in_nor_kept_waiting() {
    let address = cluster().bootstrap();
    let login =
        Login::new(address, &[("security_protocol", "SSL"), ("bootstrap_timeout_ms", "2000")]);
    let error = login.consumer().build().unwrap_err();
    assert_says(&error.to_string(), &[address, "TLS handshake"]);
}

/// A file with this text; its path.
fn keep(name: &str, text: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).expect("there is space");
    file.to_str().expect("plain names").to_owned()
}
