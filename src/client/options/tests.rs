//! What a set of shared options refuses, and what it becomes.

use super::*;
use crate::error::ConfigError;

fn refused(options: ClientOptions) -> ConfigError {
    match options.resolve() {
        Err(Error::Configuration(error)) => *error,
        other => panic!("expected a configuration error: {other:?}"),
    }
}

#[test]
fn an_option_that_only_consumers_have_is_unknown_here() {
    let error = refused(ClientOptions::new().set("max_poll_records", "1"));
    assert_eq!(error.to_string(), "max_poll_records = \"1\": no such option of ClientOptions");
    let error = refused(ClientOptions::new().set("client.id", "me"));
    assert_eq!(error.allowed, "no such option of ClientOptions; is it client_id?");
}

#[test]
fn what_is_not_served_or_never_will_be_is_refused_here_too() {
    let error = refused(ClientOptions::new().set("api_version", "0.10"));
    assert_eq!(error.allowed, "not served by this version of kafka-blocking");
    let error = refused(ClientOptions::new().set("selector", "x"));
    assert!(error.allowed.contains("the operating system's own selector"), "{error}");
}

#[test]
fn by_themselves_the_defaults_fit_together() {
    let resolved = ClientOptions::new().resolve().unwrap();
    assert_eq!(resolved.connection.receive_message_max, 100_000_000);
    assert!(resolved.connection.request_timeout < resolved.connection.max_idle);
    assert!(resolved.connection.request_timeout <= resolved.api_timeout);
}

#[test]
fn a_resolver_that_is_set_replaces_an_earlier_one_and_none_replaces_nothing() {
    #[derive(Debug)]
    struct Knows(&'static str);

    impl Resolver for Knows {
        fn resolve(&self, host: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            assert_eq!(host, self.0);
            Ok(vec![])
        }
    }

    let mut options = ClientOptions::new().resolver(Knows("first"));
    options.override_with(&ClientOptions::new());
    assert!(options.resolver_or_system().resolve("first").is_ok());
    options.override_with(&ClientOptions::new().resolver(Knows("second")));
    assert!(options.resolver_or_system().resolve("second").is_ok());
    assert!(format!("{options:?}").contains("given"));
}
