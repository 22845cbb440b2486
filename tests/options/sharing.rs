//! What several consumers have in common, said once.

use kafka_blocking::{ClientOptions, ConsumerBuilder, Error};

use static_assertions::assert_impl_all;

use crate::support::{PATIENCE, broker, next, refused};

// Consumers are made on their own threads, of one set.
assert_impl_all!(ClientOptions: Send, Sync, Clone);
assert_impl_all!(ConsumerBuilder: Send, Sync, Clone);

#[test]
fn option_client_options() {
    let broker = broker(&["a"]);
    let cluster = ClientOptions::new().bootstrap_servers(broker.address()).client_id("shared");
    let builder = || {
        ConsumerBuilder::new()
            .client_options(&cluster)
            .topics("t")
            .auto_offset_reset("earliest")
            .consumer_timeout_ms(PATIENCE)
    };
    let (one, other) = (builder().build().unwrap(), builder().client_id("mine").build().unwrap());
    assert_eq!(next(&one).value(), Some(&b"a"[..]));
    assert_eq!(next(&other).value(), Some(&b"a"[..]));
    let mut ids: Vec<_> = broker.requests().into_iter().map(|r| r.header.client_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids, [Some("mine".to_owned()), Some("shared".to_owned())]);
}

#[test]
fn a_wrong_value_in_a_shared_set_fails_each_consumer_that_uses_it() {
    let cluster = ClientOptions::new().set("bootstrap_server", "a:9092");
    for topic in ["t", "u"] {
        let error = refused(ConsumerBuilder::new().topics(topic).client_options(&cluster));
        let Error::Configuration(error) = error else { panic!("{error}") };
        assert_eq!(error.option, "bootstrap_server");
        assert!(error.allowed.ends_with("is it bootstrap_servers?"), "{error}");
    }
}

#[test]
fn shared_options_are_options_of_the_consumer_under_the_same_names() {
    assert!(!ClientOptions::NAMES.is_empty());
    for name in ClientOptions::NAMES {
        assert!(ConsumerBuilder::NAMES.contains(name), "{name}");
    }
}
