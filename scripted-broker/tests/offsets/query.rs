//! Questions for offsets that a call waits for.

use scripted_broker::Record;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::bed::{BACKOFF, Bed, MINUTE, Machine};
use kafka_blocking::{
    Error, ErrorCode, Result, TopicPartition,
    client::NodeKey,
    fetcher::{
        Context,
        query::{EARLIEST, FoundOffset, FoundOffsets, LATEST, OffsetQuery},
    },
    net::connection::RequestId,
    protocol::{
        list_offsets::{
            ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopicResponse,
        },
        metadata::MetadataRequest,
    },
};

impl Machine for OffsetQuery {
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

/// A question about partitions of `t`, of which there is one a node; each has records of the times 1000 and 3000.
fn bed(nodes: u8, times: &[(i32, i64)]) -> Bed<OffsetQuery> {
    let times = times.iter().map(|(n, time)| (TopicPartition::new("t", *n), *time));
    let query = OffsetQuery::new(times.collect(), false, BACKOFF);
    let mut bed = Bed::new(nodes, query);
    for n in 0..nodes {
        let log = &mut bed.cluster.state.partition_mut("t", n.into()).log;
        log.append(&[Record::value("a").at(1_000), Record::value("b").at(3_000)], 0);
    }
    bed
}

fn answer(bed: &mut Bed<OffsetQuery>) -> Result<FoundOffsets> {
    bed.run_until(MINUTE, |bed| bed.machine.outcome().is_some());
    bed.machine.outcome().unwrap()
}

/// The offsets by partition.
fn offsets(found: &FoundOffsets) -> Vec<(i32, Option<i64>)> {
    found.iter().map(|(p, found)| (p.partition(), found.map(|f| f.offset))).collect()
}

#[test]
fn behaviour_20_a_time_is_found_between_the_first_and_the_last_offset() {
    let epoch = Some(0);
    for (time, expected) in [
        (0, Some(FoundOffset { offset: 0, timestamp: 1_000, leader_epoch: epoch })),
        (1_000, Some(FoundOffset { offset: 0, timestamp: 1_000, leader_epoch: epoch })),
        (2_000, Some(FoundOffset { offset: 1, timestamp: 3_000, leader_epoch: epoch })),
        (4_000, None),
        (i64::MAX, None),
        (EARLIEST, Some(FoundOffset { offset: 0, timestamp: -1, leader_epoch: epoch })),
        (LATEST, Some(FoundOffset { offset: 2, timestamp: -1, leader_epoch: epoch })),
    ] {
        let mut bed = bed(1, &[(0, time)]);
        assert_eq!(answer(&mut bed).unwrap(), [(("t", 0).into(), expected)].into(), "{time}");
    }
}

#[test]
fn behaviour_20_a_question_about_nothing_is_answered_at_once() {
    let query = OffsetQuery::new(BTreeMap::new(), false, BACKOFF);
    assert_eq!(query.outcome().unwrap().unwrap(), BTreeMap::new());
    assert!(query.topics().is_empty());
}

#[test]
fn behaviour_21_a_partition_that_does_not_exist_is_asked_about_until_it_does() {
    let mut bed = bed(1, &[(0, EARLIEST), (7, LATEST)]);
    assert_eq!(bed.machine.topics(), ["t".into()].into());
    bed.run_for(Duration::from_secs(5));
    assert!(bed.machine.outcome().is_none());
    assert_eq!(bed.machine.obstacle(), Some("metadata names no leader of t-7"));
    assert_eq!((bed.requests::<ListOffsetsRequest>(1).len(), bed.spins()), (1, 0));
    bed.cluster.state.create_topic("t", 8);
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(0)), (7, Some(0))]);
}

#[test]
fn behaviour_21_a_topic_that_does_not_exist_is_named() {
    let query = OffsetQuery::new([(("nope", 0).into(), LATEST)].into(), false, BACKOFF);
    let mut bed = Bed::new(1, query);
    bed.set_topics(bed.machine.topics());
    bed.run_for(Duration::from_secs(2));
    let obstacle = bed.machine.obstacle().unwrap();
    assert!(obstacle.contains("nope-0: UNKNOWN_TOPIC_OR_PARTITION (3)"), "{obstacle}");
}

#[test]
fn behaviour_29_the_first_error_ends_the_question() {
    let mut bed = bed(3, &[(0, EARLIEST), (1, EARLIEST), (2, EARLIEST)]);
    bed.cluster.on::<ListOffsetsRequest>().node(2).fail(ErrorCode::INVALID_REQUEST);
    let error = answer(&mut bed).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_REQUEST));
    assert!(error.to_string().contains("t-1"), "{error}");
    let asked = bed.cluster.requests().len();
    bed.run_for(Duration::from_secs(5));
    assert_eq!(bed.cluster.requests().len(), asked);
    assert_eq!(bed.machine.poll_timeout(), None);
}

#[test]
fn behaviour_30_a_log_without_times_has_no_offset_for_one() {
    let mut bed = bed(2, &[(0, 2_000), (1, 2_000)]);
    let code = ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT;
    bed.cluster.on::<ListOffsetsRequest>().node(1).fail(code);
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, None), (1, Some(1))]);
    assert_eq!(bed.machine.obstacle(), None);
}

#[test]
fn behaviour_30_before_version_4_there_is_no_epoch() {
    for version in 1..=3 {
        let mut bed = bed(1, &[(0, 2_000)]);
        bed.set_highest::<ListOffsetsRequest>(1, Some(version));
        let expected = FoundOffset { offset: 1, timestamp: 3_000, leader_epoch: None };
        assert_eq!(answer(&mut bed).unwrap(), [(("t", 0).into(), Some(expected))].into());
    }
}

#[test]
fn behaviour_31_what_may_come_right_is_asked_again_after_a_backoff() {
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::OFFSET_NOT_AVAILABLE,
    ] {
        let mut bed = bed(1, &[(0, LATEST)]);
        bed.cluster.on::<ListOffsetsRequest>().times(2).fail(code);
        bed.run_until(MINUTE, |bed| bed.machine.obstacle().is_some());
        assert!(bed.machine.obstacle().unwrap().contains(code.name()));
        let took = bed.run_until(MINUTE, |bed| bed.machine.outcome().is_some());
        assert_eq!(took, 2 * BACKOFF, "{code}");
        assert_eq!(offsets(&bed.machine.outcome().unwrap().unwrap()), [(0, Some(2))]);
    }
}

#[test]
fn behaviour_31_a_moved_leader_is_found_by_fresh_metadata() {
    let mut bed = bed(2, &[(0, LATEST)]);
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    bed.cluster.on::<ListOffsetsRequest>().node(1).fail(code);
    bed.cluster.on::<ListOffsetsRequest>().node(1).delay(Duration::from_millis(10));
    bed.run_until(MINUTE, |bed| !bed.requests::<ListOffsetsRequest>(1).is_empty());
    bed.cluster.state.move_leader("t", 0, Some(2));
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(2))]);
    let asked = [bed.requests::<ListOffsetsRequest>(1), bed.requests::<ListOffsetsRequest>(2)];
    assert_eq!(asked.map(|requests| requests.len()), [1, 1]);
}

#[test]
fn a_missing_right_names_all_its_topics() {
    let times = [(("t", 0).into(), LATEST), (("u", 0).into(), LATEST), (("u", 1).into(), LATEST)];
    let mut bed = Bed::new(1, OffsetQuery::new(times.into(), false, BACKOFF));
    bed.cluster.state.create_topic("u", 2);
    bed.set_topics(bed.machine.topics());
    bed.cluster.on::<ListOffsetsRequest>().fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let error = answer(&mut bed).unwrap_err();
    let Error::TopicAuthorizationFailed { topics } = error else { panic!("{error}") };
    assert_eq!(topics, ["t", "u"]);
}

#[test]
fn a_missing_right_that_metadata_tell_of_is_an_error_although_no_leader_is_known() {
    let mut bed = bed(1, &[(0, LATEST)]);
    bed.cluster.on::<MetadataRequest>().fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let error = answer(&mut bed).unwrap_err();
    let Error::TopicAuthorizationFailed { topics } = error else { panic!("{error}") };
    assert_eq!(topics, ["t"]);
    assert_eq!(bed.requests::<ListOffsetsRequest>(1).len(), 0);
}

#[test]
fn fault_153_what_two_leaders_said_is_kept_while_the_third_is_asked_again() {
    let mut bed = bed(3, &[(0, EARLIEST), (1, LATEST), (2, 2_000)]);
    bed.cluster.on::<ListOffsetsRequest>().node(2).times(2).close();
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(0)), (1, Some(2)), (2, Some(1))]);
    let asked = [1, 2, 3].map(|node| bed.requests::<ListOffsetsRequest>(node).len());
    assert_eq!(asked, [1, 3, 1]);
}

#[test]
fn fault_153_a_leader_that_is_down_is_asked_when_it_is_back() {
    let mut bed = bed(3, &[(0, LATEST), (1, LATEST), (2, LATEST)]);
    bed.set_down(2, true);
    bed.run_for(Duration::from_secs(10));
    assert!(bed.machine.outcome().is_none());
    bed.set_down(2, false);
    let found = answer(&mut bed).unwrap();
    assert_eq!(offsets(&found), [(0, Some(2)), (1, Some(2)), (2, Some(2))]);
    let asked = [1, 2, 3].map(|node| bed.requests::<ListOffsetsRequest>(node).len());
    assert_eq!((asked, bed.spins()), ([1, 1, 1], 0));
}

#[test]
fn fault_154_an_offset_below_unknown_is_malformed() {
    let mut bed = bed(1, &[(0, 2_000)]);
    bed.cluster.on::<ListOffsetsRequest>().rewrite(|response| {
        response.topics[0].partitions[0].offset = -2;
    });
    let error = answer(&mut bed).unwrap_err();
    assert_eq!(error.to_string(), "malformed ListOffsets response: t-0 has the offset -2");
}

#[test]
fn fault_154_answers_that_nobody_asked_for_are_ignored() {
    let mut bed = bed(1, &[(0, LATEST)]);
    bed.cluster.on::<ListOffsetsRequest>().rewrite(|response| {
        let stray = |partition_index, offset| ListOffsetsPartitionResponse {
            partition_index,
            offset,
            ..Default::default()
        };
        response.topics[0].partitions.extend([stray(1, 5), stray(-3, -7)]);
        response
            .topics
            .push(ListOffsetsTopicResponse { name: "other".into(), partitions: vec![stray(0, 9)] });
    });
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(2))]);
}

#[test]
fn a_partition_that_the_answer_leaves_out_is_asked_about_again() {
    let mut bed = bed(1, &[(0, LATEST)]);
    bed.cluster.on::<ListOffsetsRequest>().once().rewrite(|response| response.topics.clear());
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(2))]);
    assert_eq!(bed.requests::<ListOffsetsRequest>(1).len(), 2);
}

#[test]
fn the_end_of_a_log_that_its_leader_does_not_know_yet_is_asked_for_again() {
    let mut bed = bed(1, &[(0, LATEST)]);
    bed.cluster.on::<ListOffsetsRequest>().once().rewrite(|response| {
        response.topics[0].partitions[0].offset = -1;
    });
    assert_eq!(offsets(&answer(&mut bed).unwrap()), [(0, Some(2))]);
}

#[test]
fn a_broker_before_0_10_1_is_an_error_at_once() {
    let mut bed = bed(1, &[(0, LATEST)]);
    bed.set_highest::<ListOffsetsRequest>(1, Some(0));
    let took = bed.run_until(MINUTE, |bed| bed.machine.outcome().is_some());
    assert_eq!(took, Duration::ZERO);
    let error = bed.machine.outcome().unwrap().unwrap_err();
    assert!(matches!(&error, Error::UnsupportedVersion { api: "ListOffsets", .. }), "{error}");
}
