//! How members keep what they had, and get as many partitions as the others all the same.
//!
//! In three steps:
//!
//! 1. *Keep*: every member has what it had before.
//! 2. *Fill*: a partition that nobody has goes to that subscriber of its topic which has the least. Topics with few
//!    subscribers come first: the others' partitions can make up for what those do to the balance.
//! 3. *Level*: while some member could take a partition from another that has at least two more, it does. The one with the
//!    most gives first, to the one with the least. What nobody had before is moved first, what was kept only after that.
//!
//! Why step 3 ends: a move takes a partition from a member with `a` and gives it to one with `b`, where `a - b >= 2`. So the
//! sum of the squares of what members have falls by `a² + b² - (a - 1)² - (b + 1)² = 2(a - b) - 2 >= 2`; it is never
//! negative, and no order of topics or members comes into it.
//!
//! Why it is balanced then: no partition can go from any member to one that has at least two fewer. Members that all subscribe
//! to the same differ by one at most. These keep as much as they can, too: whoever was filled had the least then, and with
//! one more can have only one more than the least later, so it never gives; so each move is one from above the average to
//! below it, and no fewer would do.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use super::{
    claims::Before,
    turns::{Share, Turns},
};

/// Divides the partitions anew.
pub(super) fn divide(turns: &Turns<'_>, before: &Before) -> Vec<Share> {
    let mut balance = Balance::keep(turns, before);
    balance.fill(turns, before);
    balance.level(Movable::Loose);
    balance.level(Movable::All);
    balance.members.iter().map(Member::share).collect()
}

struct Balance {
    /// In the order of their turns.
    members: Vec<Member>,
    /// How many partitions each member has, and its position.
    loads: BTreeSet<(usize, usize)>,
}

/// What a member has.
#[derive(Default)]
struct Member {
    /// The positions of the topics that it subscribes to, in order.
    subscribed: Vec<usize>,
    load: usize,
    /// What it had before.
    kept: Numbers,
    /// What it is about to get, and what may as well go to somebody else.
    loose: Numbers,
}

/// Numbers of partitions by the position of their topic; none is empty.
type Numbers = BTreeMap<usize, Vec<i32>>;

/// What may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Movable {
    Loose,
    All,
}

impl Balance {
    /// Everybody has what it had before.
    fn keep(turns: &Turns<'_>, before: &Before) -> Self {
        let mut members: Vec<Member> = turns.members.iter().map(|_| Member::default()).collect();
        for (at, topic) in turns.topics.iter().enumerate() {
            for member in &topic.subscribers {
                members[*member].subscribed.push(at);
            }
            for (number, keeper) in before.keepers(at) {
                if let Some(keeper) = keeper {
                    members[keeper].kept.entry(at).or_default().push(number);
                    members[keeper].load += 1;
                }
            }
        }
        Self { members, loads: BTreeSet::new() }
    }

    /// Gives out what nobody has.
    fn fill(&mut self, turns: &Turns<'_>, before: &Before) {
        let mut topics: Vec<usize> = (0..turns.topics.len()).collect();
        topics.sort_by_key(|topic| turns.topics[*topic].subscribers.len());
        for topic in topics {
            // Nobody else's load changes while this topic is given out, so the heap stays right.
            let subscribers = turns.topics[topic].subscribers.iter();
            let mut least: BinaryHeap<Reverse<(usize, usize)>> =
                subscribers.map(|at| Reverse((self.members[*at].load, *at))).collect();
            for (number, _) in before.keepers(topic).filter(|(_, keeper)| keeper.is_none()) {
                let Some(mut top) = least.peek_mut() else { break };
                let Reverse((load, at)) = *top;
                *top = Reverse((load + 1, at));
                self.members[at].loose.entry(topic).or_default().push(number);
                self.members[at].load += 1;
            }
        }
        self.loads =
            self.members.iter().enumerate().map(|(at, member)| (member.load, at)).collect();
    }

    /// Moves partitions until nobody can take one from a member that has at least two more.
    ///
    /// `active` are those who may have something to give. A member leaves it when nobody can take from it. That changes only
    /// when it gets a partition itself, or when another one gives and has exactly two fewer by that: with a larger
    /// difference it could have taken before. Both put it back.
    fn level(&mut self, movable: Movable) {
        let mut active = self.loads.clone();
        while let Some((load, giver)) = active.pop_last() {
            let Some((taker, topic)) = self.next_move(giver, movable) else { continue };
            active.remove(&(self.members[taker].load, taker));
            self.give(giver, taker, topic);
            active.insert((load - 1, giver));
            active.insert((self.members[taker].load, taker));
            let above = self.loads.range((load + 1, 0)..(load + 2, 0));
            let taker = &self.members[giver];
            active.extend(above.filter(|(_, at)| self.members[*at].can_give(taker, movable)));
        }
    }

    /// Who takes a partition of a member, and of which topic: of those that have at least two fewer, the one with the least.
    fn next_move(&self, giver: usize, movable: Movable) -> Option<(usize, usize)> {
        let giver = &self.members[giver];
        let fewer = self.loads.range(..(giver.load.saturating_sub(1), 0));
        let mut takers = fewer.map(|(_, at)| *at);
        let taker = takers.find(|at| giver.can_give(&self.members[*at], movable))?;
        Some((taker, giver.topic_for(&self.members[taker], movable)?))
    }

    /// Moves a partition of the topic: the giver has one.
    fn give(&mut self, giver: usize, taker: usize, topic: usize) {
        let number = self.members[giver].take_out(topic);
        self.members[taker].loose.entry(topic).or_default().push(number);
        let loads = [(giver, self.members[giver].load - 1), (taker, self.members[taker].load + 1)];
        for (at, load) in loads {
            self.loads.remove(&(self.members[at].load, at));
            self.loads.insert((load, at));
            self.members[at].load = load;
        }
    }
}

impl Member {
    fn subscribes(&self, topic: usize) -> bool {
        self.subscribed.binary_search(&topic).is_ok()
    }

    /// Whether it has a partition that the taker could have.
    fn can_give(&self, taker: &Self, movable: Movable) -> bool {
        let any = |numbers: &Numbers| numbers.keys().any(|topic| taker.subscribes(*topic));
        any(&self.loose) || movable == Movable::All && any(&self.kept)
    }

    /// The topic of which the taker gets a partition: the one with the most, and nothing that was kept if it can be.
    fn topic_for(&self, taker: &Self, movable: Movable) -> Option<usize> {
        let most = |numbers: &Numbers| {
            let takable = numbers.iter().filter(|(topic, _)| taker.subscribes(**topic));
            takable.map(|(topic, numbers)| (numbers.len(), Reverse(*topic))).max()
        };
        let kept = || if movable == Movable::All { most(&self.kept) } else { None };
        most(&self.loose).or_else(kept).map(|(_, Reverse(topic))| topic)
    }

    /// Takes out a partition of the topic, of which it has one.
    fn take_out(&mut self, topic: usize) -> i32 {
        let numbers =
            if self.loose.contains_key(&topic) { &mut self.loose } else { &mut self.kept };
        let of_topic = numbers.get_mut(&topic).expect("the topic was found here");
        let number = of_topic.pop().expect("topics without partitions are removed");
        if of_topic.is_empty() {
            numbers.remove(&topic);
        }
        number
    }

    /// All partitions, in order.
    fn share(&self) -> Share {
        let mut share = Share::with_capacity(self.load);
        for (topic, numbers) in self.kept.iter().chain(&self.loose) {
            share.extend(numbers.iter().map(|number| (*topic, *number)));
        }
        share.sort_unstable();
        share
    }
}
