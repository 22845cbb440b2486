//! Who is not let in: the error comes from `build()`, soon, though the broker lets each wait for half a second, and says why.
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
