//! How clients log in, and what they get who cannot. `integration/tests/in_process.rs` compares this with Kafka.

use std::io::Write;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request,
        api_versions::ApiVersionsRequest,
        metadata::MetadataRequest,
        sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse},
        sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
    },
};
use scripted_broker::ScriptedBroker;

use crate::support::Client;

const RIGHT: &[u8] = b"\0alice\0secret";

fn broker() -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.add_user("PLAIN", "alice", "secret");
    broker.add_user("SCRAM-SHA-512", "bob", "secret");
    broker
}

fn choose(client: &mut Client, version: i16, mechanism: &str) -> SaslHandshakeResponse {
    client.ask(version, &SaslHandshakeRequest { mechanism: mechanism.into() })
}

fn say(client: &mut Client, message: &[u8]) -> SaslAuthenticateResponse {
    let auth_bytes = message.to_vec().into();
    client.ask(2, &SaslAuthenticateRequest { auth_bytes })
}

fn is_answered(client: &mut Client) -> bool {
    client.ask(9, &MetadataRequest::all_topics()).brokers.len() == 1
}

#[test]
fn a_password_opens_the_connection_to_all_other_requests() {
    let broker = broker();
    let mut client = Client::to(&broker);
    client.ask(0, &ApiVersionsRequest::default());
    let chosen = choose(&mut client, 1, "PLAIN");
    assert_eq!((chosen.error_code, chosen.mechanisms.len()), (0, 2));
    let answer = say(&mut client, RIGHT);
    assert_eq!((answer.error_code, answer.auth_bytes.len()), (0, 0));
    assert!(is_answered(&mut client));
}

#[test]
fn without_a_login_only_the_versions_are_told() {
    let broker = broker();
    for (key, body) in [(3, &b"\xff\xff\xff\xff"[..]), (36, b"\0\0\0\x0d\0alice\0secret")] {
        let mut client = Client::to(&broker);
        client.ask(0, &ApiVersionsRequest::default());
        let frame =
            [&[0, 0, 0, 10 + body.len() as u8, 0, key, 0, 1, 0, 0, 0, 1, 0xff, 0xff][..], body];
        client.stream.write_all(&frame.concat()).unwrap();
        assert!(client.is_closed(), "API {key}");
    }
}

#[test]
fn a_wrong_password_is_told_and_ends_the_connection() {
    let broker = broker();
    for wrong in [&b"\0alice\0wrong"[..], b"\0nobody\0secret", b"\0bob\0secret"] {
        let mut client = Client::to(&broker);
        choose(&mut client, 1, "PLAIN");
        let answer = say(&mut client, wrong);
        assert_eq!(ErrorCode(answer.error_code), ErrorCode::SASL_AUTHENTICATION_FAILED);
        let text = "Authentication failed: Invalid username or password";
        assert_eq!(answer.error_message.as_deref(), Some(text));
        assert!(client.is_closed());
    }
}

#[test]
fn a_mechanism_that_nobody_has_is_answered_with_those_that_somebody_has() {
    let broker = broker();
    for mechanism in ["SCRAM-SHA-256", "GSSAPI", ""] {
        let mut client = Client::to(&broker);
        let answer = choose(&mut client, 1, mechanism);
        assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNSUPPORTED_SASL_MECHANISM);
        assert_eq!(answer.mechanisms, ["PLAIN", "SCRAM-SHA-512"]);
        assert!(client.is_closed());
    }
}

#[test]
fn behind_a_handshake_of_version_0_messages_stand_alone() {
    let broker = broker();
    let bare = |message: &[u8]| {
        let mut client = Client::to(&broker);
        choose(&mut client, 0, "PLAIN");
        let length = u8::try_from(message.len()).unwrap();
        client.stream.write_all(&[&[0, 0, 0, length], message].concat()).unwrap();
        client
    };
    let mut client = bare(RIGHT);
    assert_eq!(client.frame().unwrap(), b"");
    assert!(is_answered(&mut client));
    assert!(bare(b"\0alice\0wrong").is_closed());
    // Rules and the log know them as SaslAuthenticate.
    let messages = broker.requests_of::<SaslAuthenticateRequest>();
    assert_eq!(messages[0].auth_bytes.0, RIGHT);
    broker.on::<SaslAuthenticateRequest>().once().respond(|_| SaslAuthenticateResponse {
        auth_bytes: b"strange".to_vec(),
        ..Default::default()
    });
    assert_eq!(bare(RIGHT).frame().unwrap(), b"strange");
}

#[test]
fn rules_apply_to_logins_as_to_everything() {
    let broker = broker();
    broker.on::<SaslHandshakeRequest>().once().fail(ErrorCode::ILLEGAL_SASL_STATE);
    let mut client = Client::to(&broker);
    assert_eq!(choose(&mut client, 1, "PLAIN").error_code, ErrorCode::ILLEGAL_SASL_STATE.0);
    assert!(client.is_closed());

    broker.on::<SaslAuthenticateRequest>().once().fail(ErrorCode::SASL_AUTHENTICATION_FAILED);
    let mut client = Client::to(&broker);
    choose(&mut client, 1, "PLAIN");
    assert_eq!(say(&mut client, RIGHT).error_code, ErrorCode::SASL_AUTHENTICATION_FAILED.0);
    assert!(client.is_closed());

    broker.on::<SaslAuthenticateRequest>().once().rewrite(|r| r.session_lifetime_ms = 5000);
    let mut client = Client::to(&broker);
    choose(&mut client, 1, "PLAIN");
    assert_eq!(say(&mut client, RIGHT).session_lifetime_ms, 5000);
    // So it logs in again (KIP-368), and is asked to finish that.
    choose(&mut client, 1, "PLAIN");
    assert_eq!(say(&mut client, RIGHT).session_lifetime_ms, 0);
    assert!(is_answered(&mut client));
}

#[test]
fn a_user_with_another_password_or_none_any_more_stays_logged_in() {
    let broker = broker();
    let mut early = Client::to(&broker);
    choose(&mut early, 1, "PLAIN");
    say(&mut early, RIGHT);
    broker.add_user("PLAIN", "alice", "another");
    let mut late = Client::to(&broker);
    choose(&mut late, 1, "PLAIN");
    assert_eq!(say(&mut late, RIGHT).error_code, ErrorCode::SASL_AUTHENTICATION_FAILED.0);
    assert!(is_answered(&mut early));
    broker.remove_user("PLAIN", "alice");
    assert_eq!(choose(&mut Client::to(&broker), 1, "PLAIN").mechanisms, ["SCRAM-SHA-512"]);
    assert!(is_answered(&mut early));
    broker.remove_user("SCRAM-SHA-512", "bob");
    assert!(is_answered(&mut Client::to(&broker)));
}

#[test]
fn who_has_not_logged_in_sends_no_more_than_half_a_mebibyte_at_once() {
    let broker = broker();
    let mut client = Client::to(&broker);
    client.stream.write_all(&(1_i32 + (512 << 10)).to_be_bytes()).unwrap();
    assert!(client.is_closed());
    let mut client = Client::to(&broker);
    choose(&mut client, 1, "PLAIN");
    client.stream.write_all(&i32::MAX.to_be_bytes()).unwrap();
    assert!(client.is_closed());
}

#[test]
fn an_old_broker_has_no_sasl_authenticate() {
    let broker = broker();
    broker.set_versions(1, &[(3, 0, 9), (17, 0, 0), (18, 0, 0)]);
    let mut client = Client::to(&broker);
    client.send(1, &SaslHandshakeRequest { mechanism: "PLAIN".into() });
    assert!(client.is_closed());
    let mut client = Client::to(&broker);
    choose(&mut client, 0, "PLAIN");
    client.stream.write_all(&[&[0, 0, 0, 13], RIGHT].concat()).unwrap();
    assert_eq!(client.frame().unwrap(), b"");
    assert!(is_answered(&mut client));
}

#[test]
fn the_log_does_not_show_passwords() {
    let broker = broker();
    let mut client = Client::to(&broker);
    choose(&mut client, 1, "PLAIN");
    say(&mut client, RIGHT);
    let logged = broker.requests();
    let last = logged.last().unwrap();
    assert_eq!(last.header.api_key, SaslAuthenticateRequest::KEY);
    let text = format!("{last:?} {:?}", last.decode::<SaslAuthenticateRequest>());
    assert!(text.contains("bytes>") && !text.contains("115, 101, 99"), "{text}");
}
