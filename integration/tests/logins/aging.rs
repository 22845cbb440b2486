//! Sessions that the broker ends after five seconds, if they are not renewed, under load.
use std::{env, thread, time::Duration};

use kafka_blocking_integration::Login;

use super::{
    PASSWORD, at, cluster,
    following::{Following, assert_each_once_in_order},
    login,
};

const PARTITIONS: i32 = 6;
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// Seconds of load: 20, or `REAUTH_SECONDS`, by `integration/long reauth`.
fn seconds() -> u64 {
    env::var("REAUTH_SECONDS").map_or(20, |text| text.parse().expect("a number"))
}

#[test]
fn fault_274_a_caller_who_is_away_longer_than_its_sessions_last_stays_a_member() {
    let _logs = cluster().logs_on_failure();
    let topic = "away";
    cluster().java().create_topic(topic, 1, 1, &[]);
    Login::new(cluster().bootstrap(), &[]).write_with_kafka_python(topic, 10);
    let login = login("SASL_PLAINTEXT", "OAUTHBEARER").at(&cluster().bootstrap_of("REAUTH"));
    let consumer = login
        .consumer()
        .group_id(topic)
        .topics(topic)
        .session_timeout_ms(10_000)
        .heartbeat_interval_ms(500)
        .enable_auto_commit(false)
        .build()
        .unwrap();
    let begun = cluster().sessions(1, "REAUTH");
    for offset in 0..3 {
        assert_eq!(consumer.next().unwrap().unwrap().offset(), offset);
        consumer.commit().unwrap();
        // The broker wants a session of two seconds to be renewed.
        thread::sleep(Duration::from_secs(5));
        assert_eq!(consumer.group_metadata().unwrap().generation_id, 1);
    }
    consumer.commit().unwrap();
    assert_eq!(cluster().rebalances(topic).len(), 1);
    let sessions = cluster().sessions(1, "REAUTH");
    // Each of the three times at least one of the two or three connections is renewed twice.
    assert!(sessions.renewed - begun.renewed >= 6, "{begun:?} {sessions:?}");
}

#[test]
fn fault_271_sessions_are_renewed_under_load_and_nothing_is_lost_or_comes_twice() {
    let _logs = cluster().logs_on_failure();
    let java = cluster().java();
    let topic = "renewed";
    java.create_topic(topic, PARTITIONS, 1, &[]);
    let readers = MECHANISMS.map(|mechanism| {
        let login = at("REAUTH5", "SASL_SSL").set("sasl_mechanism", mechanism);
        let login = match mechanism {
            "OAUTHBEARER" => login.with_tokens_of("alice"),
            _ => login.set("sasl_plain_username", "alice").set("sasl_plain_password", PASSWORD),
        };
        Following::start(login.consumer().topics(topic).group_id(format!("renewed-{mechanism}")))
    });
    java.start_large_writer(topic, PARTITIONS, 1_000, 1_000);
    let before = cluster().sessions(1, "REAUTH5");
    thread::sleep(Duration::from_secs(seconds()));
    let acknowledged = java.stop_writer(topic);
    assert!(acknowledged.len() > 500 * usize::try_from(seconds()).unwrap(), "it wrote on");
    let mut stalls = 0;
    for reader in readers {
        let received = reader.finish(acknowledged.len());
        assert_each_once_in_order(&acknowledged, &received);
        let silences = received.windows(2).map(|two| two[1].at_ms.saturating_sub(two[0].at_ms));
        stalls += silences.filter(|ms| *ms >= 1_000).count() as u64;
    }
    let sessions = cluster().sessions(1, "REAUTH5");
    // Each consumer has two or three connections, and renews on each, every five seconds.
    let renewals = 2 * MECHANISMS.len() as u64 * (seconds() / 5 - 1);
    assert!(sessions.renewed - before.renewed >= renewals, "{before:?} {sessions:?}");
    assert_eq!(sessions.refused, 0, "{sessions:?}");
    // What the broker closes is asked for before the end of a session, and looked at after it: by a broker that stood still,
    // with up to three connections of each reader that saw it.
    let killed = sessions.killed - before.killed;
    assert!(killed <= 3 * stalls, "{before:?} {sessions:?}, {stalls} stalls");
    // No other connection was made anew instead; for each of those, the one that asks for the brokers, too.
    assert!(
        sessions.begun - before.begun <= 2 * (MECHANISMS.len() as u64 + killed),
        "{before:?} {sessions:?}"
    );
    println!("{} records, {sessions:?}, {stalls} stalls", acknowledged.len());
}
