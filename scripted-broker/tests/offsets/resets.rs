//! Where partitions without a position begin.

use std::time::{Duration, Instant};

use kafka_blocking::{
    Error, ErrorCode, OffsetReset, Result, TopicPartition,
    client::NodeKey,
    fetcher::{Context, offsets::OffsetResets},
    net::connection::RequestId,
    protocol::list_offsets::ListOffsetsRequest,
    subscriptions::Subscriptions,
};

use crate::bed::{BACKOFF, Bed, MINUTE, Machine};

impl Machine for OffsetResets {
    fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        self.handle_response(node, id, result, cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        self.poll(cx);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

/// Partitions of `t`, one a node, each with two records.
fn bed(nodes: u8, read_committed: bool) -> Bed<OffsetResets> {
    let mut bed = Bed::new(nodes, OffsetResets::new(read_committed, BACKOFF));
    for n in 0..nodes {
        let partition = bed.cluster.state.partition_mut("t", n.into());
        partition.log.append(&["a".into(), "b".into()], 0);
    }
    let all = (0..nodes).map(|n| TopicPartition::new("t", n.into()));
    bed.subscriptions.assign(all.collect()).unwrap();
    bed
}

fn positions(bed: &Bed<OffsetResets>) -> Vec<Option<i64>> {
    let s = &bed.subscriptions;
    s.partition_ids().filter_map(|id| s.state(id)).map(|state| state.offset()).collect()
}

#[test]
fn each_leader_is_asked_once_about_all_its_partitions() {
    let mut bed = Bed::new(1, OffsetResets::new(false, BACKOFF));
    bed.cluster.state.create_topic("t", 3);
    bed.cluster.state.create_topic("u", 1);
    // In the order in which they were assigned, another topic stands between the partitions of `t`.
    for wanted in [vec![("t", 0)], vec![("t", 0), ("u", 0)], vec![("t", 0), ("u", 0), ("t", 1)]] {
        bed.subscriptions.assign(wanted.into_iter().map(Into::into).collect()).unwrap();
    }
    bed.set_topics(["t".into(), "u".into()].into());
    bed.run_until(MINUTE, |bed| positions(bed) == [Some(0); 3]);
    let [(_, request)] = &bed.requests::<ListOffsetsRequest>(1)[..] else {
        panic!("one request: {:?}", bed.requests::<ListOffsetsRequest>(1));
    };
    let topics = request.topics.iter().map(|t| (t.name.as_str(), t.partitions.len()));
    assert_eq!(topics.collect::<Vec<_>>(), [("t", 2), ("u", 1)]);
    assert_eq!(request.replica_id, -1);
    assert_eq!(bed.spins(), 0);
}

#[test]
fn the_isolation_level_goes_to_brokers_that_know_it() {
    for (read_committed, highest, level) in
        [(false, 11, 0), (true, 11, 1), (true, 2, 1), (true, 1, 0)]
    {
        let mut bed = bed(1, read_committed);
        bed.set_highest::<ListOffsetsRequest>(1, Some(highest));
        bed.run_until(MINUTE, |bed| positions(bed) == [Some(0)]);
        let asked = bed.requests::<ListOffsetsRequest>(1);
        assert_eq!(asked[0].1.isolation_level, level, "v{highest}, {read_committed}");
    }
}

#[test]
fn behaviour_27_a_partition_without_a_leader_waits_for_metadata_and_says_so() {
    let mut bed = bed(1, false);
    bed.cluster.state.move_leader("t", 0, None);
    bed.run_for(Duration::from_secs(3));
    assert_eq!(positions(&bed), [None]);
    assert_eq!(bed.machine.obstacle(), Some("metadata names no leader of t-0"));
    assert!(bed.requests::<ListOffsetsRequest>(1).is_empty());
    bed.cluster.state.move_leader("t", 0, Some(1));
    let took = bed.run_until(MINUTE, |bed| positions(bed) == [Some(0)]);
    assert!(took <= Duration::from_millis(1_500), "{took:?}");
    assert_eq!((bed.machine.obstacle(), bed.spins()), (None, 0));
}

#[test]
fn behaviour_28_a_leader_that_is_none_any_more_is_asked_again_after_the_backoff() {
    let mut bed = bed(1, false);
    bed.cluster.on::<ListOffsetsRequest>().times(3).fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    bed.run_until(MINUTE, |bed| bed.machine.obstacle().is_some());
    let obstacle = bed.machine.obstacle().unwrap();
    assert!(obstacle.starts_with("ListOffsets of t-0: NOT_LEADER_OR_FOLLOWER (6)"), "{obstacle}");
    let took = bed.run_until(MINUTE, |bed| positions(bed) == [Some(0)]);
    assert_eq!(took, 3 * BACKOFF);
    assert_eq!(bed.machine.obstacle(), None);
}

#[test]
fn fault_152_a_leader_that_falls_silent_is_left_for_its_successor() {
    let mut bed = bed(2, false);
    bed.cluster.on::<ListOffsetsRequest>().node(1).silence();
    bed.run_until(MINUTE, |bed| positions(bed) == [None, Some(0)]);
    bed.cluster.state.move_leader("t", 0, Some(2));
    let took = bed.run_until(MINUTE, |bed| positions(bed) == [Some(0); 2]);
    assert!(took <= Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn fault_154_a_negative_offset_is_no_position() {
    let mut bed = bed(1, false);
    bed.cluster.on::<ListOffsetsRequest>().once().rewrite(|response| {
        response.topics[0].partitions[0].offset = -2;
    });
    bed.run_until(MINUTE, |bed| bed.machine.obstacle().is_some());
    assert_eq!(positions(&bed), [None]);
    assert_eq!(bed.machine.obstacle(), Some("ListOffsets of t-0: the offset is -2"));
    assert_eq!(bed.run_until(MINUTE, |bed| positions(bed) == [Some(0)]), BACKOFF);
}

#[test]
fn a_malformed_answer_is_asked_for_again_and_named() {
    let mut bed = bed(1, false);
    bed.set_highest::<ListOffsetsRequest>(1, Some(5));
    // The number of topics, behind length, correlation id and throttle time.
    bed.cluster.on::<ListOffsetsRequest>().once().corrupt(12, 0x7f);
    bed.run_until(MINUTE, |bed| bed.machine.obstacle().is_some());
    let obstacle = bed.machine.obstacle().unwrap();
    assert!(obstacle.contains("t-0: malformed ListOffsets response"), "{obstacle}");
    assert_eq!(bed.run_until(MINUTE, |bed| positions(bed) == [Some(0)]), BACKOFF);
}

#[test]
fn a_missing_right_is_an_error_each_backoff_and_no_pile_of_them() {
    let mut bed = bed(1, false);
    bed.cluster.on::<ListOffsetsRequest>().fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    bed.run_for(Duration::from_secs(10));
    let errors: Vec<Error> = std::iter::from_fn(|| bed.machine.poll_error()).collect();
    assert_eq!(errors.len(), 4);
    for error in errors {
        assert!(
            matches!(&error, Error::TopicAuthorizationFailed { topics } if *topics == ["t"]),
            "{error}"
        );
    }
    assert!(bed.requests::<ListOffsetsRequest>(1).len() <= 101);
}

#[test]
fn a_broker_before_0_10_1_is_refused_by_name() {
    let mut bed = bed(1, false);
    bed.set_highest::<ListOffsetsRequest>(1, Some(0));
    bed.run_for(Duration::from_secs(1));
    let error = bed.machine.poll_error().unwrap();
    assert!(matches!(&error, Error::UnsupportedVersion { api: "ListOffsets", .. }), "{error}");
    assert_eq!(bed.spins(), 0);
}

#[test]
fn a_partition_without_a_policy_is_not_asked_about() {
    let mut bed = bed(1, false);
    bed.subscriptions = Subscriptions::new(OffsetReset::None);
    bed.subscriptions.assign([("t", 0).into()].into()).unwrap();
    bed.run_for(Duration::from_secs(2));
    assert!(bed.requests::<ListOffsetsRequest>(1).is_empty());
    assert_eq!(positions(&bed), [None]);
}
