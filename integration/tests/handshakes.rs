//! What a client shows of itself in TLS, which ciphers and versions meet, and what an end in the midst of it leads to.
mod securing;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{ConfigError, Error};
use kafka_blocking_integration::{
    assert_says,
    certificates::{Authority, KeyForm, Subject},
    tls_front::{Fault, Serving},
};
use openssl::ssl::SslVersion;
use securing::{Bed, build, read};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];
const PASSWORD: &str = "key-secret";

/// A broker that wants certificates of the authority `Clients`.
fn mutual(version: SslVersion) -> (Bed, Authority) {
    let clients = Authority::new("Clients");
    let bed = Bed::with(|authority| {
        Serving::new(&authority.issue(&Subject::localhost())).only(version).clients_of(&clients)
    });
    (bed, clients)
}

#[test]
fn fault_254_a_client_without_a_certificate_is_told_that_one_is_wanted() {
    for version in VERSIONS {
        let (bed, _) = mutual(version);
        let said = bed.refusal(&[]);
        assert_says(&said, &["ssl_certfile"]);
    }
}

#[test]
fn fault_254_a_clients_certificate_of_an_unknown_authority_is_refused_in_the_brokers_words() {
    for version in VERSIONS {
        let (bed, _) = mutual(version);
        let stranger = Authority::new("Stranger").issue(&Subject::new("client"));
        let (pem, key) = (stranger.pem(), stranger.key(KeyForm::Pkcs8));
        let said = bed.refusal(&[("ssl_certfile", &pem), ("ssl_keyfile", &key)]);
        assert_says(&said, &["unknown ca", "ssl_certfile"]);
    }
}

#[test]
fn fault_254_a_clients_certificate_is_sent_with_those_between() {
    for version in VERSIONS {
        let (bed, clients) = mutual(version);
        let between = clients.intermediate("Between").intermediate("Below");
        for identity in
            [clients.issue(&Subject::new("client")), between.issue(&Subject::new("client"))]
        {
            let (pem, key) = (identity.pem(), identity.key(KeyForm::Pkcs8));
            bed.read(&[("ssl_certfile", &pem), ("ssl_keyfile", &key)]);
        }
    }
}

#[test]
fn option_ssl_keyfile_takes_every_form_of_a_key_as_text_and_as_a_file() {
    let (bed, clients) = mutual(SslVersion::TLS1_3);
    for (kind, subject) in [("ec", Subject::new("client")), ("rsa", Subject::new("client").rsa())] {
        let identity = clients.issue(&subject);
        let pem = identity.pem();
        for (n, form) in FORMS.into_iter().enumerate() {
            let key = identity.key(form);
            let mut options = vec![("ssl_certfile", pem.as_str()), ("ssl_keyfile", key.as_str())];
            if is_encrypted(form) {
                options.push(("ssl_password", PASSWORD));
            }
            bed.read(&options);
            let file = keep(&format!("{kind}-{n}.key"), &key);
            options[1].1 = &file;
            bed.read(&options);
            // Both in one file, in either order.
            let both = keep(&format!("{kind}-{n}.pem"), &(key.clone() + &pem));
            options[0].1 = &both;
            options.remove(1);
            bed.read(&options);
            let text = pem.clone() + &key;
            options[0].1 = &text;
            bed.read(&options);
        }
    }
}

#[test]
fn fault_261_a_file_that_is_not_there_or_not_what_it_should_be_is_named_by_its_option() {
    let identity = Authority::new("Clients").issue(&Subject::new("client"));
    let (pem, key) = (identity.pem(), identity.key(KeyForm::Pkcs8));
    let garbage = keep("garbage.pem", "no certificate, and no key either");
    let cut = &pem[..pem.len() / 2];
    for option in ["ssl_cafile", "ssl_certfile", "ssl_crlfile"] {
        for value in ["/there/is/no.pem", &garbage, cut, "/"] {
            assert_eq!(misconfigured(&[(option, value)]).option, option, "{value}");
        }
    }
    for value in ["/there/is/no.pem", &garbage, &pem, &key[..key.len() / 2]] {
        let error = misconfigured(&[("ssl_certfile", &pem), ("ssl_keyfile", value)]);
        assert_eq!(error.option, "ssl_keyfile", "{value}");
    }
    let error = misconfigured(&[("ssl_certfile", &pem)]);
    assert_says(&error.to_string(), &["ssl_certfile", "no private key", "ssl_keyfile"]);
    let error = misconfigured(&[("ssl_ciphers", "NOT-A-CIPHER")]);
    assert_says(&error.to_string(), &["ssl_ciphers", "NOT-A-CIPHER", "no cipher match"]);
}

#[test]
fn fault_261_a_wrong_password_a_missing_one_and_another_key_are_told_without_the_key() {
    for subject in [Subject::new("client"), Subject::new("client").rsa()] {
        let identity = Authority::new("Clients").issue(&subject);
        let pem = identity.pem();
        for form in FORMS.into_iter().filter(|form| is_encrypted(*form)) {
            let key = identity.key(form);
            let options = [("ssl_certfile", pem.as_str()), ("ssl_keyfile", key.as_str())];
            let error = misconfigured(&options);
            assert_says(&error.to_string(), &["ssl_keyfile", "encrypted", "ssl_password"]);
            let wrong = [&options[..], &[("ssl_password", "wrong-secret")]].concat();
            let error = misconfigured(&wrong);
            assert_eq!(error.option, "ssl_password");
            assert!(!error.to_string().contains("wrong-secret"));
            // As a password that is as long as its buffer, or longer.
            let long = "x".repeat(5_000);
            let wrong = [&options[..], &[("ssl_password", &long)]].concat();
            assert_eq!(misconfigured(&wrong).option, "ssl_password");
        }
        for other in [Subject::new("other"), Subject::new("other").rsa()] {
            let key = other.self_signed().key(KeyForm::Pkcs8);
            let error = misconfigured(&[("ssl_certfile", &pem), ("ssl_keyfile", &key)]);
            assert_says(&error.to_string(), &["ssl_keyfile", "another key"]);
            assert!(!error.to_string().contains(key.lines().nth(1).unwrap()));
        }
    }
}

#[test]
fn fault_256_brokers_with_one_version_are_spoken_with_and_older_ones_refused() {
    for version in VERSIONS {
        Bed::with(|a| Serving::new(&a.issue(&Subject::localhost())).only(version)).read(&[]);
    }
    let bed = Bed::with(|authority| {
        Serving::new(&authority.issue(&Subject::localhost()))
            .ciphers("ALL:@SECLEVEL=0")
            .only(SslVersion::TLS1_1)
    });
    assert_says(&bed.refusal(&[]), &["protocol version", "1.2"]);
}

#[test]
fn fault_256_no_cipher_in_common_is_said() {
    let bed = Bed::with(|authority| {
        Serving::new(&authority.issue(&Subject::localhost()))
            .ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    });
    let said = bed.refusal(&[("ssl_ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")]);
    assert_says(&said, &["handshake failure", "ciphers"]);
    bed.read(&[("ssl_ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")]);
    // Of TLS 1.3 they say nothing.
    bed.front.serve(Serving::new(&bed.identity()).only(SslVersion::TLS1_3));
    bed.read(&[("ssl_ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")]);
}

#[test]
fn fault_257_an_end_with_or_without_a_goodbye_is_a_disconnect_and_nothing_is_lost() {
    for version in VERSIONS {
        let bed = Bed::with(|a| Serving::new(&a.issue(&Subject::localhost())).only(version));
        let options = [("auto_offset_reset", "none"), ("reconnect_backoff_ms", "5")];
        let consumer = bed.build(&options).unwrap();
        consumer.unsubscribe().unwrap();
        consumer.assign([("t", 0)]).unwrap();
        consumer.seek(("t", 0), 0).unwrap();
        for offset in 0..20 {
            if offset >= 3 {
                bed.broker.append("t", 0, [offset.to_string()]);
            }
            let record = consumer.next().unwrap().unwrap();
            assert_eq!(record.offset(), offset);
            bed.front.end_all(offset % 2 == 0);
        }
    }
}

#[test]
fn fault_259_what_is_decrypted_already_is_read_without_news_from_the_socket() {
    for version in VERSIONS {
        let bed = Bed::with(|a| Serving::new(&a.issue(&Subject::localhost())).only(version));
        // Answers that end within a record of TLS, at its end, and after several of them.
        let sizes = [1, 100, 4_000, 15_900, 16_300, 16_384, 16_400, 32_768, 100_000, 1_000_000];
        for size in sizes {
            bed.broker.append("t", 0, [vec![b'x'; size]]);
        }
        // Whoever waits for news waits for the next answer, which takes this long.
        let options = [("fetch_max_wait_ms", "4000"), ("max_poll_records", "1")];
        let consumer = bed.build(&options).unwrap();
        read(&consumer);
        let began = Instant::now();
        for size in sizes {
            let record = consumer.next().unwrap().unwrap();
            assert_eq!(record.value().map(<[u8]>::len), Some(size));
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[test]
fn fault_258_a_handshake_that_is_cut_or_stalls_anywhere_is_tried_again_and_not_too_often() {
    let mut cells = Vec::new();
    for version in VERSIONS {
        for at in 0..4 {
            for fault in [Fault::CloseAt(at), Fault::CutIn(at), Fault::StallAt(at)] {
                cells.push((version, fault));
            }
        }
    }
    thread::scope(|scope| {
        for (version, fault) in cells {
            scope.spawn(move || recovers(version, fault));
        }
    });
}

/// Gets nowhere for a while, and then somewhere.
fn recovers(version: SslVersion, fault: Fault) {
    let good =
        |authority: &Authority| Serving::new(&authority.issue(&Subject::localhost())).only(version);
    let bed = Bed::with(|authority| good(authority).fault(fault));
    let options = [
        ("bootstrap_timeout_ms", "1500"),
        ("socket_connection_setup_timeout_ms", "300"),
        ("socket_connection_setup_timeout_max_ms", "600"),
        ("reconnect_backoff_max_ms", "400"),
    ];
    let began = Instant::now();
    let error = bed.build(&options).expect_err("nobody gets through");
    let arrived = bed.front.arrived();
    assert!(
        matches!(error, Error::NoBrokersAvailable(_)) && error.retriable(),
        "{fault:?}: {error}"
    );
    assert_says(&error.to_string(), &[&bed.front.address()]);
    assert!(began.elapsed() < Duration::from_secs(8), "{fault:?}: {:?}", began.elapsed());
    assert!((2..25).contains(&arrived), "{fault:?}: {arrived} attempts");
    let patient = [&options[1..], &[("bootstrap_timeout_ms", "20000")]].concat();
    thread::scope(|scope| {
        let building = scope.spawn(|| bed.build(&patient));
        while bed.front.arrived() < arrived + 2 {
            thread::sleep(Duration::from_millis(5));
        }
        bed.front.serve(good(&bed.authority));
        read(&building.join().unwrap().unwrap());
    });
}

const FORMS: [KeyForm<'static>; 4] = [
    KeyForm::Pkcs8,
    KeyForm::EncryptedPkcs8(PASSWORD),
    KeyForm::Traditional,
    KeyForm::EncryptedTraditional(PASSWORD),
];

fn is_encrypted(form: KeyForm<'_>) -> bool {
    matches!(form, KeyForm::EncryptedPkcs8(_) | KeyForm::EncryptedTraditional(_))
}

/// What is wrong with the options, which is said before anybody is asked.
fn misconfigured(options: &[(&str, &str)]) -> ConfigError {
    match build("localhost:1", "SSL", options) {
        Err(Error::Configuration(error)) => *error,
        other => panic!("{:?}", other.map(drop)),
    }
}

/// A file with this text; its path.
fn keep(name: &str, text: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).expect("there is space");
    file.to_str().expect("plain names").to_owned()
}
