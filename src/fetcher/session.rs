//! What one broker has been told to fetch: incremental fetch sessions (KIP-227).
//!
//! In a session the broker remembers the partitions, so a request names only what has changed. Without one (an old
//! broker, a full cache, `enable_incremental_fetch_sessions = false`) every request names them all.

use std::collections::{BTreeMap, BTreeSet};

use crate::{subscriptions::PartitionId, types::TopicPartition, wire::Uuid};

/// What is asked about one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: Option<Uuid>,
    pub(super) offset: i64,
    /// The epoch of the record before it, and of the leader; `None` where they are not known.
    pub(super) last_fetched_epoch: Option<i32>,
    pub(super) leader_epoch: Option<i32>,
}

/// The partitions that one broker is asked for.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    /// What the broker holds of each member, or is to be told next.
    members: BTreeMap<PartitionId, Member>,
    dirty: BTreeSet<PartitionId>,
    forgotten: BTreeSet<(TopicPartition, Option<Uuid>)>,
    rotation: usize,
}

#[derive(Debug)]
struct Member {
    wanted: Ask,
    told: Option<Ask>,
}

/// What the next request says.
#[derive(Debug)]
pub(super) struct NextRequest {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) asks: Vec<Ask>,
    pub(super) forgotten: Vec<(TopicPartition, Option<Uuid>)>,
}

impl Session {
    /// Asks for a partition from now on, or for other data of it.
    pub(super) fn want(&mut self, id: PartitionId, wanted: Ask) {
        let told = self.members.remove(&id).and_then(|m| m.told);
        if let Some(old) = told.as_ref().filter(|old| old.topic_id != wanted.topic_id) {
            self.forgotten.insert((old.partition.clone(), old.topic_id));
        }
        if told.as_ref() == Some(&wanted) {
            self.dirty.remove(&id)
        } else {
            self.dirty.insert(id)
        };
        self.members.insert(id, Member { wanted, told });
    }

    /// Asks no longer for a partition.
    pub(super) fn drop_member(&mut self, id: PartitionId) {
        self.dirty.remove(&id);
        if let Some(told) = self.members.remove(&id).and_then(|m| m.told) {
            self.forgotten.insert((told.partition, told.topic_id));
        }
    }

    /// What the broker was asked for last.
    pub(super) fn told(&self, id: PartitionId) -> Option<&Ask> {
        self.members.get(&id)?.told.as_ref()
    }

    /// Whether the next request would say something new.
    pub(super) fn has_changes(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether every partition's topic has an id, without which newer versions cannot name it.
    pub(super) fn all_have_ids(&self) -> bool {
        self.members.values().all(|m| m.wanted.topic_id.is_some())
            && self.forgotten.iter().all(|(_, id)| id.is_some())
    }

    /// What to say next, taken as said. `sessions`: whether the broker has them and we want them.
    pub(super) fn next_request(&mut self, sessions: bool, by_id: bool) -> NextRequest {
        let incremental = sessions && self.id != 0 && self.epoch > 0;
        if !incremental {
            self.dirty = self.members.keys().copied().collect();
            self.forgotten.clear();
        }
        let mut asks = Vec::with_capacity(self.dirty.len());
        for id in std::mem::take(&mut self.dirty) {
            if let Some(member) = self.members.get_mut(&id) {
                member.told = Some(member.wanted.clone());
                asks.push(member.wanted.clone());
            }
        }
        // A partition assigned anew is told anew, which replaces what the broker had.
        // Where topics go by name, the one before has the same.
        self.forgotten.retain(|(partition, id)| {
            !asks.iter().any(|a| a.partition == *partition && (!by_id || a.topic_id == *id))
        });
        if !incremental && !asks.is_empty() {
            // The broker fills the answer in this order up to its limit: each partition is first in its turn.
            self.rotation = (self.rotation + 1) % asks.len();
            asks.rotate_left(self.rotation);
        }
        let (session_id, session_epoch) = match (sessions, incremental) {
            (false, _) => (0, -1),
            (true, false) => (self.id, 0),
            (true, true) => (self.id, self.epoch),
        };
        NextRequest {
            session_id,
            session_epoch,
            asks,
            forgotten: std::mem::take(&mut self.forgotten).into_iter().collect(),
        }
    }

    /// The broker answered without a top-level error, in the session that it names.
    pub(super) fn answered(&mut self, session_id: i32) {
        self.epoch = match (session_id, self.epoch) {
            (0, _) => 0,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
        self.id = session_id;
    }

    /// The broker no longer knows the session, or did not get our last request: the next one is full.
    pub(super) fn reset(&mut self, forget_id: bool) {
        self.epoch = 0;
        if forget_id {
            self.id = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(n: i32, offset: i64) -> Ask {
        Ask {
            partition: ("t", n).into(),
            topic_id: None,
            offset,
            last_fetched_epoch: None,
            leader_epoch: None,
        }
    }

    fn offsets(request: &NextRequest) -> Vec<(i32, i64)> {
        let mut all: Vec<_> =
            request.asks.iter().map(|a| (a.partition.partition(), a.offset)).collect();
        all.sort_unstable();
        all
    }

    fn established() -> Session {
        let mut session = Session::default();
        session.want(1, ask(1, 10));
        session.want(2, ask(2, 20));
        let first = session.next_request(true, true);
        assert_eq!((first.session_id, first.session_epoch), (0, 0));
        assert_eq!(offsets(&first), [(1, 10), (2, 20)]);
        session.answered(77);
        session
    }

    #[test]
    fn a_session_names_only_what_has_changed() {
        let mut session = established();
        session.want(2, ask(2, 25));
        let next = session.next_request(true, true);
        assert_eq!((next.session_id, next.session_epoch), (77, 1));
        assert_eq!(offsets(&next), [(2, 25)]);
        session.answered(77);
        let idle = session.next_request(true, true);
        assert_eq!((idle.session_epoch, idle.asks.len(), idle.forgotten.len()), (2, 0, 0));
    }

    #[test]
    fn a_partition_that_is_dropped_is_forgotten_once() {
        let mut session = established();
        session.drop_member(1);
        assert_eq!(session.next_request(true, true).forgotten.len(), 1);
        session.answered(77);
        assert_eq!(session.next_request(true, true).forgotten.len(), 0);
    }

    #[test]
    fn a_partition_dropped_and_assigned_anew_is_told_and_not_forgotten() {
        let mut session = established();
        session.drop_member(1);
        session.want(9, ask(1, 0));
        let next = session.next_request(true, true);
        assert_eq!((offsets(&next), next.forgotten.len()), (vec![(1, 0)], 0));
    }

    #[test]
    fn fault_70_a_lost_session_is_followed_by_a_full_request() {
        let mut session = established();
        session.reset(true);
        let next = session.next_request(true, true);
        assert_eq!((next.session_id, next.session_epoch), (0, 0));
        assert_eq!(offsets(&next), [(1, 10), (2, 20)]);
    }

    #[test]
    fn a_broker_that_gives_no_session_is_told_everything_each_time() {
        let mut session = established();
        session.answered(0);
        assert_eq!(session.next_request(true, true).asks.len(), 2);
    }

    #[test]
    fn without_sessions_each_partition_is_first_in_its_turn() {
        let mut session = established();
        let first: BTreeSet<i32> = (0..2)
            .map(|_| session.next_request(false, true).asks[0].partition.partition())
            .collect();
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn the_epoch_of_a_long_session_wraps_to_one() {
        let mut session = established();
        session.epoch = i32::MAX;
        session.answered(77);
        assert_eq!(session.next_request(true, true).session_epoch, 1);
    }

    fn with_id(n: i32, offset: i64, id: u8) -> Ask {
        Ask { topic_id: Some(Uuid([id; 16])), ..ask(n, offset) }
    }

    #[test]
    fn what_was_wanted_last_is_known_as_told_only_after_a_request() {
        let mut session = Session::default();
        assert!(session.is_empty() && !session.has_changes());
        session.want(1, ask(1, 10));
        assert!(session.has_changes() && !session.is_empty());
        assert_eq!(session.told(1), None);
        session.next_request(true, true);
        assert!(!session.has_changes() && !session.is_empty());
        assert_eq!(session.told(1), Some(&ask(1, 10)));
        session.want(1, ask(1, 15));
        assert!(session.has_changes());
        assert_eq!(session.told(1), Some(&ask(1, 10)));
        session.drop_member(1);
        assert!(session.is_empty() && !session.has_changes());
        assert_eq!(session.told(1), None);
    }

    #[test]
    fn a_partition_wanted_again_as_it_was_told_is_no_change() {
        let mut session = established();
        session.want(2, ask(2, 25));
        session.want(2, ask(2, 20));
        assert!(!session.has_changes());
        assert_eq!(session.next_request(true, true).asks, []);
    }

    #[test]
    fn topics_have_ids_once_all_have_them_that_are_asked_for_or_forgotten() {
        let mut session = Session::default();
        session.want(1, with_id(1, 10, 8));
        assert!(session.all_have_ids());
        session.want(2, ask(2, 20));
        assert!(!session.all_have_ids());
        session.next_request(true, false);
        session.answered(77);
        session.drop_member(2);
        assert!(!session.all_have_ids(), "the one to forget has none");
        session.next_request(true, false);
        assert!(session.all_have_ids());
    }

    #[test]
    fn a_topic_made_anew_is_asked_for_by_its_new_id_and_its_old_one_is_forgotten() {
        for (by_id, forgotten) in [(true, 1), (false, 0)] {
            let mut session = Session::default();
            session.want(1, with_id(1, 10, 8));
            session.next_request(true, by_id);
            session.answered(77);
            session.want(1, with_id(1, 0, 9));
            let next = session.next_request(true, by_id);
            assert_eq!(next.asks, [with_id(1, 0, 9)]);
            assert_eq!(next.forgotten.len(), forgotten, "by name it is the same: {by_id}");
            assert!(next.forgotten.iter().all(|(_, id)| *id == Some(Uuid([8; 16]))));
        }
    }

    #[test]
    fn a_partition_that_moves_on_is_not_forgotten() {
        let mut session = Session::default();
        session.want(1, with_id(1, 10, 8));
        session.next_request(true, true);
        session.answered(77);
        session.want(1, with_id(1, 11, 8));
        assert_eq!(session.next_request(true, true).forgotten, []);
    }

    #[test]
    fn a_partition_assigned_anew_by_the_same_id_is_not_forgotten() {
        let mut session = Session::default();
        session.want(1, with_id(1, 10, 8));
        session.next_request(true, true);
        session.answered(77);
        session.drop_member(1);
        session.want(9, with_id(1, 0, 8));
        assert_eq!(session.next_request(true, true).forgotten, []);
    }

    #[test]
    fn only_the_partition_that_is_asked_for_anew_is_not_forgotten() {
        for by_id in [true, false] {
            let mut session = established();
            session.drop_member(1);
            session.want(2, ask(2, 25));
            let next = session.next_request(true, by_id);
            assert_eq!(next.forgotten, [(("t", 1).into(), None)]);
            assert_eq!(next.asks, [ask(2, 25)]);
        }
    }

    #[test]
    fn a_full_request_forgets_nothing() {
        let mut session = established();
        session.drop_member(1);
        session.reset(false);
        let next = session.next_request(true, true);
        assert_eq!((next.session_id, next.session_epoch), (77, 0), "closes the session it had");
        assert_eq!((offsets(&next), next.forgotten.len()), (vec![(2, 20)], 0));
    }

    #[test]
    fn a_request_without_sessions_says_so_and_names_all() {
        let mut session = established();
        let next = session.next_request(false, true);
        assert_eq!((next.session_id, next.session_epoch), (0, -1));
        assert_eq!(offsets(&next), [(1, 10), (2, 20)]);
    }

    #[test]
    fn a_session_that_was_not_given_is_asked_for_again() {
        let mut session = established();
        session.answered(0);
        let next = session.next_request(true, true);
        assert_eq!((next.session_id, next.session_epoch), (0, 0));
    }

    #[test]
    fn full_requests_begin_with_each_of_three_in_order() {
        let mut session = established();
        session.want(3, ask(3, 30));
        session.rotation = 0;
        let mut order = || -> Vec<i32> {
            let next = session.next_request(false, true);
            next.asks.iter().map(|a| a.partition.partition()).collect()
        };
        assert_eq!(order(), [2, 3, 1]);
        assert_eq!(order(), [3, 1, 2]);
        assert_eq!(order(), [1, 2, 3]);
        assert_eq!(order(), [2, 3, 1]);
    }

    #[test]
    fn a_full_request_for_nothing_is_possible() {
        let next = Session::default().next_request(true, true);
        assert_eq!((next.asks.len(), next.forgotten.len()), (0, 0));
    }

    #[test]
    fn what_has_changed_goes_in_the_order_of_assignment() {
        let mut session = established();
        session.want(1, ask(1, 11));
        session.want(2, ask(2, 21));
        let first = session.next_request(true, true);
        assert_eq!(first.asks, [ask(1, 11), ask(2, 21)]);
        session.answered(77);
        session.want(1, ask(1, 12));
        session.want(2, ask(2, 22));
        assert_eq!(session.next_request(true, true).asks, [ask(1, 12), ask(2, 22)]);
    }
}
