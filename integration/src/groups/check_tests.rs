//! Histories made by hand, each with one promise broken.
use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::TopicPartition;

use super::{
    check::{Rule, Rules, Written, check, longest_silence},
    event::{Event, PartitionOffsets, What},
    member::MemberHistory,
    settings::Kind,
};

/// What happened to a member with partition 0 of a topic; times are milliseconds.
struct Play(MemberHistory);

impl Play {
    fn of(name: &str, kind: Kind) -> Self {
        let event = Event { at: Duration::ZERO, generation: Some(1), what: What::Started };
        Self(MemberHistory { name: name.to_owned(), kind, events: vec![event] })
    }

    fn at(mut self, ms: u64, what: What) -> Self {
        self.0.events.push(Event { at: Duration::from_millis(ms), generation: None, what });
        self
    }

    fn assigned(self, ms: u64, committed: Option<i64>) -> Self {
        let committed = committed.map(|offset| (p(), offset)).into_iter().collect();
        self.at(ms, What::Assigned { partitions: vec![p()], committed })
    }

    fn records(mut self, ms: u64, offsets: impl IntoIterator<Item = i64>) -> Self {
        for offset in offsets {
            let value = format!("value {offset}");
            self = self.at(ms, What::Record { partition: p(), offset, value });
        }
        self
    }

    fn commit(self, sent: u64, done: u64, offset: i64) -> Self {
        let offsets = PartitionOffsets::from([(p(), offset)]);
        self.at(sent, What::Committing(offsets.clone())).at(done, What::Committed(offsets))
    }

    fn revoked(self, ms: u64) -> Self {
        self.at(ms, What::Revoked(vec![p()]))
    }

    fn lost(self, ms: u64) -> Self {
        self.at(ms, What::Lost(vec![p()]))
    }
}

fn p() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn ours(name: &str) -> Play {
    Play::of(name, Kind::Ours)
}

/// Six records; offset 3 is no record, as a transaction's marker is none.
fn written() -> Written {
    let log = [0, 1, 2, 4, 5, 6].map(|offset| (offset, format!("value {offset}")));
    Written::from([(p(), BTreeMap::from(log))])
}

fn broken(plays: impl IntoIterator<Item = Play>, rules: &Rules) -> Vec<Rule> {
    let members: Vec<MemberHistory> = plays.into_iter().map(|play| play.0).collect();
    let violations = check(&members, &written(), rules);
    assert!(violations.is_sorted_by_key(|violation| violation.at));
    violations.into_iter().map(|violation| violation.rule).collect()
}

fn rules() -> Rules {
    Rules::strict(10)
}

#[test]
fn a_group_that_keeps_its_promises_has_no_violations() {
    let a = ours("a").assigned(1, None).records(2, [0, 1, 2]).commit(3, 4, 3).revoked(5);
    let b = ours("b").assigned(6, Some(3)).records(7, [4, 5]).commit(8, 9, 6);
    let b = b.records(10, [6]).at(11, What::Closing { commits: true }).commit(12, 12, 7);
    let b = b.revoked(13).at(14, What::Closed).at(15, What::Ended { well: true });
    let c = ours("c").assigned(15, Some(7)).at(20, What::Killed);
    assert_eq!(broken([a, b, c], &rules()), []);
}

#[test]
fn a_record_that_nobody_was_handed_is_lost() {
    let a = ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5]);
    assert_eq!(broken([a], &rules()), [Rule::NothingLost]);
    assert_eq!(broken([ours("a")], &rules()), [Rule::NothingLost]);
}

#[test]
fn a_skipped_a_repeated_and_a_changed_record_are_out_of_order() {
    let skipped = ours("a").assigned(1, None).records(2, [0, 1, 4, 5, 6]);
    assert_eq!(broken([skipped], &rules()), [Rule::InOrder, Rule::NothingLost]);
    let repeated = ours("a").assigned(1, None).records(2, [0, 1, 2, 2, 4, 5, 6]);
    assert_eq!(broken([repeated], &rules()), [Rule::InOrder]);
    let other = What::Record { partition: p(), offset: 6, value: "other".to_owned() };
    let changed = ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5]).at(3, other);
    assert_eq!(broken([changed], &rules()), [Rule::InOrder]);
}

#[test]
fn two_owners_at_a_time_are_told() {
    let a = |end: fn(Play) -> Play| {
        end(ours("a").assigned(1, None).records(2, [0, 1, 2]).commit(3, 4, 3))
    };
    let b = || ours("b").assigned(6, Some(3)).records(7, [4, 5, 6]);
    assert_eq!(broken([a(|a| a.revoked(7)), b()], &rules()), [Rule::OneOwner]);
    assert_eq!(broken([a(|a| a.at(7, What::Killed)), b()], &rules()), [Rule::OneOwner]);
    assert_eq!(broken([a(|a| a), b()], &rules()), [Rule::OneOwner]);
    let leaves = |a: Play| a.at(5, What::Closing { commits: true }).at(9, What::Closed);
    assert_eq!(broken([a(leaves), b()], &rules()), [], "it had begun to leave before");
    assert_eq!(broken([a(|a| a.lost(9)), b()], &rules()), [], "it could not know");
}

#[test]
fn a_commit_after_another_has_become_the_owner_is_told() {
    let b = || ours("b").assigned(6, Some(0)).records(7, [0, 1, 2, 4, 5, 6]);
    let a = ours("a").assigned(1, None).commit(2, 2, 0).records(3, [0]).commit(8, 8, 1).lost(9);
    assert_eq!(broken([a, b()], &rules()), [Rule::OneOwner]);
}

#[test]
fn what_is_handed_out_or_committed_without_a_tenure_is_told() {
    let all = || ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5, 6]).commit(3, 3, 7);
    assert_eq!(broken([all().revoked(4).records(5, [6])], &rules()), [Rule::Owned]);
    assert_eq!(broken([all().lost(4).records(5, [6])], &rules()), [Rule::Owned]);
    assert_eq!(broken([all().revoked(4).commit(5, 5, 7)], &rules()), [Rule::Owned]);
}

#[test]
fn a_tenure_begins_where_the_group_had_committed() {
    let a = || ours("a").assigned(1, None).records(2, [0, 1, 2]).commit(3, 3, 3).lost(4);
    let b = ours("b").assigned(5, Some(3)).records(6, [4, 5, 6]);
    assert_eq!(broken([a(), b], &rules()), [], "3 is no record, so 4 it is");
    let b = ours("b").assigned(5, Some(3)).records(6, [2, 4, 5, 6]);
    assert_eq!(broken([a(), b], &rules()), [Rule::BeginsAtCommitted]);
    let back = |kind| Play::of("b", kind).assigned(5, Some(3)).records(6, [1, 2, 4, 5, 6]);
    let lenient = Rules { may_repeat: [Kind::KafkaPython].into(), ..rules() };
    assert_eq!(broken([a(), back(Kind::KafkaPython)], &lenient), []);
    assert_eq!(broken([a(), back(Kind::Java)], &lenient), [Rule::BeginsAtCommitted]);
    let c = ours("c").assigned(1, None).records(2, [1, 2, 4, 5, 6]);
    assert_eq!(broken([c], &rules()), [Rule::BeginsAtCommitted, Rule::NothingLost]);
}

#[test]
fn what_is_committed_never_goes_back() {
    let a = || ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5, 6]);
    assert_eq!(broken([a().commit(3, 3, 3).commit(4, 4, 2)], &rules()), [Rule::NeverBack]);
    let b = || ours("b").assigned(9, Some(2)).records(10, [2, 4, 5, 6]);
    assert_eq!(broken([a().commit(3, 3, 3).lost(8), b()], &rules()), [Rule::NeverBack]);
    let c = ours("c").assigned(9, None);
    assert_eq!(broken([a().commit(3, 3, 3).lost(8), c], &rules()), [Rule::NeverBack]);
    let frozen = ours("a").assigned(1, None).records(2, [0]).commit(3, 8, 1).lost(9);
    let other = ours("b").assigned(5, Some(1)).records(6, [1, 2, 4, 5, 6]).commit(7, 7, 7);
    assert_eq!(broken([frozen, other], &rules()), [], "it was done before");
}

#[test]
fn what_is_committed_was_handed_out() {
    let a = ours("a").assigned(1, None).records(2, [0, 1, 2]).commit(3, 3, 5);
    let a = a.records(4, [4, 5, 6]);
    assert_eq!(broken([a], &rules()), [Rule::NeverAhead]);
    let a = ours("a").assigned(1, None).records(2, [0, 1, 2]).revoked(3);
    let b = ours("b").assigned(4, Some(5)).records(5, [5, 6]);
    assert_eq!(broken([a, b], &rules()), [Rule::NeverAhead, Rule::NothingLost]);
}

#[test]
fn records_are_repeated_only_after_a_tenure_that_did_not_end_cleanly() {
    let a = |kind, end: fn(Play) -> Play| {
        let a = Play::of("a", kind).assigned(1, None).records(2, [0, 1, 2, 4]).commit(3, 3, 2);
        end(a)
    };
    let b = || ours("b").assigned(9, Some(2)).records(10, [2, 4, 5, 6]);
    assert_eq!(broken([a(Kind::Ours, |a| a.at(5, What::Killed)), b()], &rules()), []);
    assert_eq!(broken([a(Kind::Ours, |a| a.lost(5)), b()], &rules()), []);
    let dropped = |a: Play| a.at(5, What::Closing { commits: false }).at(6, What::Closed);
    assert_eq!(broken([a(Kind::Ours, dropped), b()], &rules()), []);
    let revoked: fn(Play) -> Play = |a| a.revoked(5);
    let closed: fn(Play) -> Play = |a| a.at(5, What::Closing { commits: true }).at(6, What::Closed);
    for end in [revoked, closed] {
        assert_eq!(broken([a(Kind::Ours, end), b()], &rules()), [Rule::NothingTwice]);
        let lenient = Rules { may_repeat: [Kind::KafkaPython].into(), ..rules() };
        assert_eq!(broken([a(Kind::KafkaPython, end), b()], &lenient), []);
        assert_eq!(broken([a(Kind::Java, end), b()], &lenient), [Rule::NothingTwice]);
    }
}

#[test]
fn a_listener_hears_of_a_partition_once() {
    let a = || ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5, 6]);
    assert_eq!(broken([a().assigned(3, None)], &rules()), [Rule::AssignedOnce]);
    assert_eq!(broken([a().revoked(3).revoked(4)], &rules()), [Rule::RevokedOnce]);
    assert_eq!(broken([a().lost(3).lost(4)], &rules()), [Rule::RevokedOnce]);
    let nothing = || What::Revoked(Vec::new());
    assert_eq!(broken([a().at(3, nothing())], &rules()), [Rule::RevokedOnce]);
    let java = Play::of("a", Kind::Java).at(1, nothing()).assigned(2, None);
    assert_eq!(broken([java.records(3, [0, 1, 2, 4, 5, 6])], &rules()), []);
}

#[test]
fn errors_and_failed_processes_are_told() {
    let a = || ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5, 6]);
    assert_eq!(broken([a().at(3, What::Error("no".to_owned()))], &rules()), [Rule::NoErrors]);
    assert_eq!(broken([a().at(3, What::Ended { well: false })], &rules()), [Rule::NoErrors]);
}

#[test]
fn a_group_that_rebalances_too_often_is_told() {
    let mut a = ours("a").assigned(1, None).records(2, [0, 1, 2, 4, 5, 6]);
    a.0.events[2].generation = Some(11);
    assert_eq!(broken([a], &rules()), [Rule::Settles]);
}

#[test]
fn the_longest_silence_is_that_of_the_whole_group() {
    let a = ours("a").assigned(1, None).records(2, [0]).records(50, [1]);
    let b = ours("b").assigned(1, None).records(30, [0]).records(90, [1]);
    let silence = |members: &[MemberHistory]| longest_silence(members).as_millis();
    assert_eq!(silence(&[a.0.clone(), b.0]), 40);
    assert_eq!(silence(&[a.0]), 48);
    assert_eq!(silence(&[]), 0);
}
