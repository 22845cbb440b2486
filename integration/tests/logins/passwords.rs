//! A password that changes while a consumer is at work, and a session that the broker wants to be renewed.
use std::time::{Duration, Instant};

use kafka_blocking::{Error, KafkaConsumer};
use kafka_blocking_integration::{Login, assert_says};

use super::{at, cluster};

#[test]
fn fault_272_a_changed_password_ends_the_session_and_a_repaired_one_begins_it_again() {
    let _logs = cluster().logs_on_failure();
    set_password("carol", "carol-secret");
    let (topic, address) = ("passwords", cluster().bootstrap_of("REAUTH"));
    cluster().java().create_topic(topic, 1, 1, &[]);
    let login = scram("carol", "carol-secret").at(&address);
    assert_is_let_in(&login);
    let consumer = login.consumer().group_id(topic).topics(topic).build().unwrap();
    let writer = Login::new(cluster().bootstrap(), &[]);
    writer.write_with_kafka_python(topic, 10);
    assert_eq!(read(&consumer, 10), (0..10).collect::<Vec<_>>());

    set_password("carol", "another-secret");
    let error = poll_until_error(&consumer);
    let Error::AuthenticationFailed { node, step, reason } = error else { panic!("{error:?}") };
    assert_eq!((&*node, step), (&*address, "authenticating"), "{reason}");
    assert_says(&reason, &["SCRAM-SHA-512", "uthentication failed"]);
    assert!(!reason.contains("secret"), "{reason}");
    // Every call says so, and the broker is not asked all the time: each of three connections gets its answer after half a
    // second, and then waits, longer each time.
    let began = Instant::now();
    let mut errors = 0;
    while began.elapsed() < Duration::from_secs(3) {
        errors += usize::from(consumer.poll(Duration::from_millis(50)).is_err());
    }
    assert!((1..=15).contains(&errors), "{errors} errors in three seconds");
    let call = consumer.end_offsets([(topic, 0)]).unwrap_err().to_string();
    assert_says(&call, &["uthentication failed"]);

    writer.write_with_kafka_python(topic, 10);
    set_password("carol", "carol-secret");
    assert_eq!(read(&consumer, 10), (10..20).collect::<Vec<_>>());
    consumer.close().unwrap();
}

#[test]
fn fault_263_a_password_that_is_put_right_at_the_broker_lets_in_who_was_refused() {
    let _logs = cluster().logs_on_failure();
    let login = scram("erin", "erin-secret");
    set_password("erin", "mistyped-secret");
    let error = login.consumer().build().unwrap_err();
    assert!(matches!(error, Error::AuthenticationFailed { .. }), "{error:?}");
    set_password("erin", "erin-secret");
    assert_is_let_in(&login);
    // Or in the client.
    set_password("erin", "another-secret");
    assert_is_let_in(&login.set("sasl_plain_password", "another-secret"));
}

#[test]
fn fault_264_a_user_who_is_removed_is_not_let_in_any_more() {
    let _logs = cluster().logs_on_failure();
    let login = scram("dave", "dave-secret");
    set_password("dave", "dave-secret");
    assert_is_let_in(&login);
    cluster().java().set_password("SCRAM-SHA-512", "dave", None);
    let patience = Instant::now() + PATIENCE;
    let error = loop {
        match login.consumer().build() {
            Ok(_) => assert!(Instant::now() < patience, "he still gets in"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::AuthenticationFailed { .. }), "{error:?}");
    assert_says(&error.to_string(), &["SCRAM-SHA-512", "uthentication failed"]);
}

#[test]
fn fault_269_names_and_passwords_with_special_characters_are_let_in() {
    let _logs = cluster().logs_on_failure();
    for (user, password) in [
        ("a,b=c", "with,comma=and=equals"),
        ("=2C=3D", "=2C=3D"),
        ("per%cent and space", "pässwörd, ключ"),
    ] {
        set_password(user, password);
        assert_is_let_in(&scram(user, password));
    }
}

fn scram(user: &str, password: &str) -> Login {
    at("SASL_PLAINTEXT", "SASL_PLAINTEXT")
        .set("sasl_mechanism", "SCRAM-SHA-512")
        .set("sasl_plain_username", user)
        .set("sasl_plain_password", password)
}

fn set_password(user: &str, password: &str) {
    cluster().java().set_password("SCRAM-SHA-512", user, Some(password));
}

/// The broker hears of its new users a little later.
fn assert_is_let_in(login: &Login) {
    let patience = Instant::now() + PATIENCE;
    while let Err(error) = login.consumer().build() {
        assert!(Instant::now() < patience, "{error}");
    }
}

/// The offsets of so many records, whatever errors come before them.
fn read(consumer: &KafkaConsumer, records: usize) -> Vec<i64> {
    let patience = Instant::now() + PATIENCE;
    let mut offsets = Vec::new();
    while offsets.len() < records {
        match consumer.poll(Duration::from_millis(100)) {
            Ok(polled) => offsets.extend(polled.into_records().map(|record| record.offset())),
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
        assert!(Instant::now() < patience, "{offsets:?}");
    }
    offsets
}

fn poll_until_error(consumer: &KafkaConsumer) -> Error {
    let patience = Instant::now() + PATIENCE;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Ok(polled) => assert!(polled.is_empty() && Instant::now() < patience, "no error came"),
            Err(error) => return error,
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
