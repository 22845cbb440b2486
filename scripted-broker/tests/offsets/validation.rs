//! Whether positions still lie in the log of a new leader.

use std::time::{Duration, Instant};

use kafka_blocking::{
    ErrorCode, Result, TopicPartition,
    client::NodeKey,
    fetcher::{
        Context,
        leaders::Question,
        validation::{Finding, Validation},
    },
    net::connection::RequestId,
    protocol::offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        OffsetForLeaderTopicResult,
    },
};

use crate::bed::{BACKOFF, Bed, MINUTE, Machine};

/// What is to be found out, and what was: in the place of the subscriptions.
struct Asker {
    validation: Validation,
    open: Vec<Question<i32>>,
    found: Vec<Finding>,
}

impl Asker {
    fn collect(&mut self) {
        while let Some(finding) = self.validation.poll_finding() {
            self.open.retain(|q| q.id != finding.id);
            self.found.push(finding);
        }
    }
}

impl Machine for Asker {
    fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let ours = self.validation.take_response(node, id, result, cx);
        self.collect();
        ours
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        self.validation.ask(self.open.clone(), cx);
        self.collect();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.validation.poll_timeout()
    }
}

/// A question where the epoch 5 of each partition ended, of which there is one a node.
fn bed(nodes: u8) -> Bed<Asker> {
    let question = |n: u8| Question {
        id: n.into(),
        partition: TopicPartition::new("t", i32::from(n) - 1),
        what: 5,
    };
    let asker = Asker {
        validation: Validation::new(BACKOFF),
        open: (1..=nodes).map(question).collect(),
        found: Vec::new(),
    };
    let mut bed = Bed::new(nodes, asker);
    for n in 1..=nodes {
        bed.set_highest::<OffsetForLeaderEpochRequest>(n.into(), Some(4));
    }
    bed
}

/// The answer to a request that has the same to say about all its partitions.
fn ends(
    code: ErrorCode,
    leader_epoch: i32,
    end_offset: i64,
) -> impl FnMut(&OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse + Send + 'static {
    move |request| {
        let result =
            |partition| EpochEndOffset { error_code: code.0, partition, leader_epoch, end_offset };
        let topics = request.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(|p| result(p.partition)).collect(),
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
    }
}

fn answer_all(bed: &mut Bed<Asker>, leader_epoch: i32, end_offset: i64) {
    let all = ends(ErrorCode::NONE, leader_epoch, end_offset);
    bed.cluster.on::<OffsetForLeaderEpochRequest>().respond(all);
}

fn finding(id: u64, answer: Option<(i32, i64)>) -> Finding {
    Finding { id, asked: 5, answer }
}

#[test]
fn the_leader_is_asked_as_a_consumer_with_the_epoch_that_is_known_of_it() {
    for version in [3, 4] {
        let mut bed = bed(1);
        bed.set_highest::<OffsetForLeaderEpochRequest>(1, Some(version));
        bed.cluster.state.partition_mut("t", 0).epoch = 7;
        answer_all(&mut bed, 4, 80);
        bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty());
        assert_eq!(bed.machine.found, [finding(1, Some((4, 80)))]);
        let (_, request) = &bed.requests::<OffsetForLeaderEpochRequest>(1)[0];
        assert_eq!(request.replica_id, -1);
        let asked = &request.topics[0].partitions[0];
        assert_eq!((asked.current_leader_epoch, asked.leader_epoch), (7, 5));
    }
}

#[test]
fn fault_56_each_change_of_the_leader_is_one_question_and_not_more() {
    // The third node is there to tell who leads while the others think.
    let mut bed = bed(3);
    answer_all(&mut bed, 5, 80);
    for node in [1, 2] {
        let answer = bed.cluster.on::<OffsetForLeaderEpochRequest>().node(node);
        answer.delay(Duration::from_millis(500));
    }
    for leader in [2, 1] {
        bed.run_for(Duration::from_millis(150));
        bed.cluster.state.move_leader("t", 0, Some(leader));
        bed.refresh_metadata();
    }
    bed.run_for(Duration::from_secs(5));
    let ids = bed.machine.found.iter().map(|found| found.id);
    assert_eq!(ids.collect::<Vec<_>>(), [3, 2, 1]);
    let asked = [1, 2, 3].map(|node| {
        let partitions = bed.requests::<OffsetForLeaderEpochRequest>(node).into_iter();
        let partitions = partitions.map(|(_, r)| r.topics[0].partitions[0].clone());
        partitions.map(|p| (p.partition, p.current_leader_epoch)).collect::<Vec<_>>()
    });
    assert_eq!(asked, [vec![(0, 0), (0, 2)], vec![(1, 0), (0, 1)], vec![(2, 0)]]);
    assert_eq!(bed.spins(), 0);
}

#[test]
fn fault_157_a_leader_that_knows_no_such_epoch_is_passed_on_as_it_says() {
    let mut bed = bed(1);
    answer_all(&mut bed, -1, -1);
    bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty());
    assert_eq!(bed.machine.found, [finding(1, Some((-1, -1)))]);
}

#[test]
fn fault_158_a_fenced_or_unknown_epoch_is_asked_again_with_fresh_metadata() {
    for code in [
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode(76),
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::OFFSET_NOT_AVAILABLE,
    ] {
        let mut bed = bed(1);
        let fail = ends(code, -1, -1);
        bed.cluster.on::<OffsetForLeaderEpochRequest>().times(3).respond(fail);
        answer_all(&mut bed, 5, 80);
        bed.run_until(MINUTE, |bed| bed.machine.validation.obstacle().is_some());
        let obstacle = bed.machine.validation.obstacle().unwrap();
        assert!(obstacle.starts_with("OffsetForLeaderEpoch of t-0: "), "{obstacle}");
        let asked =
            bed.cluster.requests_of::<kafka_blocking::protocol::metadata::MetadataRequest>();
        let took = bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty());
        assert_eq!(took, 3 * BACKOFF, "{code}");
        assert_eq!(bed.machine.found, [finding(1, Some((5, 80)))], "{code}");
        let later =
            bed.cluster.requests_of::<kafka_blocking::protocol::metadata::MetadataRequest>();
        assert!(later.len() > asked.len(), "{code}: metadata is asked for");
    }
}

#[test]
fn fault_160_connections_that_end_and_errors_that_stay_are_asked_again_and_find_nothing() {
    let mut bed = bed(2);
    bed.cluster.on::<OffsetForLeaderEpochRequest>().node(1).close();
    let fail = ends(ErrorCode::UNKNOWN_SERVER_ERROR, -1, -1);
    bed.cluster.on::<OffsetForLeaderEpochRequest>().node(2).respond(fail);
    bed.run_for(Duration::from_secs(10));
    assert!(bed.machine.found.is_empty());
    let asked = [1, 2].map(|node| bed.requests::<OffsetForLeaderEpochRequest>(node).len());
    assert!((5..=101).contains(&asked[0]) && (90..=101).contains(&asked[1]), "{asked:?}");
    assert_eq!(bed.spins(), 0);
    bed.cluster.clear_rules();
    answer_all(&mut bed, 5, 80);
    bed.run_until(MINUTE, |bed| bed.machine.found.len() == 2);
}

#[test]
fn fault_160_a_silent_leader_is_left_for_its_successor() {
    let mut bed = bed(2);
    bed.cluster.on::<OffsetForLeaderEpochRequest>().node(1).silence();
    answer_all(&mut bed, 5, 80);
    bed.run_until(MINUTE, |bed| bed.machine.found == [finding(2, Some((5, 80)))]);
    bed.cluster.state.move_leader("t", 0, Some(2));
    let took = bed.run_until(MINUTE, |bed| bed.machine.found.len() == 2);
    assert!(took <= Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn fault_161_an_old_broker_is_not_asked() {
    for highest in [None, Some(0), Some(2)] {
        let mut bed = bed(1);
        bed.set_highest::<OffsetForLeaderEpochRequest>(1, highest);
        bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty());
        assert_eq!(bed.machine.found, [finding(1, None)]);
        assert!(bed.requests::<OffsetForLeaderEpochRequest>(1).is_empty());
    }
}

#[test]
fn fault_161_without_the_right_to_ask_the_check_is_left_out() {
    for code in [ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::CLUSTER_AUTHORIZATION_FAILED] {
        let mut bed = bed(1);
        bed.cluster.on::<OffsetForLeaderEpochRequest>().respond(ends(code, -1, -1));
        bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty());
        assert_eq!(bed.machine.found, [finding(1, None)], "{code}");
    }
}

#[test]
fn an_end_below_undefined_is_no_finding() {
    let mut bed = bed(1);
    let bad = ends(ErrorCode::NONE, 5, -2);
    bed.cluster.on::<OffsetForLeaderEpochRequest>().once().respond(bad);
    answer_all(&mut bed, 5, 80);
    bed.run_until(MINUTE, |bed| bed.machine.validation.obstacle().is_some());
    let obstacle = bed.machine.validation.obstacle();
    assert_eq!(obstacle, Some("OffsetForLeaderEpoch of t-0: epoch 5 ends at -2"));
    assert_eq!(bed.run_until(MINUTE, |bed| !bed.machine.found.is_empty()), BACKOFF);
    assert_eq!(bed.machine.found, [finding(1, Some((5, 80)))]);
}
