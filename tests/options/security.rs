//! How brokers are spoken with, and who the client says it is.

use kafka_blocking::{
    BoxError, ConsumerBuilder, Error, KafkaConsumer, SaslMechanism, SaslSession, SaslStep,
    SecurityProtocol, protocol::sasl_authenticate::SaslAuthenticateRequest,
};
use scripted_broker::ScriptedBroker;

use crate::{
    support::{broker, next, reader, refused},
    warnings::{listen, warnings},
};

/// A broker that wants everybody to log in, and a consumer that does not say how.
fn closed(mechanism: &str) -> (ScriptedBroker, ConsumerBuilder) {
    listen();
    let broker = broker(&["a"]);
    broker.add_user(mechanism, "alice", " secret of alice");
    let builder = reader(&broker).security_protocol("SASL_PLAINTEXT");
    (broker, builder)
}

fn alice(builder: ConsumerBuilder, mechanism: &str) -> ConsumerBuilder {
    builder
        .sasl_mechanism(mechanism)
        .sasl_plain_username("alice")
        .sasl_plain_password(" secret of alice")
}

fn reads(builder: ConsumerBuilder) {
    assert_eq!(next(&builder.build().unwrap()).value(), Some(&b"a"[..]));
}

/// The option that is refused, and all that is said of it.
fn configuration(builder: ConsumerBuilder) -> (String, String) {
    let Error::Configuration(error) = refused(builder) else { panic!("no configuration error") };
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret"), "{text}");
    (error.option, text)
}

#[test]
fn option_security_protocol() {
    let (_broker, builder) = closed("PLAIN");
    reads(alice(builder, "PLAIN").security_protocol(SecurityProtocol::SaslPlaintext));
    let (option, text) = configuration(KafkaConsumer::builder().security_protocol("TLS"));
    assert_eq!(option, "security_protocol");
    assert!(text.contains("PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"), "{text}");
}

#[test]
fn an_option_that_has_no_effect_is_refused_with_what_it_needs() {
    let builder = KafkaConsumer::builder;
    for (given, name, needs) in [
        (builder().ssl_cafile("ca.pem"), "ssl_cafile", "SSL or SASL_SSL"),
        (builder().ssl_check_hostname(false), "ssl_check_hostname", "SSL or SASL_SSL"),
        (builder().ssl_password("secret"), "ssl_password", "SSL or SASL_SSL"),
        (builder().security_protocol("SASL_PLAINTEXT").ssl_ciphers("HIGH"), "ssl_ciphers", "SSL"),
        (builder().sasl_mechanism("PLAIN"), "sasl_mechanism", "SASL_SSL or SASL_PLAINTEXT"),
        (builder().sasl_plain_password("secret"), "sasl_plain_password", "SASL_SSL"),
        (
            alice(builder().security_protocol("SASL_SSL"), "GSSAPI"),
            "sasl_plain_username",
            "sasl_mechanism = GSSAPI",
        ),
        (
            alice(builder().security_protocol("SASL_SSL"), "PLAIN")
                .sasl_kerberos_service_name("other"),
            "sasl_kerberos_service_name",
            "sasl_mechanism = PLAIN",
        ),
        (builder().security_protocol("SSL").ssl_keyfile("key.pem"), "ssl_keyfile", "ssl_certfile"),
    ] {
        let (option, text) = configuration(given);
        assert_eq!(option, name);
        assert!(text.contains(needs), "{text}");
    }
    // What is the default anyway changes nothing.
    reads(reader(&broker(&["a"])).ssl_check_hostname(true));
}

#[test]
fn option_sasl_mechanism() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (_broker, builder) = closed(mechanism);
        reads(alice(builder, mechanism));
    }
    let (_broker, builder) = closed("PLAIN");
    let (option, text) = configuration(alice(builder, "MD5"));
    assert_eq!(option, "sasl_mechanism");
    assert!(text.contains("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI"), "{text}");
    let (_broker, builder) = closed("PLAIN");
    assert_eq!(configuration(builder).0, "sasl_mechanism");
}

#[test]
fn option_sasl_plain_username() {
    let (broker, builder) = closed("PLAIN");
    reads(alice(builder, "PLAIN"));
    let first = &broker.requests_of::<SaslAuthenticateRequest>()[0].auth_bytes;
    assert!(first.0.starts_with(b"\0alice\0"));
    let (_broker, builder) = closed("PLAIN");
    assert_eq!(
        configuration(alice(builder, "PLAIN").sasl_plain_username("")).0,
        "sasl_plain_username"
    );
}

#[test]
fn option_sasl_plain_password() {
    // The space before it belongs to it.
    let (_broker, builder) = closed("PLAIN");
    reads(alice(builder, "PLAIN"));
    let (_broker, builder) = closed("PLAIN");
    let error = refused(alice(builder, "PLAIN").sasl_plain_password("secret of alice"));
    assert!(matches!(error, Error::AuthenticationFailed { .. }), "{error:?}");
    let (_broker, builder) = closed("PLAIN");
    let builder = builder.sasl_mechanism("PLAIN").sasl_plain_username("alice");
    assert_eq!(configuration(builder).0, "sasl_plain_password");
}

#[test]
fn option_sasl() {
    /// What PLAIN does.
    struct Own;

    impl SaslMechanism for Own {
        fn name(&self) -> &str {
            "PLAIN"
        }

        fn begin(&self, host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
            assert_eq!(host, "127.0.0.1");
            Ok(Box::new(Session(Some("\0alice\0 secret of alice"))))
        }
    }

    struct Session(Option<&'static str>);

    impl SaslSession for Session {
        fn step(&mut self, _challenge: &[u8]) -> Result<SaslStep, BoxError> {
            Ok(self.0.take().map_or(SaslStep::Done, |message| SaslStep::Send(message.into())))
        }
    }

    let (_broker, builder) = closed("PLAIN");
    reads(builder.sasl(Own));
    let (_broker, builder) = closed("PLAIN");
    assert_eq!(configuration(builder.sasl(Own).sasl_mechanism("PLAIN")).0, "sasl_mechanism");
}

#[cfg(not(feature = "gssapi"))]
#[test]
fn kerberos_is_refused_in_a_build_without_it() {
    let builder = KafkaConsumer::builder().security_protocol("SASL_SSL").sasl_mechanism("GSSAPI");
    assert!(configuration(builder).1.contains("feature `gssapi`"));
}

#[test]
fn what_weakens_a_connection_is_warned_of() {
    let plain = alice(KafkaConsumer::builder().security_protocol("SASL_PLAINTEXT"), "PLAIN");
    assert!(warnings(plain)[0].contains("goes over the network in the clear"));
    let scram =
        alice(KafkaConsumer::builder().security_protocol("SASL_PLAINTEXT"), "SCRAM-SHA-512");
    assert!(warnings(scram).is_empty());
    let unnamed = KafkaConsumer::builder().security_protocol("SSL").ssl_check_hostname(false);
    assert!(warnings(unnamed)[0].contains("ssl_check_hostname"));
}
