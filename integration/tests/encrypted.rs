//! What becomes of connections that are set up, where TLS stands between the socket and the protocol.

#[allow(dead_code, reason = "one file of helpers serves several of tests")]
mod securing;

use std::{
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{Error, KafkaConsumer};
use kafka_blocking_integration::{
    certificates::Subject,
    tls_front::{Serving, TlsFront},
};
use securing::Bed;

fn good() -> Bed {
    Bed::with(|authority| Serving::new(&authority.issue(&Subject::localhost())))
}

#[test]
fn fault_259_what_is_decrypted_already_is_taken_although_the_socket_brings_nothing_more() {
    const RECORDS: i64 = 3 + 4000;
    let bed = good();
    for _ in 0..40 {
        bed.broker.append("t", 0, (0..100).map(|_| "x".repeat(1000)));
    }
    let ca = bed.authority.pem();
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(bed.front.address())
        .security_protocol("SSL")
        .ssl_cafile(ca)
        .auto_offset_reset("earliest")
        .topics("t")
        .build()
        .unwrap();
    let began = Instant::now();
    // With so much ready, the rest of an answer is left where it is until it is wanted: half of a record of TLS, too.
    for offset in 0..RECORDS {
        let record = consumer.next().expect("there is one more").unwrap();
        assert_eq!(record.offset(), offset);
        if offset % 500 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    // Where nobody asks for what is there, requests run into their time-outs, and are sent again.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn fault_283_a_broker_that_names_another_host_does_not_get_the_password_sent_there() {
    let bed = good();
    bed.broker.add_user("PLAIN", "alice", "alice-secret");
    // The name that the first broker gives leads to somebody with a certificate of the same authority, for another name.
    let elsewhere = bed.authority.issue(&Subject::new("elsewhere.example"));
    let hostile = TlsFront::start(bed.broker.address_of(1), Serving::new(&elsewhere));
    bed.broker.set_advertised(1, "localhost", hostile.port());
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(bed.front.address())
        .security_protocol("SASL_SSL")
        .ssl_cafile(bed.authority.pem())
        .sasl_mechanism("PLAIN")
        .sasl_plain_username("alice")
        .sasl_plain_password("alice-secret")
        .auto_offset_reset("earliest")
        .topics("t")
        .build()
        .unwrap();
    let error = loop {
        if let Err(error) = consumer.poll(Duration::from_millis(100)) {
            break error;
        }
    };
    let Error::AuthenticationFailed { node, step, reason } = &error else { panic!("{error:?}") };
    assert_eq!((&**node, *step), (&*hostile.address(), "TLS handshake"));
    assert!(reason.contains("elsewhere.example"), "{reason}");
    assert_eq!(hostile.forwarded(), 0, "nothing of the protocol, and no password");
}
