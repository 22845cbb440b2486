//! Who may commit offsets, and what is told of them.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition},
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponsePartitions,
        },
    },
    wire::Uuid,
};
use scripted_broker::{CommittedOffset, ConnectionId, GroupState};

use crate::bed::{Bed, Member, commit, committed, fetch_request, found, pair, seconds};

fn code(bed: &mut Bed, at: ConnectionId, version: i16, request: &OffsetCommitRequest) -> ErrorCode {
    ErrorCode(bed.ask(at, version, request).topics[0].partitions[0].error_code)
}

fn fetched(
    bed: &mut Bed,
    at: ConnectionId,
    version: i16,
    partitions: Option<&[i32]>,
) -> Vec<OffsetFetchResponsePartitions> {
    found(&bed.ask(at, version, &fetch_request(version, partitions)))
        .expect("no error of the group")
}

fn with_metadata(offset: i64, epoch: i32, metadata: &str) -> OffsetCommitRequest {
    let mut request = commit(offset);
    request.topics[0].partitions[0].committed_leader_epoch = epoch;
    request.topics[0].partitions[0].committed_metadata = Some(metadata.to_owned());
    request
}

#[test]
fn what_is_committed_is_told_again_in_every_version() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    for version in 0..=9 {
        let request = with_metadata(i64::from(version), 3, "note");
        assert_eq!(code(&mut bed, at, version, &request), ErrorCode::NONE, "v{version}");
        let partition = &fetched(&mut bed, at, version, Some(&[0]))[0];
        assert_eq!(partition.committed_offset, i64::from(version));
        assert_eq!(partition.metadata.as_deref(), Some("note"));
        // Epochs are committed since version 6, and told since version 5.
        let epoch = if version >= 6 { 3 } else { -1 };
        assert_eq!(partition.committed_leader_epoch, epoch, "v{version}");
    }
    assert_eq!(bed.view().committed(("t", 0)), Some(9));
    assert_eq!(bed.view().state, GroupState::Empty);
}

#[test]
fn where_nothing_is_committed_the_offset_is_minus_1() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    for version in 0..=9 {
        let partitions = fetched(&mut bed, at, version, Some(&[0, 1, 99]));
        assert_eq!(partitions.len(), 3);
        for partition in partitions {
            assert_eq!((partition.committed_offset, partition.error_code), (-1, 0));
            assert_eq!(partition.committed_leader_epoch, -1);
            assert_eq!(partition.metadata.as_deref(), Some(""));
        }
    }
    assert_eq!(bed.view().state, GroupState::Dead, "asking makes no group");
}

#[test]
fn all_offsets_of_a_group_can_be_asked_for() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let epoch = CommittedOffset { offset: 8, leader_epoch: Some(2), metadata: "x".to_owned() };
    bed.group().set_committed(("t", 1), epoch);
    bed.group().set_committed(("t", 0), 5);
    for version in 2..=9 {
        let all = fetched(&mut bed, at, version, None);
        let offsets: Vec<_> = all.iter().map(|p| (p.partition_index, p.committed_offset)).collect();
        assert_eq!(offsets, [(0, 5), (1, 8)], "v{version}");
        assert_eq!(all[1].metadata.as_deref(), Some("x"));
    }
}

#[test]
fn several_groups_can_be_asked_for_since_version_8() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    bed.group().set_committed(("t", 0), 5);
    let now = bed.now;
    bed.cluster.group("h", now).set_committed(("t", 0), 6);
    bed.cluster.group("h", now).set_error(Some(ErrorCode::GROUP_AUTHORIZATION_FAILED));
    let mut request = fetch_request(8, Some(&[0]));
    let other = OffsetFetchRequestGroup { group_id: "h".to_owned(), ..request.groups[0].clone() };
    request.groups.push(other);
    let response = bed.ask(at, 8, &request);
    assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 5);
    let code = ErrorCode(response.groups[1].error_code);
    assert_eq!((code, response.groups[1].topics.len()), (ErrorCode::GROUP_AUTHORIZATION_FAILED, 0));
}

#[test]
fn versions_that_name_topics_by_id_are_spoken_where_a_test_wants_them() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    bed.send(at, 10, &commit(1));
    assert!(bed.is_closed(at), "they are not announced");
    let at = bed.connect(1);
    bed.cluster.state.node_mut(1).versions = vec![(8, 0, 10), (9, 0, 10)];
    let mut request = commit(4);
    request.topics[0].topic_id = Uuid([1; 16]);
    assert_eq!(code(&mut bed, at, 10, &request), ErrorCode::NONE);
    let mut ask = fetch_request(10, Some(&[0]));
    ask.groups[0].topics.as_mut().unwrap()[0].topic_id = Uuid([1; 16]);
    assert_eq!(found(&bed.ask(at, 10, &ask)).unwrap()[0].committed_offset, 4);
    let all = bed.ask(at, 10, &fetch_request(10, None));
    assert_eq!(all.groups[0].topics[0].topic_id, Uuid([1; 16]));
    request.topics[0].topic_id = Uuid([9; 16]);
    assert_eq!(code(&mut bed, at, 10, &request), ErrorCode::UNKNOWN_TOPIC_ID);
    ask.groups[0].topics.as_mut().unwrap()[0].topic_id = Uuid([9; 16]);
    let unknown = found(&bed.ask(at, 10, &ask)).unwrap()[0].error_code;
    assert_eq!(ErrorCode(unknown), ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn a_member_commits_in_its_generation_and_in_no_other() {
    let mut bed = Bed::new();
    let [first, _] = pair(&mut bed);
    assert_eq!(first.commit(&mut bed, 5), ErrorCode::NONE);
    let in_generation =
        |n| OffsetCommitRequest { generation_id_or_member_epoch: n, ..first.commit_request(6) };
    for generation in [1, 3, -1] {
        let code = code(&mut bed, first.at, 8, &in_generation(generation));
        assert_eq!(code, ErrorCode::ILLEGAL_GENERATION, "{generation}");
    }
    let stranger = OffsetCommitRequest { member_id: "x".to_owned(), ..first.commit_request(6) };
    assert_eq!(code(&mut bed, first.at, 8, &stranger), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(committed(&mut bed, first.at, 8), 5);
}

#[test]
fn a_commit_of_nobody_is_for_groups_without_members() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    assert_eq!(code(&mut bed, at, 8, &commit(1)), ErrorCode::NONE);
    let mut member = Member::of(&mut bed);
    member.settle(&mut bed);
    assert_eq!(code(&mut bed, at, 8, &commit(2)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(code(&mut bed, at, 0, &commit(2)), ErrorCode::UNKNOWN_MEMBER_ID);
    member.leave(&mut bed, 5);
    assert_eq!(code(&mut bed, at, 8, &commit(3)), ErrorCode::NONE);
    assert_eq!(committed(&mut bed, at, 8), 3);
}

#[test]
fn a_commit_of_a_member_to_a_group_that_is_empty_or_unknown_is_refused() {
    let mut bed = Bed::new();
    let mut member = Member { id: "x".to_owned(), generation: 1, ..Member::of(&mut bed) };
    assert_eq!(member.commit(&mut bed, 1), ErrorCode::ILLEGAL_GENERATION);
    let code_9 = code(&mut bed, member.at, 9, &member.commit_request(1));
    assert_eq!(code_9, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bed.view().state, GroupState::Dead);
    bed.group().set_committed(("t", 0), 5);
    assert_eq!(member.commit(&mut bed, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    member.id.clear();
    assert_eq!(member.commit(&mut bed, 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn commits_go_on_while_members_join_but_not_while_the_leader_assigns() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    bed.group().trigger_rebalance();
    assert_eq!(first.commit(&mut bed, 1), ErrorCode::NONE);
    first.begin(&mut bed);
    assert_eq!(second.commit(&mut bed, 2), ErrorCode::NONE);
    second.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    assert_eq!(second.commit(&mut bed, 3), ErrorCode::REBALANCE_IN_PROGRESS);
    let old = Member { generation: 2, ..second };
    assert_eq!(old.commit(&mut bed, 3), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(committed(&mut bed, first.at, 8), 2);
}

#[test]
fn a_commit_keeps_the_session() {
    let mut bed = Bed::new();
    let mut member = Member::of(&mut bed);
    member.settle(&mut bed);
    for offset in 0..5 {
        bed.pass(seconds(9));
        assert_eq!(member.commit(&mut bed, offset), ErrorCode::NONE);
    }
}

#[test]
fn text_that_is_too_long_fails_for_its_partition_alone() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let mut request = with_metadata(5, -1, &"x".repeat(4097));
    request.topics[0].partitions.push(OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 6,
        committed_metadata: Some("x".repeat(4096)),
        ..OffsetCommitRequestPartition::default()
    });
    let response = bed.ask(at, 8, &request);
    let codes: Vec<_> =
        response.topics[0].partitions.iter().map(|p| ErrorCode(p.error_code)).collect();
    assert_eq!(codes, [ErrorCode::OFFSET_METADATA_TOO_LARGE, ErrorCode::NONE]);
    let view = bed.view();
    assert_eq!((view.committed(("t", 0)), view.committed(("t", 1))), (None, Some(6)));
}

#[test]
fn topics_that_are_unknown_or_forbidden_fail_alone() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let mut request = commit(5);
    request.topics.push(request.topics[0].clone());
    request.topics[0].name = "nobodys".to_owned();
    let response = bed.ask(at, 8, &request);
    let codes: Vec<_> =
        response.topics.iter().map(|t| ErrorCode(t.partitions[0].error_code)).collect();
    assert_eq!(codes, [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::NONE]);
    // Even where the commit is not admitted.
    request.generation_id_or_member_epoch = 9;
    request.member_id = "x".to_owned();
    let response = bed.ask(at, 8, &request);
    let codes: Vec<_> =
        response.topics.iter().map(|t| ErrorCode(t.partitions[0].error_code)).collect();
    assert_eq!(codes, [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::UNKNOWN_MEMBER_ID]);
    let refused = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    bed.cluster.state.topic_errors.insert("t".to_owned(), refused);
    assert_eq!(code(&mut bed, at, 8, &commit(6)), refused);
    for version in 0..=9 {
        let partition = &fetched(&mut bed, at, version, Some(&[0]))[0];
        assert_eq!((ErrorCode(partition.error_code), partition.committed_offset), (refused, -1));
    }
    assert_eq!(fetched(&mut bed, at, 8, None), []);
}

#[test]
fn offsets_of_open_transactions_are_unstable_for_who_asks_for_stable_ones() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    bed.group().set_committed(("t", 0), 5);
    bed.group().set_unstable(("t", 0), true);
    for version in [7, 8, 9] {
        let request = |require_stable| OffsetFetchRequest {
            require_stable,
            ..fetch_request(version, Some(&[0, 1]))
        };
        let partitions = found(&bed.ask(at, version, &request(true))).unwrap();
        let codes: Vec<_> = partitions.iter().map(|p| ErrorCode(p.error_code)).collect();
        assert_eq!(codes, [ErrorCode::UNSTABLE_OFFSET_COMMIT, ErrorCode::NONE], "v{version}");
        assert_eq!(partitions[0].committed_offset, -1);
        let partitions = found(&bed.ask(at, version, &request(false))).unwrap();
        assert_eq!((partitions[0].error_code, partitions[0].committed_offset), (0, 5));
    }
    bed.group().set_unstable(("t", 0), false);
    let stable = OffsetFetchRequest { require_stable: true, ..fetch_request(8, Some(&[0])) };
    assert_eq!(found(&bed.ask(at, 8, &stable)).unwrap()[0].committed_offset, 5);
}

#[test]
fn an_error_of_the_group_stands_where_the_version_has_it() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let refused = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    bed.group().set_error(Some(refused));
    for version in 0..=1 {
        let partition = &fetched(&mut bed, at, version, Some(&[0]))[0];
        assert_eq!(ErrorCode(partition.error_code), refused, "v{version}");
    }
    for version in 2..=9 {
        let response = bed.ask(at, version, &fetch_request(version, Some(&[0])));
        assert_eq!(found(&response), Err(refused), "v{version}");
    }
    assert_eq!(code(&mut bed, at, 8, &commit(1)), refused);
    let mut member = Member::of(&mut bed);
    assert_eq!(ErrorCode(member.join(&mut bed, 9).error_code), refused);
    assert_eq!(member.heartbeat(&mut bed), refused);
    bed.group().set_error(None);
    assert_eq!(code(&mut bed, at, 8, &commit(1)), ErrorCode::NONE);
}
