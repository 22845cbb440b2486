//! What a consumer subscribes to, and what it can say of topics.

mod support;

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer, TopicPartition,
    protocol::{
        Request, api_versions::ApiVersionsRequest, fetch::FetchRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    },
};
use scripted_broker::{Partition, ScriptedBroker};
use support::{LONG, append, broker_with, builder, ends_within, take, wait_until};

const SOON: Duration = Duration::from_millis(300);

/// A broker with these topics, of one partition each, and one record in each.
fn broker_of(topics: &[&str]) -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    for topic in topics {
        broker.create_topic(topic, 1);
        broker.append(topic, 0, [*topic]);
    }
    broker
}

/// A consumer that looks at the cluster all the time.
fn watchful(broker: &ScriptedBroker) -> KafkaConsumer {
    builder(broker.address()).metadata_max_age_ms(30).build().unwrap()
}

fn set(topics: &[&str]) -> BTreeSet<String> {
    topics.iter().map(ToString::to_string).collect()
}

fn assigned_topics(consumer: &KafkaConsumer) -> BTreeSet<String> {
    consumer.assignment().unwrap().iter().map(|p| p.topic().to_owned()).collect()
}

fn take_topics(consumer: &KafkaConsumer, n: usize) -> BTreeSet<String> {
    take(consumer, n).iter().map(|record| record.topic().to_owned()).collect()
}

/// The topics that metadata requests named, from the `n`th on; `None` where it was all.
fn asked_from(broker: &ScriptedBroker, n: usize) -> Vec<Option<Vec<String>>> {
    let requests = broker.requests_of::<MetadataRequest>().into_iter().skip(n);
    let names = |r: MetadataRequest| {
        r.topics.map(|topics| topics.into_iter().filter_map(|t| t.name).collect())
    };
    requests.map(names).collect()
}

fn metadata_requests(broker: &ScriptedBroker) -> usize {
    broker.requests_of::<MetadataRequest>().len()
}

/// Polls until metadata has been asked for once more.
fn poll_until_asked(broker: &ScriptedBroker, consumer: &KafkaConsumer) {
    let before = metadata_requests(broker);
    wait_until("metadata is asked for", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        metadata_requests(broker) > before + 1
    });
}

// Which topics there are

#[test]
fn behaviour_72_topics_are_all_but_internal_ones_and_asked_for_each_time() {
    let broker = broker_of(&["b", "a", "__consumer_offsets", "__transaction_state", "__mine"]);
    let consumer = builder(broker.address()).build().unwrap();
    assert_eq!(consumer.topics().unwrap(), set(&["__mine", "a", "b"]));
    broker.create_topic("c", 1);
    broker.with_state(|state| state.topics.remove("a"));
    assert_eq!(consumer.topics().unwrap(), set(&["__mine", "b", "c"]));
    assert_eq!(asked_from(&broker, 1), [None, None]);
    assert_eq!(consumer.subscription().unwrap(), None);
}

#[test]
fn behaviour_72_partitions_of_a_topic_that_is_read_are_told_without_a_request() {
    let broker = broker_with(3, 1);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    let before = metadata_requests(&broker);
    assert_eq!(consumer.partitions_for_topic("t").unwrap(), Some([0, 1, 2].into()));
    broker.stop(1);
    assert_eq!(consumer.partitions_for_topic("t").unwrap(), Some([0, 1, 2].into()));
    assert_eq!(metadata_requests(&broker), before);
}

#[test]
fn behaviour_72_an_unknown_topic_is_none_after_one_answer_and_is_not_created() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let before = metadata_requests(&broker);
    let found = ends_within(Duration::ZERO, "partitions_for_topic()", || {
        consumer.partitions_for_topic("odrers").unwrap()
    });
    assert_eq!(found, None);
    assert_eq!(asked_from(&broker, before)[0], Some(vec!["odrers".to_owned()]));
    let created = broker.requests_of::<MetadataRequest>()[before..]
        .iter()
        .any(|r| r.allow_auto_topic_creation);
    assert!(!created);
}

#[test]
fn behaviour_72_partitions_of_a_topic_that_is_not_read_are_asked_for_and_not_kept() {
    let broker = broker_of(&["t", "other"]);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    assert_eq!(consumer.partitions_for_topic("other").unwrap(), Some([0].into()));
    broker.create_topic("other", 2);
    assert_eq!(consumer.partitions_for_topic("other").unwrap(), Some([0, 1].into()));
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["t"])));
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
    assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());
}

#[test]
fn behaviour_72_an_unauthorised_topic_is_an_error_that_names_it() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    broker.on::<MetadataRequest>().fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let error = ends_within(Duration::ZERO, "partitions_for_topic()", || {
        consumer.partitions_for_topic("t").unwrap_err()
    });
    let Error::TopicAuthorizationFailed { topics } = error else { panic!("{error:?}") };
    assert_eq!(topics, ["t"]);
    broker.clear_rules();
    assert_eq!(consumer.partitions_for_topic("t").unwrap(), Some([0].into()));
}

#[test]
fn a_topic_that_has_no_leader_yet_is_asked_about_again() {
    let broker = broker_with(2, 1);
    let consumer = builder(broker.address()).build().unwrap();
    broker.on::<MetadataRequest>().times(3).fail(ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(consumer.partitions_for_topic("t").unwrap(), Some([0, 1].into()));
    broker.on::<MetadataRequest>().fail(ErrorCode::LEADER_NOT_AVAILABLE);
    let error = ends_within(SOON, "partitions_for_topic_timeout()", || {
        consumer.partitions_for_topic_timeout("t", SOON).unwrap_err()
    });
    let text = error.to_string();
    assert!(matches!(error, Error::Timeout { operation: "partitions_for_topic", .. }), "{error:?}");
    assert!(text.contains("LEADER_NOT_AVAILABLE") && text.contains('t'), "{text}");
}

#[test]
fn fault_239_partitions_of_a_name_that_no_topic_can_have_are_refused() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let before = metadata_requests(&broker);
    for name in ["", "..", "a/b", "a b"] {
        let error = consumer.partitions_for_topic(name).unwrap_err();
        assert!(matches!(error, Error::IllegalArgument(_)), "{name:?}: {error:?}");
    }
    assert_eq!(metadata_requests(&broker), before);
    broker.on::<MetadataRequest>().fail(ErrorCode::INVALID_TOPIC_EXCEPTION);
    let error = consumer.partitions_for_topic("odd").unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    assert!(error.to_string().contains("odd"), "{error}");
}

#[test]
fn behaviour_5_after_topics_has_timed_out_only_own_topics_are_asked_about() {
    let broker = broker_of(&["t", "other"]);
    let consumer = watchful(&broker);
    consumer.subscribe(["t"]).unwrap();
    take(&consumer, 1);
    broker.pause(1);
    let error = consumer.topics_timeout(SOON).unwrap_err();
    assert!(matches!(error, Error::Timeout { operation: "topics", .. }), "{error:?}");
    broker.resume(1);
    // What was asked meanwhile is read by the broker only now.
    poll_until_asked(&broker, &consumer);
    let after = metadata_requests(&broker);
    poll_until_asked(&broker, &consumer);
    let asked = asked_from(&broker, after);
    assert!(asked.iter().all(|names| *names == Some(vec!["t".to_owned()])), "{asked:?}");
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
    assert_eq!(consumer.topics().unwrap(), set(&["other", "t"]));
}

#[test]
fn behaviour_73_bootstrap_connected_holds_once_a_broker_has_answered_and_for_good() {
    let broker = broker_with(1, 1);
    broker.stop(1);
    assert!(builder(broker.address()).bootstrap_timeout_ms(100).build().is_err());
    broker.restart(1);
    let consumer = builder(broker.address()).build().unwrap();
    assert!(consumer.bootstrap_connected());
    broker.stop(1);
    assert!(consumer.topics_timeout(Duration::from_millis(50)).is_err());
    assert!(consumer.bootstrap_connected());
    consumer.close().unwrap();
    assert!(consumer.bootstrap_connected());
}

// What is known of a partition

#[test]
fn behaviour_71_the_high_watermark_is_none_before_the_first_fetch_and_then_what_the_last_one_told()
{
    let broker = broker_with(2, 3);
    broker.on::<FetchRequest>().rewrite(|response| {
        for partition in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            partition.last_stable_offset = 1;
        }
    });
    let consumer = builder(broker.address()).isolation_level("read_committed").build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(consumer.highwater(("t", 0)).unwrap(), None);
    take(&consumer, 1);
    assert_eq!(consumer.highwater(("t", 0)).unwrap(), Some(3));
    append(&broker, 0, 2);
    take(&consumer, 4);
    assert_eq!(consumer.highwater(("t", 0)).unwrap(), Some(5));
    let error = consumer.highwater(("t", 1)).unwrap_err();
    assert!(matches!(&error, Error::IllegalState(text) if text.contains("t-1")), "{error:?}");
}

// Old brokers

/// Metadata up to a version; the rest as brokers of that time speak it, or later.
fn speak_old_metadata(broker: &ScriptedBroker, max: i16) {
    let rows = [
        (FetchRequest::KEY, 4, 11),
        (ListOffsetsRequest::KEY, 1, 5),
        (MetadataRequest::KEY, 0, max),
        (ApiVersionsRequest::KEY, 0, 2),
    ];
    broker.set_versions(1, &rows);
}

#[test]
fn brokers_of_every_age_tell_their_topics_and_create_none() {
    for max in 0..=13 {
        let broker = broker_of(&["t", "__consumer_offsets"]);
        speak_old_metadata(&broker, max);
        let consumer = builder(broker.address()).build().unwrap();
        assert_eq!(consumer.topics().unwrap(), set(&["t"]), "v{max}");
        assert_eq!(consumer.partitions_for_topic("t").unwrap(), Some([0].into()), "v{max}");
        let before = metadata_requests(&broker);
        assert_eq!(consumer.partitions_for_topic("typo").unwrap(), None, "v{max}");
        // Up to version 3 naming a topic may create it; version 0 says "all" with an empty list.
        let expected = match max {
            0 => Some(vec![]),
            1..4 => None,
            _ => Some(vec!["typo".to_owned()]),
        };
        assert_eq!(asked_from(&broker, before), [expected], "v{max}");
        consumer.subscribe_pattern("[_t]").unwrap();
        assert_eq!(take_topics(&consumer, 1), set(&["t"]), "v{max}");
    }
}

#[test]
fn without_leave_to_create_topics_old_brokers_are_not_told_their_names() {
    let broker = broker_of(&["t", "other"]);
    speak_old_metadata(&broker, 2);
    let builder = || builder(broker.address()).allow_auto_create_topics(false);
    let consumer = builder().build().unwrap();
    consumer.subscribe(["t", "absent"]).unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["t"]));
    let asked = asked_from(&broker, 0);
    assert!(asked.iter().all(|names| names.as_ref().is_none_or(Vec::is_empty)), "{asked:?}");
}

// Subscriptions by name

#[test]
fn behaviour_6_a_subscription_is_a_copy() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.subscribe(["t", "u"]).unwrap();
    let mut copy = consumer.subscription().unwrap().unwrap();
    copy.clear();
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["t", "u"])));
}

#[test]
fn behaviour_7_subscribe_and_assign_exclude_each_other_until_unsubscribe() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    let everything = |consumer: &KafkaConsumer| {
        [
            consumer.subscribe(["t"]).is_ok(),
            consumer.subscribe_pattern("t").is_ok(),
            consumer.assign([("t", 0)]).is_ok(),
        ]
    };
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(everything(&consumer), [true, false, false]);
    consumer.unsubscribe().unwrap();
    consumer.subscribe_pattern("t").unwrap();
    assert_eq!(everything(&consumer), [false, true, false]);
    consumer.unsubscribe().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(everything(&consumer), [false, false, true]);
    consumer.assign(Vec::<TopicPartition>::new()).unwrap();
    assert!(consumer.assignment().unwrap().is_empty());
    consumer.subscribe_pattern("t").unwrap();
    assert!(matches!(consumer.subscribe(["t"]), Err(Error::IllegalState(_))));
}

#[test]
fn behaviour_11_topics_come_as_any_list_of_names() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.subscribe(["foo"]).unwrap();
    consumer.subscribe(vec!["foo".to_owned()]).unwrap();
    consumer.subscribe(set(&["foo"])).unwrap();
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["foo"])));
}

#[test]
fn behaviour_77_assign_replaces_and_metadata_change_nothing_of_it() {
    let broker = broker_with(3, 2);
    let consumer = watchful(&broker);
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 1, "kept");
    broker.with_state(|state| {
        let added = Partition { leader: Some(1), ..Partition::default() };
        state.topics.get_mut("t").unwrap().partitions.push(added);
    });
    poll_until_asked(&broker, &consumer);
    assert_eq!(consumer.assignment().unwrap(), [("t", 0).into(), ("t", 1).into()]);
    assert_eq!(consumer.subscription().unwrap(), None);
    consumer.assign([("t", 2)]).unwrap();
    assert_eq!(consumer.assignment().unwrap(), [("t", 2).into()]);
    assert_eq!(take(&consumer, 1)[0].partition(), 2);
}

#[test]
fn behaviour_81_unsubscribe_clears_what_was_buffered_and_a_later_subscription_works() {
    let broker = broker_of(&["t", "u"]);
    append(&broker, 0, 5);
    let consumer = watchful(&broker);
    consumer.subscribe(["t"]).unwrap();
    take(&consumer, 2);
    consumer.unsubscribe().unwrap();
    assert!(consumer.assignment().unwrap().is_empty());
    assert_eq!(consumer.subscription().unwrap(), None);
    assert!(matches!(consumer.poll(SOON), Err(Error::IllegalState(_))));
    consumer.subscribe(["u"]).unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["u"]));
    assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty(), "nothing of t is left");
    consumer.unsubscribe().unwrap();
    consumer.subscribe_pattern("t").unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0, "it begins anew");
}

#[test]
fn behaviour_81_topics_that_were_left_are_in_no_later_request() {
    let broker = broker_of(&["t", "u"]);
    let consumer = watchful(&broker);
    consumer.subscribe(["t"]).unwrap();
    take(&consumer, 1);
    consumer.subscribe(["u"]).unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["u"]));
    let before = metadata_requests(&broker);
    poll_until_asked(&broker, &consumer);
    let asked = asked_from(&broker, before);
    assert!(asked.iter().all(|names| *names == Some(vec!["u".to_owned()])), "{asked:?}");
}

#[test]
fn an_error_about_a_topic_that_was_left_is_not_told() {
    let broker = broker_with(1, 1);
    broker.on::<MetadataRequest>().rewrite(|response| {
        for topic in response.topics.iter_mut().filter(|t| t.name.as_deref() == Some("secret")) {
            topic.error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
        }
    });
    let consumer = builder(broker.address()).topics("secret").build().unwrap();
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(take(&consumer, 1)[0].topic(), "t");
}

// Subscriptions by pattern

#[test]
fn behaviour_51_a_pattern_selects_the_topics_that_match_at_their_start() {
    let broker = broker_of(&["fizz", "foo1", "foo2", "a-foo"]);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.subscribe_pattern("foo").unwrap();
    assert_eq!(take_topics(&consumer, 2), set(&["foo1", "foo2"]));
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["foo1", "foo2"])));
    assert_eq!(assigned_topics(&consumer), set(&["foo1", "foo2"]));
    let last = broker.requests_of::<MetadataRequest>().pop().unwrap();
    assert_eq!((last.topics, last.allow_auto_topic_creation), (None, false));
}

#[test]
fn behaviour_51_topics_that_come_are_read_and_topics_that_are_deleted_go() {
    let broker = broker_of(&["m-a", "m-b", "n"]);
    let consumer = watchful(&broker);
    consumer.subscribe_pattern("m-").unwrap();
    assert_eq!(take_topics(&consumer, 2), set(&["m-a", "m-b"]));
    broker.create_topic("m-c", 2);
    broker.append("m-c", 1, ["x"]);
    assert_eq!(take_topics(&consumer, 1), set(&["m-c"]));
    broker.with_state(|state| state.topics.remove("m-a"));
    wait_until("the deleted topic goes", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().iter().all(|p| p.topic() != "m-a")
    });
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["m-b", "m-c"])));
    // And comes back, as a new topic.
    broker.create_topic("m-a", 1);
    broker.append("m-a", 0, ["new"]);
    let record = take(&consumer, 1).remove(0);
    assert_eq!((record.topic(), record.offset()), ("m-a", 0));
}

#[test]
fn a_pattern_replaces_the_one_before_and_keeps_positions_of_what_matches_both() {
    let broker = broker_of(&["a1", "a2", "b1"]);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.subscribe_pattern("a").unwrap();
    assert_eq!(take_topics(&consumer, 2), set(&["a1", "a2"]));
    consumer.subscribe_pattern(".1$").unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["b1"]));
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["a1", "b1"])));
    assert_eq!(consumer.position(("a1", 0)).unwrap(), 1);
    let error = consumer.subscribe_pattern("a(").unwrap_err();
    assert!(matches!(&error, Error::IllegalArgument(text) if text.contains("a(")), "{error:?}");
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["a1", "b1"])), "the one before stays");
}

#[test]
fn behaviour_79_internal_topics_are_read_when_they_are_named_and_not_by_a_pattern() {
    let broker = broker_of(&["t", "__consumer_offsets"]);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.subscribe_pattern(".*").unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["t"]));
    assert_eq!(consumer.subscription().unwrap(), Some(set(&["t"])));
    consumer.unsubscribe().unwrap();
    consumer.subscribe(["__consumer_offsets"]).unwrap();
    assert_eq!(take_topics(&consumer, 1), set(&["__consumer_offsets"]));
}

#[test]
fn behaviour_79_internal_topics_that_are_not_excluded_are_read_by_a_pattern() {
    let broker = broker_of(&["t", "__consumer_offsets"]);
    let consumer = builder(broker.address()).exclude_internal_topics(false).build().unwrap();
    consumer.subscribe_pattern(".*").unwrap();
    assert_eq!(take_topics(&consumer, 2), set(&["t", "__consumer_offsets"]));
    assert_eq!(consumer.topics().unwrap(), set(&["t"]), "whatever the option says");
}

#[test]
fn fault_240_a_pattern_that_matches_nothing_yet_waits_without_being_busy() {
    let broker = broker_of(&["t"]);
    let consumer =
        builder(broker.address()).retry_backoff_ms(100).metadata_max_age_ms(100).build().unwrap();
    consumer.subscribe_pattern("none-").unwrap();
    let before = broker.requests().len();
    assert!(consumer.poll(Duration::from_millis(500)).unwrap().is_empty());
    let asked = broker.requests().len() - before;
    assert!((1..=12).contains(&asked), "{asked} requests");
    assert_eq!(consumer.subscription().unwrap(), Some(set(&[])));
    broker.create_topic("none-more", 1);
    broker.append("none-more", 0, ["x"]);
    assert_eq!(take_topics(&consumer, 1), set(&["none-more"]));
}

// Clusters that do not answer

/// `topics` and `partitions_for_topic` on a cluster that has died.
fn queries_end_in_time(broker: &ScriptedBroker, die: impl FnOnce()) {
    let consumer = builder(broker.address())
        .request_timeout_ms(150)
        .default_api_timeout_ms(400)
        .build()
        .unwrap();
    die();
    let api = Duration::from_millis(400);
    let topics = ends_within(api, "topics()", || consumer.topics()).map(|_| ());
    let partitions =
        ends_within(api, "partitions_for_topic()", || consumer.partitions_for_topic("far"));
    let partitions = partitions.map(|_| ());
    let brief =
        ends_within(Duration::ZERO, "topics_timeout()", || consumer.topics_timeout(Duration::ZERO));
    for (outcome, named) in [(topics, ""), (partitions, "far"), (brief.map(|_| ()), "")] {
        let error = outcome.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(text.contains(&broker.address()) && text.contains(named), "{text}");
    }
}

#[test]
fn behaviour_82_queries_end_in_time_when_the_brokers_are_gone() {
    let broker = broker_with(1, 1);
    queries_end_in_time(&broker, || broker.stop(1));
}

#[test]
fn behaviour_82_queries_end_in_time_when_the_broker_is_paused() {
    let broker = broker_with(1, 1);
    queries_end_in_time(&broker, || broker.pause(1));
}

#[test]
fn behaviour_82_queries_end_in_time_when_metadata_are_not_answered() {
    let broker = broker_with(1, 1);
    queries_end_in_time(&broker, || broker.on::<MetadataRequest>().silence());
}

#[test]
fn a_wakeup_ends_a_query_and_the_next_one_works() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).build().unwrap();
    broker.pause(1);
    let handle = consumer.handle();
    std::thread::scope(|scope| {
        scope.spawn(move || handle.wakeup());
        assert!(matches!(consumer.topics_timeout(LONG), Err(Error::Wakeup)));
    });
    broker.resume(1);
    assert_eq!(consumer.topics().unwrap(), set(&["t"]));
}

#[test]
fn a_closed_consumer_says_so() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    consumer.close().unwrap();
    assert!(matches!(consumer.topics(), Err(Error::Closed)));
    assert!(matches!(consumer.partitions_for_topic("t"), Err(Error::Closed)));
    assert!(matches!(consumer.subscription(), Err(Error::Closed)));
    assert!(matches!(consumer.subscribe_pattern("t"), Err(Error::Closed)));
}
