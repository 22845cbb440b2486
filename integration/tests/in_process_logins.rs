//! The in-process broker lets clients log in as Kafka does.

use std::{fs, path::PathBuf};

use kafka_blocking::{protocol::metadata::MetadataRequest, testing::ScriptedBroker};
use kafka_blocking_integration::{Cluster, Printed, run_console_tool, run_with_kafka_python};
use serde_json::{Value, json};

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn broker() -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    for mechanism in MECHANISMS {
        broker.add_user(mechanism, "alice", "alice-secret");
    }
    broker
}

#[test]
fn whatever_a_client_says_to_log_in_the_answers_are_kafkas() {
    let kafka = Cluster::release("4.4.0").start();
    let exchanges = |address: &str| run_with_kafka_python("sasl_exchanges.py", &[address]);
    let expected = exchanges(&kafka.bootstrap_of("SASL_PLAINTEXT"));
    let got = exchanges(&broker().address());
    let (expected, got) = (expected.as_array().unwrap(), got.as_array().unwrap());
    assert!(expected.len() > 50 && got.len() == expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got, expected);
    }
}

#[test]
fn kafka_python_logs_in_by_every_mechanism_and_gets_nowhere_with_a_wrong_password() {
    let broker = broker();
    for mechanism in MECHANISMS {
        let said = |password: &str| -> Value {
            run_with_kafka_python("login.py", &[&broker.address(), mechanism, "alice", password])
        };
        assert_eq!(said("alice-secret"), json!({ "read": 10 }), "{mechanism}");
        let before = broker.requests_of::<MetadataRequest>().len();
        // It overlooks an answer behind which the connection ends, also Kafka's, and tries again until its time is over.
        assert_eq!(said("wrong"), json!({ "error": "KafkaTimeoutError" }), "{mechanism}");
        assert_eq!(broker.requests_of::<MetadataRequest>().len(), before, "{mechanism}");
    }
}

#[test]
fn kafkas_console_tools_log_in_by_every_mechanism_and_hear_of_a_wrong_password() {
    let broker = broker();
    for mechanism in MECHANISMS {
        let right = list_topics(&broker, mechanism, "alice-secret");
        assert!(right.success && right.output.trim() == "t", "{mechanism}: {right:?}");
        let wrong = list_topics(&broker, mechanism, "wrong");
        assert!(!wrong.success, "{mechanism}: {wrong:?}");
        assert!((wrong.output + &wrong.errors).contains(&refusal(mechanism)), "{mechanism}");
    }
    let unknown = ScriptedBroker::start();
    unknown.add_user("SCRAM-SHA-256", "alice", "alice-secret");
    let refused = list_topics(&unknown, "PLAIN", "alice-secret");
    let said = refused.output + &refused.errors;
    assert!(said.contains("mechanism 'PLAIN' not enabled in the server"), "{said}");
    assert!(said.contains("enabled mechanisms are [SCRAM-SHA-256]"), "{said}");
}

/// What is said of a wrong password.
fn refusal(mechanism: &str) -> String {
    match mechanism {
        "PLAIN" => "Authentication failed: Invalid username or password".to_owned(),
        _ => format!("invalid credentials with SASL mechanism {mechanism}"),
    }
}

fn list_topics(broker: &ScriptedBroker, mechanism: &str, password: &str) -> Printed {
    let module = match mechanism {
        "PLAIN" => "plain.PlainLoginModule",
        _ => "scram.ScramLoginModule",
    };
    let properties = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config=\
         org.apache.kafka.common.security.{module} required username=\"alice\" password=\"{password}\";\n"
    );
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{mechanism}-{password}"));
    fs::write(&file, properties).unwrap();
    let file = file.to_str().unwrap();
    let address = broker.address();
    let arguments = ["--bootstrap-server", &address, "--command-config", file, "--list"];
    run_console_tool("TopicCommand", &arguments, "")
}
