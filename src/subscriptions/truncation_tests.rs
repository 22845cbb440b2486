//! Which places a leader has to confirm, and where its answers lead: the limits of each comparison.

use super::{partition::*, tests::*, *};

const HERE: Place = Place { offset: 10, epoch: Some(3) };

/// What one partition was asked about, if it has to be.
fn asked(s: &Subscriptions) -> Vec<i32> {
    s.unvalidated().map(|(_, _, epoch)| epoch).collect()
}

fn verdict(fetch: Place, answer: (i32, i64)) -> Judgement {
    judge(HERE, fetch, answer)
}

#[test]
fn a_leader_that_has_the_epoch_up_to_our_offset_or_beyond_has_what_was_read() {
    assert_eq!(verdict(HERE, (3, 10)), Judgement::Valid);
    assert_eq!(verdict(HERE, (3, 11)), Judgement::Valid);
    let parted = Judgement::Truncated(Some(Place { offset: 9, epoch: Some(3) }));
    assert_eq!(verdict(HERE, (3, 9)), parted);
}

#[test]
fn a_leader_whose_earlier_epoch_reaches_our_offset_has_what_was_read() {
    assert_eq!(verdict(HERE, (2, 10)), Judgement::Valid);
    assert_eq!(verdict(HERE, (2, 11)), Judgement::Valid);
    let parted = Judgement::Truncated(Some(Place { offset: 9, epoch: Some(2) }));
    assert_eq!(verdict(HERE, (2, 9)), parted);
    assert_eq!(
        verdict(HERE, (0, 0)),
        Judgement::Truncated(Some(Place { offset: 0, epoch: Some(0) }))
    );
}

#[test]
fn a_leader_that_cannot_tell_gives_no_place_to_go_back_to() {
    for answer in [(-1, -1), (-1, 9), (2, -1), (-1, 20)] {
        assert_eq!(verdict(HERE, answer), Judgement::Truncated(None), "{answer:?}");
    }
}

#[test]
fn what_was_fetched_ahead_is_dropped_before_the_position_is_doubted() {
    let ahead = Place { offset: 20, epoch: Some(4) };
    assert_eq!(verdict(ahead, (4, 20)), Judgement::Valid);
    for answer in [(4, 19), (3, 20), (2, 5), (-1, -1)] {
        assert_eq!(verdict(ahead, answer), Judgement::BufferDoubtful, "{answer:?}");
    }
}

#[test]
fn only_a_later_leader_is_asked_and_once() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    assert!(!s.check_epochs(&led_in(3), 1, true));
    assert_eq!(asked(&s), [0; 0], "it is the leader that it was read from");
    s.check_epochs(&led_in(5), 2, true);
    assert_eq!(asked(&s), [3]);
    assert_eq!(s.state(id).unwrap().wanted(), None, "held until it is answered");
    s.validated(id, 3, Some((3, 10)));
    assert_eq!(asked(&s), [0; 0]);
    assert_eq!(s.state(id).unwrap().wanted(), Some(HERE));
    s.check_epochs(&led_in(5), 3, true);
    assert_eq!(asked(&s), [0; 0], "that leader was asked");
    s.check_epochs(&led_in(6), 4, true);
    assert_eq!(asked(&s), [3]);
}

#[test]
fn a_leader_that_confirmed_a_fetch_is_not_asked() {
    for (confirmed, expected) in [(4, vec![3]), (5, vec![]), (6, vec![])] {
        let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
        s.advance_fetch(id, HERE, Some(confirmed));
        s.check_epochs(&led_in(5), 1, true);
        assert_eq!(asked(&s), expected, "{confirmed}");
    }
}

#[test]
fn a_place_without_an_epoch_is_not_asked_about() {
    let (mut s, _) = read_up_to(OffsetReset::Earliest, at(10));
    assert!(!s.check_epochs(&led_in(5), 1, true));
    assert_eq!(asked(&s), [0; 0]);
}

#[test]
fn a_place_that_gets_its_epoch_by_reading_is_compared_without_a_change_of_the_cluster() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, at(10));
    s.advance_fetch(id, Place { offset: 12, epoch: Some(4) }, None);
    s.check_epochs(&led_in(5), 1, false);
    assert_eq!(asked(&s), [4]);
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    s.advance_fetch(id, Place { offset: 12, epoch: Some(4) }, None);
    s.check_epochs(&led_in(5), 1, false);
    assert_eq!(asked(&s), [0; 0], "it had one, which every change of the cluster compares");
    let (mut s, id) = read_up_to(OffsetReset::Earliest, at(10));
    s.advance_fetch(id, at(12), None);
    s.check_epochs(&led_in(5), 1, false);
    s.advance_fetch(id, Place { offset: 14, epoch: Some(4) }, None);
    s.check_epochs(&led_in(5), 2, false);
    assert_eq!(asked(&s), [4]);
}

#[test]
fn metadata_that_say_the_same_twice_more_are_believed() {
    let ahead = Place { offset: 10, epoch: Some(7) };
    let (mut s, id) = read_up_to(OffsetReset::Earliest, ahead);
    for (answers, stale) in [(3, true), (4, true), (5, false), (6, false)] {
        assert_eq!(s.check_epochs(&led_in(5), answers, answers == 3), stale, "{answers}");
        assert_eq!(s.state(id).unwrap().ahead, stale);
    }
    assert_eq!(asked(&s), [7]);
}

#[test]
fn a_later_answer_does_not_make_up_for_one_that_came_too_soon() {
    let ahead = Place { offset: 10, epoch: Some(7) };
    let (mut s, id) = read_up_to(OffsetReset::Earliest, ahead);
    s.check_epochs(&led_in(5), 3, true);
    assert!(!s.check_epochs(&led_in(7), 4, true), "the leader that it was read from");
    assert_eq!(s.state(id).unwrap().wanted(), Some(ahead));
    assert_eq!(asked(&s), [0; 0]);
}

#[test]
fn an_answer_about_an_earlier_place_decides_nothing() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 2, Some((2, 4)));
    assert_eq!(asked(&s), [3]);
    assert_eq!(s.state(id).unwrap().offset(), Some(10));
}

#[test]
fn a_doubtful_buffer_is_void_and_the_position_is_asked_about() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    let old = s.state(id).unwrap().voids;
    s.advance_fetch(id, Place { offset: 20, epoch: Some(4) }, None);
    s.check_epochs(&led_in(6), 1, true);
    assert_eq!(asked(&s), [4]);
    s.take_voided();
    s.validated(id, 4, Some((4, 15)));
    assert_eq!(s.take_voided(), [id].into());
    assert!(s.state(id).unwrap().voids > old);
    assert_eq!(asked(&s), [3]);
    assert_eq!(s.state(id).unwrap().fetch_offset(), Some(10));
    s.validated(id, 3, Some((3, 12)));
    assert_eq!(s.state(id).unwrap().wanted(), Some(HERE));
}

#[test]
fn an_epoch_that_the_leader_knows_by_another_number_is_taken_over_where_we_are() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 3, Some((2, 10)));
    let taken = Some(Place { offset: 10, epoch: Some(2) });
    assert_eq!((s.state(id).unwrap().fetch, s.state(id).unwrap().position), (taken, taken));
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    s.advance_fetch(id, Place { offset: 20, epoch: Some(4) }, None);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 4, Some((4, 20)));
    assert_eq!(s.state(id).unwrap().position, Some(HERE), "nothing was said of its epoch");
}

#[test]
fn epoch_zero_is_one_that_a_leader_may_know() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, Place { offset: 10, epoch: Some(1) });
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 1, Some((0, 10)));
    assert_eq!(s.state(id).unwrap().position, Some(Place { offset: 10, epoch: Some(0) }));
}

#[test]
fn a_truncated_log_is_gone_back_in_where_a_policy_allows_it() {
    let (mut s, id) = read_up_to(OffsetReset::Latest, HERE);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 3, Some((2, 4)));
    assert_eq!(s.state(id).unwrap().position, Some(Place { offset: 4, epoch: Some(2) }));
    assert!(s.stuck().is_none());
}

#[test]
fn a_log_that_lost_all_that_was_read_is_reset() {
    let (mut s, id) = read_up_to(OffsetReset::Latest, HERE);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 3, Some((-1, -1)));
    assert_eq!(s.state(id).unwrap().reset, Some(OffsetReset::Latest));
    assert_eq!(s.unresolved().count(), 1);
    assert!(s.stuck().is_none());
}

#[test]
fn without_a_policy_a_truncated_log_is_an_error_until_a_seek() {
    let (mut s, id) = read_up_to(OffsetReset::None, HERE);
    s.check_epochs(&led_in(5), 1, true);
    s.validated(id, 3, Some((2, 4)));
    let stuck = s.stuck();
    assert!(
        matches!(stuck, Some(Error::LogTruncation { offset: 10, divergent: Some(4), .. })),
        "{stuck:?}"
    );
    assert_eq!(s.state(id).unwrap().wanted(), None, "nothing is fetched of it");
    assert_eq!(s.state(id).unwrap().offset(), Some(10));
    s.seek(&("t", 0).into(), at(4)).unwrap();
    assert!(s.stuck().is_none());
    assert_eq!(s.state(id).unwrap().wanted(), Some(at(4)));
}

#[test]
fn a_log_found_to_part_in_a_fetch_is_asked_about_where_there_is_an_epoch() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, HERE);
    s.diverged(id, 5, None);
    assert_eq!(asked(&s), [3]);
    let (mut s, id) = read_up_to(OffsetReset::Earliest, at(10));
    s.diverged(id, 5, Some((2, 4)));
    assert_eq!(asked(&s), [0; 0]);
    assert_eq!(s.state(id).unwrap().wanted(), Some(at(10)));
}
