//! When the cluster is asked what it looks like, and about which topics. On a virtual clock.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kafka_blocking::{
    Error, ErrorCode, Result,
    client::{cluster::Cluster, metadata::Query, pattern::TopicPattern},
    protocol::metadata::{MetadataRequest, MetadataRequestTopic},
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A cluster with these topics, of one partition each, and a consumer that knows the cluster.
fn simulation(nodes: u8, topics: &[&str]) -> Simulation {
    let mut sim = Simulation::new(nodes, 1, |o| o.auto_offset_reset("earliest"));
    for topic in topics {
        sim.cluster.state.create_topic(topic, 1);
        sim.cluster.state.partition_mut(topic, 0).log.append(&[(*topic).into()], 0);
    }
    sim.run_until(MINUTE, |sim| sim.machines.metadata.answers() > 0);
    sim
}

fn names(topics: &[&str]) -> BTreeSet<Arc<str>> {
    topics.iter().map(|t| (*t).into()).collect()
}

fn start(sim: &mut Simulation, query: Query) {
    let now = sim.now();
    sim.machines.metadata.start_query(query, now);
}

fn want_also(sim: &mut Simulation, topics: &[&str]) {
    let now = sim.now();
    sim.machines.metadata.want_also(names(topics), now);
}

/// The answer to the query, and how long it took.
fn answer(sim: &mut Simulation) -> (Result<Cluster>, Duration) {
    let mut answer = None;
    let took = sim.run_until(MINUTE, |sim| {
        answer = sim.machines.metadata.take_answer();
        answer.is_some()
    });
    (answer.unwrap(), took)
}

/// The topics that the last request named, and whether it had them created.
fn last_asked(sim: &Simulation) -> (Option<Vec<String>>, bool) {
    let request = sim.cluster.requests_of::<MetadataRequest>().pop().unwrap();
    let names =
        |t: Vec<MetadataRequestTopic>| t.into_iter().filter_map(|topic| topic.name).collect();
    (request.topics.map(names), request.allow_auto_topic_creation)
}

fn asked(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<MetadataRequest>().len()
}

// Queries

#[test]
fn a_query_that_a_node_does_not_answer_is_put_to_another_after_a_second() {
    let mut sim = simulation(2, &["t"]);
    sim.cluster.on::<MetadataRequest>().once().silence();
    start(&mut sim, Query::AllTopics);
    let (found, took) = answer(&mut sim);
    assert_eq!(found.unwrap().topics().count(), 1);
    assert!((ms(1_000)..ms(1_500)).contains(&took), "{took:?}");
    assert_eq!(sim.spins(), []);
}

#[test]
fn a_query_whose_connection_ends_is_asked_again_soon() {
    let mut sim = simulation(2, &["t"]);
    sim.cluster.on::<MetadataRequest>().once().close();
    start(&mut sim, Query::Topic("t".into()));
    let (found, took) = answer(&mut sim);
    assert!(found.unwrap().topic("t").is_some());
    assert!(took < ms(500), "{took:?}");
}

#[test]
fn a_query_changes_nothing_that_is_known_for_reading() {
    let mut sim = simulation(1, &["t", "u"]);
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    let changes = sim.machines.metadata.cluster().changes();
    start(&mut sim, Query::AllTopics);
    assert_eq!(answer(&mut sim).0.unwrap().topics().count(), 2);
    let cluster = sim.machines.metadata.cluster();
    assert_eq!((cluster.changes(), cluster.topics().count()), (changes, 1));
}

#[test]
fn the_answer_to_a_query_that_was_given_up_is_nobodys() {
    let mut sim = simulation(1, &["t", "u"]);
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim.cluster.on::<MetadataRequest>().once().delay(ms(500));
    start(&mut sim, Query::AllTopics);
    sim.run_for(ms(100));
    sim.machines.metadata.cancel_query();
    sim.run_for(ms(1_000));
    assert!(sim.machines.metadata.take_answer().is_none());
    assert_eq!(last_asked(&sim).0, None);
    sim.machines.metadata.request_update();
    sim.run_for(ms(1_000));
    assert_eq!(last_asked(&sim), (Some(vec!["t".to_owned()]), true), "behaviour 5");
    assert_eq!(sim.machines.metadata.cluster().topics().count(), 1);
    assert_eq!(sim.spins(), []);
}

#[test]
fn a_query_on_a_dead_cluster_waits_without_being_busy() {
    let mut sim = simulation(2, &["t"]);
    sim.stop(1);
    sim.stop(2);
    start(&mut sim, Query::AllTopics);
    let before = sim.turns();
    sim.run_for(MINUTE);
    assert!(sim.turns() - before < 2_000, "{} turns", sim.turns() - before);
    assert_eq!(sim.spins(), []);
    sim.restart(1);
    sim.restart(2);
    assert!(answer(&mut sim).0.is_ok());
}

// Topics that a call wants to know something of

#[test]
fn topics_that_are_wanted_also_are_asked_for_at_once_with_the_own_ones_and_none_is_created() {
    let mut sim = simulation(1, &["t", "u"]);
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    want_also(&mut sim, &["u"]);
    let leader = |sim: &Simulation| sim.machines.metadata.cluster().leader(&("u", 0).into());
    let took = sim.run_until(MINUTE, |sim| leader(sim).is_some());
    assert!(took < ms(50), "{took:?}");
    assert_eq!(last_asked(&sim), (Some(vec!["t".to_owned(), "u".to_owned()]), false));
    let partitions: Vec<_> = sim.machines.subscriptions.assignment().cloned().collect();
    assert_eq!(partitions, [("t", 0).into()]);

    want_also(&mut sim, &[]);
    sim.machines.metadata.request_update();
    sim.run_for(ms(1_000));
    assert_eq!(last_asked(&sim), (Some(vec!["t".to_owned()]), true));
    assert_eq!(leader(&sim), None, "forgotten");
    assert_eq!(sim.received().len(), 1);
}

#[test]
fn topics_that_are_wanted_also_and_missing_are_asked_for_now_and_then_and_are_no_error_of_poll() {
    for code in [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::TOPIC_AUTHORIZATION_FAILED] {
        let mut sim = simulation(1, &["t"]);
        sim.subscribe(&["t"]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 1);
        sim.cluster.on::<MetadataRequest>().rewrite(move |response| {
            for topic in response.topics.iter_mut().filter(|t| t.name.as_deref() == Some("u")) {
                topic.error_code = code.0;
            }
        });
        want_also(&mut sim, &["u"]);
        let before = asked(&sim);
        sim.run_for(ms(10_000));
        assert!((8..25).contains(&(asked(&sim) - before)), "{}", asked(&sim) - before);
        let error = sim.machines.metadata.cluster().topic("u").and_then(|t| t.error);
        assert_eq!(error, Some(code));
        want_also(&mut sim, &[]);
        sim.run_for(ms(2_000));
        let before = asked(&sim);
        sim.run_for(ms(10_000));
        assert_eq!(asked(&sim), before, "nobody wants it any longer");
        assert!(sim.errors().is_empty(), "{:?}", sim.errors());
        assert_eq!(sim.spins(), []);
    }
}

#[test]
fn a_new_subscription_does_not_wait_for_the_answer_about_the_one_before() {
    let mut sim = simulation(1, &["t", "u"]);
    sim.cluster.on::<MetadataRequest>().once().swallow();
    sim.subscribe(&["t"]);
    sim.run_for(ms(10));
    sim.subscribe(&["u"]);
    sim.run_for(ms(10));
    assert_eq!(last_asked(&sim).0, Some(vec!["u".to_owned()]));
}

// Patterns

fn subscribe_pattern(sim: &mut Simulation, pattern: TopicPattern) {
    let cluster = sim.machines.metadata.cluster();
    sim.machines.subscriptions.subscribe_pattern(pattern, cluster).unwrap();
    let now = sim.now();
    sim.machines.subscription_changed(now);
}

#[test]
fn behaviour_79_a_pattern_takes_internal_topics_where_they_are_not_excluded() {
    for (exclude, expected) in [(true, &["t"][..]), (false, &["__consumer_offsets", "t"])] {
        let mut sim = simulation(1, &["t", "__consumer_offsets"]);
        subscribe_pattern(&mut sim, TopicPattern::new(".*", exclude).unwrap());
        sim.run_for(ms(1_000));
        assert_eq!(sim.machines.subscriptions.subscription(), Some(&names(expected)));
        assert_eq!(sim.received().len(), expected.len());
    }
}

#[test]
fn of_all_topics_only_those_that_match_are_kept() {
    let mut sim = simulation(1, &["a", "b", "c"]);
    subscribe_pattern(&mut sim, TopicPattern::new("[ab]", true).unwrap());
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    want_also(&mut sim, &["c"]);
    sim.run_for(ms(100));
    let known = |sim: &Simulation| {
        let topics = sim.machines.metadata.cluster().topics();
        topics.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(known(&sim), names(&["a", "b", "c"]));
    assert_eq!(sim.machines.subscriptions.subscription(), Some(&names(&["a", "b"])));
    want_also(&mut sim, &[]);
    sim.cluster.state.topics.remove("a");
    sim.machines.metadata.request_update();
    sim.run_for(ms(1_000));
    assert_eq!(known(&sim), names(&["b"]));
    assert_eq!(sim.machines.subscriptions.subscription(), Some(&names(&["b"])));
}

#[test]
fn beside_a_pattern_topics_that_are_wanted_also_are_asked_for_by_name_and_new_ones_are_still_found()
{
    let mut sim = simulation(1, &["a", "other"]);
    subscribe_pattern(&mut sim, TopicPattern::new("a", true).unwrap());
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(last_asked(&sim), (None, false));
    want_also(&mut sim, &["other", "absent"]);
    sim.run_for(ms(100));
    let all = ["a", "absent", "other"].map(str::to_owned).to_vec();
    assert_eq!(last_asked(&sim), (Some(all), false));
    let absent = sim.machines.metadata.cluster().topic("absent").and_then(|t| t.error);
    assert_eq!(absent, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(sim.machines.subscriptions.subscription(), Some(&names(&["a"])));

    sim.cluster.state.create_topic("a2", 1);
    // metadata_max_age_ms
    sim.run_for(Duration::from_secs(301));
    assert_eq!(sim.machines.subscriptions.subscription(), Some(&names(&["a", "a2"])));
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
}

#[test]
fn a_call_that_looks_topics_up_does_not_keep_a_new_pattern_from_finding_its_own() {
    let mut sim = simulation(1, &["a", "other"]);
    sim.cluster.on::<MetadataRequest>().once().swallow();
    subscribe_pattern(&mut sim, TopicPattern::new("a", true).unwrap());
    sim.run_for(ms(10));
    want_also(&mut sim, &["other"]);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(2_000), "{took:?}");
}

#[test]
fn a_matching_topic_without_a_leader_is_asked_about_again_until_it_has_one() {
    let mut sim = simulation(1, &["t"]);
    sim.cluster.state.move_leader("t", 0, None);
    subscribe_pattern(&mut sim, TopicPattern::new("t", true).unwrap());
    sim.run_for(ms(3_000));
    sim.cluster.state.move_leader("t", 0, Some(1));
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(1_500), "{took:?}");
    assert_eq!(sim.spins(), []);
}

#[test]
fn a_query_that_no_answer_helps_tells_why_it_waits() {
    let mut sim = simulation(1, &["t"]);
    sim.cluster.on::<MetadataRequest>().fail(ErrorCode::LEADER_NOT_AVAILABLE);
    start(&mut sim, Query::Topic("t".into()));
    sim.run_for(ms(1_000));
    let now = sim.now();
    let error = sim.machines.timeout("partitions_for_topic", ms(1_000), "t", now);
    assert!(matches!(error, Error::Timeout { .. }));
    assert!(error.to_string().contains("LEADER_NOT_AVAILABLE"), "{error}");
}
