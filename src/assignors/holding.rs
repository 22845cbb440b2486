//! What a member has while partitions are divided, and what of it another one could have.

use std::{cmp::Reverse, collections::BTreeMap};

use super::turns::Share;

/// What a member has.
#[derive(Default)]
pub(super) struct Holding {
    /// The positions of the topics that it subscribes to, in order.
    subscribed: Vec<usize>,
    /// What it had before.
    kept: Numbers,
    /// What it is about to get, and what may as well go to somebody else.
    loose: Numbers,
    /// How many partitions that are.
    pub(super) load: usize,
}

/// Numbers of partitions by the position of their topic; no topic is without any.
type Numbers = BTreeMap<usize, Vec<i32>>;

/// What may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Movable {
    /// What the member did not have before.
    Loose,
    All,
}

impl Holding {
    /// Topics come in their order.
    pub(super) fn subscribe(&mut self, topic: usize) {
        self.subscribed.push(topic);
    }

    pub(super) fn subscribes(&self, topic: usize) -> bool {
        self.subscribed.binary_search(&topic).is_ok()
    }

    /// What it had before is its own again.
    pub(super) fn keep(&mut self, topic: usize, number: i32) {
        self.kept.entry(topic).or_default().push(number);
        self.load += 1;
    }

    pub(super) fn add(&mut self, topic: usize, number: i32) {
        self.loose.entry(topic).or_default().push(number);
        self.load += 1;
    }

    /// Takes out a partition of a topic of which it has one: what it did not have before, if there is such a one.
    pub(super) fn take_out(&mut self, topic: usize) -> i32 {
        let is_loose = self.loose.contains_key(&topic);
        let numbers = if is_loose { &mut self.loose } else { &mut self.kept };
        let of_topic = numbers.get_mut(&topic).expect("the caller has seen one");
        let number = of_topic.pop().expect("topics without partitions are removed");
        if of_topic.is_empty() {
            numbers.remove(&topic);
        }
        self.load -= 1;
        number
    }

    /// Takes out a partition that it did not have before.
    pub(super) fn remove(&mut self, topic: usize, number: i32) {
        let of_topic = self.loose.entry(topic).or_default();
        let all = of_topic.len();
        of_topic.retain(|other| *other != number);
        self.load -= all - of_topic.len();
        if of_topic.is_empty() {
            self.loose.remove(&topic);
        }
    }

    /// What it did not have before.
    pub(super) fn loose(&self) -> impl Iterator<Item = (usize, i32)> {
        self.loose
            .iter()
            .flat_map(|(topic, numbers)| numbers.iter().map(move |number| (*topic, *number)))
    }

    /// The topics of which something may be moved.
    pub(super) fn topics(&self, movable: Movable) -> impl Iterator<Item = usize> {
        let kept = (movable == Movable::All).then_some(&self.kept);
        self.loose.keys().chain(kept.into_iter().flat_map(BTreeMap::keys)).copied()
    }

    /// The topic of which the taker gets a partition: the one with the most, and of what was kept only if it must be.
    pub(super) fn topic_for(&self, taker: &Self, movable: Movable) -> Option<usize> {
        let most = |numbers: &Numbers| {
            let takable = numbers.iter().filter(|(topic, _)| taker.subscribes(**topic));
            takable.map(|(topic, numbers)| (numbers.len(), Reverse(*topic))).max()
        };
        let kept = || if movable == Movable::All { most(&self.kept) } else { None };
        most(&self.loose).or_else(kept).map(|(_, Reverse(topic))| topic)
    }

    /// All partitions, in order.
    pub(super) fn share(&self) -> Share {
        let mut share = Share::with_capacity(self.load);
        for (topic, numbers) in self.kept.iter().chain(&self.loose) {
            share.extend(numbers.iter().map(|number| (*topic, *number)));
        }
        share.sort_unstable();
        share
    }
}
