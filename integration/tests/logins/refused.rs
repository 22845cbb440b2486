//! Who is not let in: the error comes from `build()`, soon, though the broker lets each wait for half a second, and says why.
use std::path::Path;

use kafka_blocking::Error;
use kafka_blocking_integration::{Login, assert_says, refusal, unsecured_token};

use super::{PROTOCOLS, at, cluster, login};

/// Why somebody is not let in at a listener.
fn refused(listener: &str, login: &Login) -> String {
    let _logs = cluster().logs_on_failure();
    let said =
        refusal(&cluster().bootstrap_of(listener), "authenticating", || login.consumer().build());
    assert!(!said.contains("secret"), "{said}");
    said
}

#[test]
fn fault_262_a_wrong_password_is_refused_by_each_mechanism() {
    for protocol in PROTOCOLS {
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let login = login(protocol, mechanism).set("sasl_plain_password", "wrong-secret");
            let said = refused(protocol, &login);
            assert_says(&said, &[mechanism, "nvalid", "password"][..2]);
            assert_says(&said, &["uthentication failed"]);
        }
    }
}

#[test]
fn fault_264_a_user_that_there_is_not_is_refused_like_a_wrong_password() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let login = login("SASL_SSL", mechanism).set("sasl_plain_username", "nobody");
        assert_says(&refused("SASL_SSL", &login), &[mechanism, "uthentication failed"]);
    }
}

#[test]
fn fault_264_a_mechanism_that_the_broker_does_not_have_is_answered_with_those_that_it_has() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] {
        let login = login("SASL_PLAINTEXT", mechanism);
        let login = at_another(&login, "PLAINONLY");
        let said = refused("PLAINONLY", &login);
        assert_says(&said, &[mechanism, "does not have this mechanism", "it has PLAIN"]);
    }
}

#[test]
fn fault_265_a_broker_that_is_slow_to_refuse_is_waited_for_and_the_refusal_is_told() {
    let login = login("SASL_PLAINTEXT", "PLAIN").set("sasl_plain_password", "wrong-secret");
    let began = std::time::Instant::now();
    let said = refused("SASL_PLAINTEXT", &login);
    assert!(
        began.elapsed() > std::time::Duration::from_millis(450),
        "it was told half a second later"
    );
    assert_says(&said, &["PLAIN", "Invalid username or password"]);
}

#[test]
fn fault_275_a_token_that_is_expired_is_refused_in_the_brokers_words() {
    for protocol in PROTOCOLS {
        let builder = at(protocol, protocol).set("sasl_mechanism", "OAUTHBEARER").consumer();
        let builder =
            builder.sasl_oauth_token_provider(|| Ok::<_, String>(unsecured_token("alice", -60)));
        let address = cluster().bootstrap_of(protocol);
        let said = refusal(&address, "authenticating", || builder.build());
        assert_says(&said, &["OAUTHBEARER", "invalid_token"]);
    }
}

#[test]
fn fault_275_a_provider_of_tokens_that_fails_is_quoted_and_one_that_blocks_is_given_up() {
    let builder = || at("SASL_SSL", "SASL_SSL").set("sasl_mechanism", "OAUTHBEARER").consumer();
    let address = cluster().bootstrap_of("SASL_SSL");
    let failing = builder().sasl_oauth_token_provider(|| Err::<String, _>("the vault is locked"));
    let said = refusal(&address, "authenticating", || failing.build());
    assert_says(&said, &["OAUTHBEARER", "the vault is locked"]);
    let blocking = builder()
        .sasl_oauth_token_provider(|| {
            std::thread::sleep(std::time::Duration::from_secs(20));
            Err::<String, _>("too late")
        })
        .socket_connection_setup_timeout_ms(300)
        .bootstrap_timeout_ms(1_500);
    let began = std::time::Instant::now();
    let error = blocking.build().unwrap_err();
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert_says(&error.to_string(), &[&address, "authenticating"]);
}

#[test]
fn fault_275_without_a_ticket_or_a_key_kerberos_says_that_there_is_none() {
    let said = kerberos(&login("SASL_SSL", "GSSAPI"), &[]);
    assert_says(&said, &[&cluster().bootstrap_of("SASL_SSL"), "authenticating", "GSSAPI"]);
    assert_says(&said.to_lowercase(), &["no kerberos credentials"]);
}

#[test]
fn option_sasl_kerberos_service_name_and_the_others_name_who_the_broker_is() {
    let keytab = cluster().kerberos().keytab;
    let key: [(&str, &Path); 1] = [("KRB5_CLIENT_KTNAME", &keytab)];
    let login = || login("SASL_PLAINTEXT", "GSSAPI");
    for (option, value) in [
        ("sasl_kerberos_service_name", "other"),
        ("sasl_kerberos_domain_name", "other.example"),
        ("sasl_kerberos_name", "other@localhost"),
    ] {
        let said = kerberos(&login().set(option, value), &key);
        assert_says(
            &said,
            &[&cluster().bootstrap_of("SASL_PLAINTEXT"), "authenticating", "GSSAPI"],
        );
        assert_says(&said, &["not found in Kerberos database"]);
    }
    for (option, value) in
        [("sasl_kerberos_domain_name", "localhost"), ("sasl_kerberos_name", "kafka@localhost")]
    {
        cluster().java().create_topic(option, 1, 1, &[]);
        Login::new(cluster().bootstrap(), &[]).write_with_kafka_python(option, 10);
        let said = read_by_kerberos(&login().set(option, value), (option, 10), &key);
        assert_eq!(said["read"], 10, "{option}: {said}");
    }
}

#[test]
fn fault_255_a_listener_with_sasl_and_one_without_are_not_taken_for_each_other() {
    let plain = cluster().bootstrap();
    let login = login("SASL_PLAINTEXT", "PLAIN");
    let said = refused("PLAINTEXT", &at_another(&login, "PLAINTEXT"));
    assert_says(&said, &["ILLEGAL_SASL_STATE", "want SASL at all"]);
    let address = cluster().bootstrap_of("SASL_PLAINTEXT");
    let login = Login::new(&address, &[("bootstrap_timeout_ms", "1000")]);
    let error = login.consumer().build().unwrap_err();
    assert!(matches!(error, Error::NoBrokersAvailable(_)), "{error}");
    assert_says(&error.to_string(), &[&address]);
    assert_ne!(plain, address);
}

/// The same at another listener.
fn at_another(login: &Login, listener: &str) -> Login {
    login.clone().at(&cluster().bootstrap_of(listener))
}

/// Why somebody is not let in by Kerberos.
fn kerberos(login: &Login, environment: &[(&str, &Path)]) -> String {
    let said = read_by_kerberos(login, ("none", 1), environment);
    assert_eq!(said["kind"], "AuthenticationFailed", "{said}");
    said["error"].as_str().expect("text").to_owned()
}

fn read_by_kerberos(
    login: &Login,
    (topic, records): (&str, usize),
    environment: &[(&str, &Path)],
) -> serde_json::Value {
    let _logs = cluster().logs_on_failure();
    let program = env!("CARGO_BIN_EXE_group_reader");
    let realm = cluster().kerberos();
    login.read_in_a_process(program, (topic, topic, records), &realm, environment)
}
