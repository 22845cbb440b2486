//! What each of the options `ssl_*` does.

mod securing;

use kafka_blocking::{Error, KafkaConsumer, Result};
use kafka_blocking_integration::{
    assert_says,
    certificates::{Authority, KeyForm, Subject},
    tls_front::Serving,
};
use native_tls::{Certificate, TlsConnector};
use securing::{Bed, read};

fn good() -> Bed {
    Bed::with(|authority| Serving::new(&authority.issue(&Subject::localhost())))
}

/// The option that a configuration error names, and what it says.
fn refused(result: Result<KafkaConsumer>) -> (String, String) {
    let Err(Error::Configuration(error)) = result else { panic!("{result:?}") };
    (error.option.clone(), error.to_string())
}

#[test]
fn option_ssl_context() {
    let bed = good();
    let trusting = |authority: &Authority| {
        let ca = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        TlsConnector::builder().add_root_certificate(ca).build().unwrap()
    };
    let consumer = |connector: TlsConnector| {
        KafkaConsumer::builder()
            .bootstrap_servers(bed.front.address())
            .security_protocol("SSL")
            .ssl_context(connector)
            // Ignored, as kafka-python's documentation says.
            .ssl_cafile("no such file")
            .auto_offset_reset("earliest")
            .topics("t")
            .build()
    };
    read(&consumer(trusting(&bed.authority)).unwrap());
    let error = consumer(trusting(&Authority::new("Other"))).unwrap_err();
    assert!(
        matches!(error, Error::AuthenticationFailed { step: "TLS handshake", .. }),
        "{error:?}"
    );
    assert_says(&error.to_string(), &["certificate verify failed"]);
    let (option, text) = refused(KafkaConsumer::builder().set("ssl_context", "x").build());
    assert_eq!(option, "ssl_context");
    assert_says(&text, &["it is code and no text"]);
}

#[test]
fn option_ssl_check_hostname() {
    let bed = Bed::with(|authority| Serving::new(&authority.issue(&Subject::new("other.example"))));
    assert_says(&bed.refusal(&[]), &["hostname mismatch", "localhost", "other.example"]);
    bed.read(&[("ssl_check_hostname", "False")]);
}

#[test]
fn whoever_vouches_is_looked_at_without_a_look_at_the_name_too() {
    let bed = Bed::with(|_| Serving::new(&Authority::new("Other").issue(&Subject::localhost())));
    assert_says(&bed.refusal(&[("ssl_check_hostname", "False")]), &["issued by Other"]);
}

#[test]
fn option_ssl_cafile() {
    let bed = good();
    let other = Authority::new("Other").pem();
    assert_says(&bed.refusal(&[("ssl_cafile", &other)]), &["issued by Trusted"]);
    bed.read(&[]);
    let both = other + &bed.authority.pem();
    bed.read(&[("ssl_cafile", &both)]);
    let (option, text) = refused(bed.build(&[("ssl_cafile", "/no/such/file")]));
    assert_eq!(option, "ssl_cafile");
    assert_says(&text, &["/no/such/file", "cannot be read"]);
}

/// A broker that wants a certificate of the client's, and one that it accepts.
fn demanding() -> (Bed, kafka_blocking_integration::certificates::Identity) {
    let bed = Bed::with(|authority| {
        Serving::new(&authority.issue(&Subject::localhost())).clients_of(authority)
    });
    let client = bed.authority.issue(&Subject::new("client"));
    (bed, client)
}

#[test]
fn option_ssl_certfile() {
    let (bed, client) = demanding();
    bed.refusal(&[]);
    let both = client.pem() + &client.key(KeyForm::Pkcs8);
    bed.read(&[("ssl_certfile", &both)]);
    let (option, _) = refused(bed.build(&[("ssl_certfile", &client.key(KeyForm::Pkcs8))]));
    assert_eq!(option, "ssl_certfile");
}

#[test]
fn option_ssl_keyfile() {
    let (bed, client) = demanding();
    let (cert, key) = (client.pem(), client.key(KeyForm::Traditional));
    bed.read(&[("ssl_certfile", &cert), ("ssl_keyfile", &key)]);
    let (option, text) = refused(bed.build(&[("ssl_certfile", &cert)]));
    assert_eq!(option, "ssl_certfile");
    assert_says(&text, &["ssl_keyfile"]);
    let other = bed.identity().key(KeyForm::Pkcs8);
    let (option, text) = refused(bed.build(&[("ssl_certfile", &cert), ("ssl_keyfile", &other)]));
    assert_eq!(option, "ssl_keyfile");
    assert!(!text.contains("MI"), "a key is shown nowhere: {text}");
    let (option, _) = refused(bed.build(&[("ssl_keyfile", &key)]));
    assert_eq!(option, "ssl_keyfile");
}

#[test]
fn option_ssl_password() {
    let (bed, client) = demanding();
    let (cert, key) = (client.pem(), client.key(KeyForm::EncryptedPkcs8("hunter2")));
    let options = [("ssl_certfile", cert.as_str()), ("ssl_keyfile", key.as_str())];
    let with = |password| [&options[..], &[("ssl_password", password)]].concat();
    bed.read(&with("hunter2"));
    let (option, text) = refused(bed.build(&with("hunter3")));
    assert_eq!(option, "ssl_password");
    assert!(!text.contains("hunter"), "{text}");
    let (option, text) = refused(bed.build(&options));
    assert_eq!(option, "ssl_keyfile");
    assert_says(&text, &["ssl_password"]);
}

#[test]
fn option_ssl_crlfile() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let bed = Bed::with(|authority| {
        let identity = authority.issue(&Subject::localhost());
        sender.send(identity.clone()).unwrap();
        Serving::new(&identity)
    });
    let identity = receiver.recv().unwrap();
    let its = bed.authority.revocations(&[&identity], 10);
    assert_says(&bed.refusal(&[("ssl_crlfile", &its)]), &["certificate revoked"]);
    let none = bed.authority.revocations(&[], 10);
    bed.read(&[("ssl_crlfile", &none)]);
    let (option, _) = refused(bed.build(&[("ssl_crlfile", &bed.authority.pem())]));
    assert_eq!(option, "ssl_crlfile");
}

#[test]
fn option_ssl_ciphers() {
    const OURS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
    const OTHERS: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
    let bed = Bed::with(|authority| {
        Serving::new(&authority.issue(&Subject::localhost())).ciphers(OTHERS)
    });
    bed.refusal(&[("ssl_ciphers", OURS)]);
    bed.read(&[("ssl_ciphers", OTHERS)]);
    let (option, text) = refused(bed.build(&[("ssl_ciphers", "nonsense")]));
    assert_eq!(option, "ssl_ciphers");
    assert_says(&text, &["nonsense", "no cipher match"]);
}
