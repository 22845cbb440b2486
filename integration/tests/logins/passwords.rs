//! A password that changes while a consumer is at work, and a session that the broker wants to be renewed.
use std::time::{Duration, Instant};

use kafka_blocking::{Error, KafkaConsumer};
use kafka_blocking_integration::{Login, assert_says};

use super::{at, cluster};

#[test]
fn fault_272_and_263_a_changed_password_ends_the_session_and_a_repaired_one_begins_it_again() {
    let _logs = cluster().logs_on_failure();
    let java = cluster().java();
    java.set_password("SCRAM-SHA-512", "carol", Some("carol-secret"));
    let (topic, address) = ("passwords", cluster().bootstrap_of("REAUTH"));
    java.create_topic(topic, 1, 1, &[]);
    let login = at("REAUTH", "SASL_PLAINTEXT")
        .set("sasl_mechanism", "SCRAM-SHA-512")
        .set("sasl_plain_username", "carol")
        .set("sasl_plain_password", "carol-secret");
    let patience = Instant::now() + PATIENCE;
    while let Err(error) = login.consumer().build() {
        // The broker hears of its new users a little later.
        assert!(Instant::now() < patience, "{error}");
    }
    let consumer = login.consumer().group_id(topic).topics(topic).build().unwrap();
    let writer = Login::new(cluster().bootstrap(), &[]);
    writer.write_with_kafka_python(topic, 10);
    assert_eq!(read(&consumer, 10), (0..10).collect::<Vec<_>>());

    java.set_password("SCRAM-SHA-512", "carol", Some("another-secret"));
    let error = poll_until_error(&consumer);
    let Error::AuthenticationFailed { node, step, reason } = error else { panic!("{error:?}") };
    assert_eq!((&*node, step), (&*address, "authenticating"), "{reason}");
    assert_says(&reason, &["SCRAM-SHA-512", "uthentication failed"]);
    assert!(!reason.contains("secret"), "{reason}");
    // Every call says so, and the broker is not asked all the time: a second for each answer, and a wait between them.
    let began = Instant::now();
    let mut errors = 0;
    while began.elapsed() < Duration::from_secs(3) {
        errors += usize::from(consumer.poll(Duration::from_millis(50)).is_err());
    }
    assert!(errors <= 8, "{errors} errors in three seconds");
    let call = consumer.end_offsets([(topic, 0)]).unwrap_err().to_string();
    assert_says(&call, &["uthentication failed"]);

    writer.write_with_kafka_python(topic, 10);
    java.set_password("SCRAM-SHA-512", "carol", Some("carol-secret"));
    assert_eq!(read(&consumer, 10), (10..20).collect::<Vec<_>>());
    consumer.close().unwrap();
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
