//! Which certificates of brokers are accepted, and what is said of the others.
mod securing;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use kafka_blocking::{KafkaConsumer, Resolver, Result};
use kafka_blocking_integration::{
    assert_says,
    certificates::{Authority, Subject},
    refusal,
    tls_front::{Serving, TlsFront},
};
use securing::{Bed, build, read};

#[test]
fn fault_248_a_certificate_for_another_name_is_refused_and_both_names_are_said() {
    let bed = showing(&Subject::new("other.example").dns("other.example").dns("also.example"));
    let said = bed.refusal(&[]);
    assert_says(&said, &["ostname mismatch", "localhost", "other.example", "also.example"]);
    assert!(bed.front.arrived() < 10, "{} attempts", bed.front.arrived());
    // The common name does not count where there are others.
    let bed = showing(&Subject::new("localhost").dns("other.example"));
    assert_says(&bed.refusal(&[]), &["ostname mismatch", "other.example"]);
}

#[test]
fn fault_248_a_certificate_without_the_address_is_refused_by_address() {
    let bed = showing(&Subject::localhost().ip("127.0.0.2"));
    let address = format!("127.0.0.1:{}", bed.front.port());
    let ca = bed.authority.pem();
    let options = [("ssl_cafile", ca.as_str())];
    let said = refusal(&address, "TLS handshake", || build(&address, "SSL", &options));
    assert_says(&said, &["mismatch", "127.0.0.1", "127.0.0.2"]);
    assert_eq!(bed.front.forwarded(), 0);
}

#[test]
fn option_ssl_check_hostname_false_accepts_another_name_but_no_other_authority() {
    let bed = showing(&Subject::new("other.example").dns("other.example"));
    bed.read(&[("ssl_check_hostname", "false")]);
    let stranger = Authority::new("Stranger");
    bed.front.serve(Serving::new(&stranger.issue(&Subject::localhost())));
    let ca = bed.authority.pem();
    let options = [("ssl_cafile", ca.as_str()), ("ssl_check_hostname", "false")];
    let address = bed.front.address();
    let said = refusal(&address, "TLS handshake", || build(&address, "SSL", &options));
    assert_says(&said, &["issuer certificate", "Stranger"]);
}

#[test]
fn fault_249_a_name_among_others_an_address_and_a_common_name_alone_are_accepted() {
    showing(&Subject::new("broker").dns("broker.example").dns("localhost")).read(&[]);
    showing(&Subject::new("localhost")).read(&[]);
    let bed = showing(&Subject::new("broker").dns("broker.example").ip("127.0.0.1"));
    bed.broker.set_advertised(1, "127.0.0.1", bed.front.port());
    let ca = bed.authority.pem();
    let address = format!("127.0.0.1:{}", bed.front.port());
    read(&build(&address, "SSL", &[("ssl_cafile", &ca)]).unwrap());
}

#[test]
fn fault_249_a_wildcard_stands_for_one_label() {
    let bed = showing(&Subject::new("brokers").dns("*.brokers.example"));
    bed.broker.set_advertised(1, "b-1.brokers.example", bed.front.port());
    read(&named(&bed, "b-2.brokers.example").unwrap());
    for name in ["brokers.example", "a.b.brokers.example", "b.other.example"] {
        let address = format!("{name}:{}", bed.front.port());
        let said = refusal(&address, "TLS handshake", || named(&bed, name));
        assert_says(&said, &["ostname mismatch", name, "*.brokers.example"]);
    }
}

#[test]
fn fault_250_a_dot_at_the_end_of_a_host_is_in_no_certificate_and_not_asked_for() {
    let bed = showing(&Subject::new("b-1").dns("b-1.brokers.example"));
    bed.broker.set_advertised(1, "b-1.brokers.example.", bed.front.port());
    read(&named(&bed, "b-1.brokers.example.").unwrap());
    let names = bed.front.names();
    assert!(names.len() > 1 && names.iter().all(|name| name == "b-1.brokers.example"), "{names:?}");
}

#[test]
fn fault_251_a_certificate_that_is_expired_or_not_yet_valid_is_refused() {
    let bed = showing(&Subject::localhost().valid(-20, -10));
    assert_says(&bed.refusal(&[]), &["certificate has expired", "localhost", "Trusted"]);
    let bed = showing(&Subject::localhost().valid(1, 10));
    assert_says(&bed.refusal(&[]), &["not yet valid", "localhost", "Trusted"]);
    // Nor does an authority's own.
    let bed = Bed::with(|authority| {
        let expired = authority.intermediate_until("Expired", -5);
        Serving::new(&expired.issue(&Subject::localhost()))
    });
    assert_says(&bed.refusal(&[]), &["certificate has expired", "Expired"]);
}

#[test]
fn fault_252_an_unknown_authority_and_a_certificate_signed_by_itself_are_refused() {
    let bed = Bed::with(|_| Serving::new(&Authority::new("Stranger").issue(&Subject::localhost())));
    assert_says(&bed.refusal(&[]), &["unable to get local issuer certificate", "Stranger"]);
    let bed = Bed::with(|_| Serving::new(&Subject::localhost().self_signed()));
    assert_says(&bed.refusal(&[]), &["self-signed certificate", "localhost"]);
}

#[test]
fn fault_252_without_ssl_cafile_the_authorities_of_the_system_are_asked() {
    let bed = showing(&Subject::localhost());
    let address = bed.front.address();
    let said = refusal(&address, "TLS handshake", || build(&address, "SSL", &[]));
    assert_says(&said, &["unable to get local issuer certificate", "Trusted"]);
}

#[test]
fn a_certificate_signed_by_itself_may_be_its_own_authority() {
    let own = Subject::localhost().self_signed();
    let bed = Bed::with(|_| Serving::new(&own));
    let address = bed.front.address();
    read(&build(&address, "SSL", &[("ssl_cafile", &own.pem())]).unwrap());
}

#[test]
fn what_stands_between_is_sent_by_the_broker_or_refused_where_it_is_not() {
    let bed = Bed::with(|authority| {
        let between = authority.intermediate("Between").intermediate("Below");
        Serving::new(&between.issue(&Subject::localhost()))
    });
    bed.read(&[]);
    let bed = Bed::with(|authority| {
        let between = authority.intermediate("Between");
        Serving::new(&between.issue(&Subject::localhost()).alone())
    });
    assert_says(&bed.refusal(&[]), &["unable to get local issuer certificate", "Between"]);
}

#[test]
fn option_ssl_cafile_may_have_several_authorities_as_a_file_or_as_text() {
    let bed = showing(&Subject::localhost());
    let several = format!("{}{}", Authority::new("Another").pem(), bed.authority.pem());
    bed.read(&[("ssl_cafile", &several)]);
    let file = keep("authorities.pem", &several);
    bed.read(&[("ssl_cafile", file.to_str().unwrap())]);
    // As an editor on Windows writes it.
    bed.read(&[("ssl_cafile", &several.replace('\n', "\r\n"))]);
}

#[test]
fn fault_253_a_revoked_certificate_is_refused_and_another_one_is_not() {
    let authority = Authority::new("Issuer");
    let (revoked, good) =
        (authority.issue(&Subject::localhost()), authority.issue(&Subject::localhost()));
    let list = authority.revocations(&[&revoked], 5);
    let bed = Bed { authority, ..Bed::with(|_| Serving::new(&revoked)) };
    let said = bed.refusal(&[("ssl_crlfile", &list)]);
    assert_says(&said, &["certificate revoked", "localhost", "Issuer"]);
    bed.front.serve(Serving::new(&good));
    bed.read(&[("ssl_crlfile", &list)]);
    let file = keep("revoked.pem", &list);
    bed.read(&[("ssl_crlfile", file.to_str().unwrap())]);
    // Without the list nobody knows.
    bed.front.serve(Serving::new(&revoked));
    bed.read(&[]);
}

#[test]
fn fault_253_a_list_that_is_out_of_date_or_of_another_authority_refuses_every_broker() {
    let bed = showing(&Subject::localhost());
    let old = bed.authority.revocations(&[], -1);
    assert_says(&bed.refusal(&[("ssl_crlfile", &old)]), &["CRL has expired", "localhost"]);
    let others = Authority::new("Another").revocations(&[], 5);
    let said = bed.refusal(&[("ssl_crlfile", &others)]);
    assert_says(&said, &["unable to get certificate CRL", "localhost", "Trusted"]);
}

#[test]
fn fault_253_of_those_between_nobody_asks_whether_they_are_revoked() {
    let authority = Authority::new("Issuer");
    let between = authority.intermediate("Between");
    let identity = between.issue(&Subject::localhost());
    let lists = authority.revocations(&[&between.identity()], 5) + &between.revocations(&[], 5);
    let bed = Bed { authority, ..Bed::with(|_| Serving::new(&identity)) };
    bed.read(&[("ssl_crlfile", &lists)]);
}

#[test]
fn fault_260_another_certificate_is_accepted_when_the_broker_is_connected_to_again() {
    let bed = showing(&Subject::localhost());
    let consumer = bed.build(&[]).unwrap();
    read(&consumer);
    bed.front.serve(Serving::new(&bed.identity()));
    bed.front.end_all(true);
    bed.broker.append("t", 0, ["3"]);
    assert_eq!(next(&consumer).unwrap(), 3);
    // One that is not to be trusted, until there is another again.
    bed.front.serve(Serving::new(&Subject::localhost().self_signed()));
    bed.front.end_all(true);
    bed.broker.append("t", 0, ["4"]);
    let error = next(&consumer).unwrap_err();
    assert_says(&error.to_string(), &[&bed.front.address(), "TLS handshake", "self-signed"]);
    bed.front.serve(Serving::new(&bed.identity()));
    let offset = loop {
        // What was refused before may still be told.
        if let Ok(offset) = next(&consumer) {
            break offset;
        }
    };
    assert_eq!(offset, 4);
}

#[test]
fn fault_255_tls_to_a_plain_text_port_fails_in_the_handshake() {
    let bed = showing(&Subject::localhost());
    let plain = bed.broker.address();
    let ca = bed.authority.pem();
    let options = [("ssl_cafile", ca.as_str())];
    // The broker takes the greeting of TLS for the size of a request, and closes.
    let error = build(&plain, "SSL", &[&options[..], &[("bootstrap_timeout_ms", "1000")]].concat())
        .unwrap_err()
        .to_string();
    assert_says(&error, &[&plain, "TLS handshake"]);
}

#[test]
fn fault_255_what_answers_in_plain_words_is_said_to_speak_no_tls() {
    // An HTTP server, as many a port has.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut client in server.incoming().map_while(std::result::Result::ok) {
            let _ = client.read(&mut [0; 100]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let said = refusal(&address, "TLS handshake", || build(&address, "SSL", &[]));
    assert_says(&said, &["does not speak TLS"]);
}

#[test]
fn a_broker_that_says_another_name_of_itself_is_asked_for_a_certificate_of_that_name() {
    let bed = showing(&Subject::localhost());
    let second = TlsFront::start(
        bed.broker.address_of(1),
        Serving::new(&bed.authority.issue(&Subject::localhost())),
    );
    bed.broker.set_advertised(1, "127.0.0.1", second.port());
    let consumer = bed.build(&[("consumer_timeout_ms", "3000")]).unwrap();
    let error = consumer.next().expect("an error").unwrap_err().to_string();
    assert_says(&error, &[&format!("127.0.0.1:{}", second.port()), "mismatch", "localhost"]);
    assert_eq!(second.forwarded(), 0);
}

/// A broker that shows a certificate that a trusted authority has given this subject.
fn showing(subject: &Subject) -> Bed {
    Bed::with(|authority| Serving::new(&authority.issue(subject)))
}

/// Tries to reach a broker by a name that stands for this machine here only.
fn named(bed: &Bed, name: &str) -> Result<KafkaConsumer> {
    struct Here;
    impl Resolver for Here {
        fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }
    }
    KafkaConsumer::builder()
        .bootstrap_servers(format!("{name}:{}", bed.front.port()))
        .resolver(Here)
        .security_protocol("SSL")
        .ssl_cafile(bed.authority.pem())
        .auto_offset_reset("earliest")
        .topics("t")
        .build()
}

fn next(consumer: &KafkaConsumer) -> Result<i64> {
    consumer.next().expect("it waits long enough").map(|record| record.offset())
}

/// A file with this text.
fn keep(name: &str, text: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).expect("there is space");
    file
}
