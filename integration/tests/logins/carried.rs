//! A whole topic through each listener by each mechanism, written there by kafka-python, read by a group.
use std::path::Path;

use kafka_blocking_integration::Login;
use serde_json::json;

use super::{PROTOCOLS, cluster, login};

const RECORDS: usize = 10_000;

fn carry(mechanism: &str) {
    let _logs = cluster().logs_on_failure();
    for protocol in PROTOCOLS {
        let topic = format!("{mechanism}-{protocol}");
        cluster().java().create_topic(&topic, 3, 1, &[]);
        let login = login(protocol, mechanism);
        login.write_with_kafka_python(&topic, RECORDS);
        login.read_in_a_group(&topic, &topic, RECORDS).unwrap();
        assert_all_is_committed(&topic);
    }
}

fn assert_all_is_committed(topic: &str) {
    let committed = cluster().java().committed(topic);
    assert_eq!(committed.values().sum::<i64>(), 10_000, "{topic}");
}

#[test]
fn a_topic_goes_through_listeners_with_plain() {
    carry("PLAIN");
}

#[test]
fn a_topic_goes_through_listeners_with_scram_sha_256() {
    carry("SCRAM-SHA-256");
}

#[test]
fn a_topic_goes_through_listeners_with_scram_sha_512() {
    carry("SCRAM-SHA-512");
}

#[test]
fn a_topic_goes_through_listeners_with_oauthbearer() {
    carry("OAUTHBEARER");
}

#[test]
fn a_topic_goes_through_listeners_with_gssapi_by_a_keytab_and_by_a_ticket() {
    let _logs = cluster().logs_on_failure();
    let realm = cluster().kerberos();
    let tickets = cluster().home().join("tickets");
    cluster().log_in(&tickets, 600);
    let ways: [(&str, &Path); 2] =
        [("KRB5_CLIENT_KTNAME", &realm.keytab), ("KRB5CCNAME", &tickets)];
    // kafka-python's package for it has to be built from C, so this one is written elsewhere.
    let topic = "GSSAPI";
    cluster().java().create_topic(topic, 3, 1, &[]);
    Login::new(cluster().bootstrap(), &[]).write_with_kafka_python(topic, RECORDS);
    for (protocol, way) in PROTOCOLS.into_iter().zip(ways) {
        let group = format!("{topic}-{protocol}");
        let said = login(protocol, topic).read_in_a_process(
            env!("CARGO_BIN_EXE_group_reader"),
            (topic, &group, RECORDS),
            &realm,
            &[way],
        );
        assert_eq!(said, json!({ "read": RECORDS }), "{protocol}");
        assert_all_is_committed(&group);
    }
}
