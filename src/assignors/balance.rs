//! How members keep what they had, and get as many partitions as the others all the same.
//!
//! In these steps:
//!
//! 1. *Keep*: every member has what it had before.
//! 2. *Fill*: a partition that nobody has goes to that subscriber of its topic which has the least. Topics with few
//!    subscribers come first: those of the others can make up for what these do to the balance.
//! 3. *Settle*: while a member that has at least two fewer than another can get one more at its cost by moves of what was
//!    filled, it does: straight from it, or through others, each of which passes on as many as it gets.
//! 4. *Level*: while a member can take a partition straight from one that has at least two more, it does, now also of what was
//!    kept.
//! 5. *Give back*: what a member had goes back to it where the one that has it now has one more, so the two change places;
//!    then level again, if anything went back.
//!
//! Why it ends: where a member with `a` has one fewer after some moves and one with `b` one more, and `a - b >= 2`, the sum of
//! the squares of what members have falls by `a² + b² - (a - 1)² - (b + 1)² = 2(a - b) - 2 >= 2`; it is never negative. To
//! give back leaves that sum as it is, and each time one more partition is where it was.
//!
//! Why it is balanced: no member could take a partition from one that has at least two more (what KIP-54 asks for). Members
//! that subscribe to the same differ by one at most.
//!
//! Why the rounds of the cooperative protocol end: what is held back in one is filled in the next. As step 3 leaves nothing
//! that such moves could improve, no other way to fill is better (members and partitions are a flow with convex costs: one
//! that is not cheapest has a path that makes it cheaper). One way was what the round before wanted; so the sum of squares is
//! no larger, and each further move of what is kept makes it smaller.
//!
//! Why members that subscribe to the same keep all they can: whoever was filled had the least then, and with one more can only
//! have one more than the least later, so it never gives; so each move is one from above the average to below it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use super::{
    claims::Before,
    holding::{Holding, Movable},
    turns::{Share, Turns},
};

/// Divides the partitions anew.
pub(super) fn divide(turns: &Turns<'_>, before: &Before) -> Vec<Share> {
    let mut balance = Balance::keep(turns, before);
    balance.fill(before);
    balance.settle();
    balance.level();
    while balance.give_back(before) {
        balance.level();
    }
    balance.members.iter().map(Holding::share).collect()
}

struct Balance<'a> {
    turns: &'a Turns<'a>,
    /// In the order of their turns.
    members: Vec<Holding>,
    /// How many partitions each member has, and its position.
    loads: Loads,
}

type Loads = BTreeSet<(usize, usize)>;

/// A partition of the topic goes from the giver to the taker.
#[derive(Clone, Copy)]
struct Move {
    giver: usize,
    topic: usize,
    taker: usize,
}

impl<'a> Balance<'a> {
    /// Everybody has what it had before.
    fn keep(turns: &'a Turns<'a>, before: &Before) -> Self {
        let mut members: Vec<Holding> = turns.members.iter().map(|_| Holding::default()).collect();
        for (at, topic) in turns.topics.iter().enumerate() {
            topic.subscribers.iter().for_each(|member| members[*member].subscribe(at));
            for (number, keeper) in before.keepers(at) {
                if let Some(keeper) = keeper {
                    members[keeper].keep(at, number);
                }
            }
        }
        Self { turns, members, loads: Loads::new() }
    }

    /// Gives out what nobody has.
    fn fill(&mut self, before: &Before) {
        let topics = &self.turns.topics;
        let mut order: Vec<usize> = (0..topics.len()).collect();
        order.sort_by_key(|topic| topics[*topic].subscribers.len());
        for topic in order {
            // Nobody else's load changes while this topic is given out, so the heap stays right.
            let subscribers = topics[topic].subscribers.iter();
            let mut least: BinaryHeap<Reverse<(usize, usize)>> =
                subscribers.map(|at| Reverse((self.members[*at].load, *at))).collect();
            for (number, _) in before.keepers(topic).filter(|(_, keeper)| keeper.is_none()) {
                let Some(mut top) = least.peek_mut() else { break };
                let Reverse((load, at)) = *top;
                *top = Reverse((load + 1, at));
                self.members[at].add(topic, number);
            }
        }
        self.loads = (0..).zip(&self.members).map(|(at, member)| (member.load, at)).collect();
    }

    /// Moves what was filled until nobody can get more at the cost of a member that has at least two more.
    fn settle(&mut self) {
        // Who may have something to give.
        let mut open = self.loads.clone();
        while let Some((_, giver)) = open.pop_last() {
            let straight = self.straight(giver, Movable::Loose).map(|step| vec![step]);
            match straight.map_or_else(|| self.through_others(giver, &open), Ok) {
                Ok(way) => {
                    let taker = way.last().map_or(giver, |step| step.taker);
                    open.remove(&self.load_of(taker));
                    way.into_iter().for_each(|step| self.make(step));
                    open.extend([self.load_of(giver), self.load_of(taker)]);
                }
                // They have one fewer than the giver at the least, and what they can reach is among them. So nobody takes
                // from them, who have the most of all that are open; and nobody gives to them, since it has no more than the
                // giver.
                Err(reached) => reached.into_iter().for_each(|at| {
                    open.remove(&self.load_of(at));
                }),
            }
        }
    }

    /// Moves anything straight until nobody can take a partition from a member that has at least two more.
    fn level(&mut self) {
        // Who may have something to give. A member leaves it when nobody can take from it. That changes only when it gets a
        // partition itself, or when another one gives and has exactly two fewer by that: with a larger difference it could
        // have taken before. Both put it back.
        let mut open = self.loads.clone();
        while let Some((load, giver)) = open.pop_last() {
            let Some(step) = self.straight(giver, Movable::All) else { continue };
            open.remove(&self.load_of(step.taker));
            self.make(step);
            open.extend([self.load_of(giver), self.load_of(step.taker)]);
            let above = self.loads.range((load + 1, 0)..(load + 2, 0));
            open.extend(above.filter(|(_, other)| self.can_give(*other, giver, Movable::All)));
        }
    }

    /// The move to a member that has at least two fewer: of those that can take one, to the one with the least.
    fn straight(&self, giver: usize, movable: Movable) -> Option<Move> {
        let from = &self.members[giver];
        let mut fewer = self.loads.range(..(from.load.saturating_sub(1), 0));
        let (_, taker) = fewer.find(|(_, taker)| self.can_give(giver, *taker, movable))?;
        let topic = from.topic_for(&self.members[*taker], movable)?;
        Some(Move { giver, topic, taker: *taker })
    }

    fn can_give(&self, giver: usize, taker: usize, movable: Movable) -> bool {
        let taker = &self.members[taker];
        self.members[giver].topics(movable).any(|topic| taker.subscribes(topic))
    }

    /// The fewest moves of what was filled by which a member that has at least two fewer gets one more: the taker of each is
    /// the giver of the next. Where there are none, all that could be reached. Only those that are open are passed.
    fn through_others(&self, giver: usize, open: &Loads) -> Result<Vec<Move>, Vec<usize>> {
        let fewer = self.members[giver].load.saturating_sub(1);
        let mut reached: BTreeMap<usize, Move> = BTreeMap::new();
        let mut topics = BTreeSet::new();
        let mut givers = vec![giver];
        while !givers.is_empty() {
            let mut takers = Vec::new();
            for giver in givers {
                for topic in self.members[giver].topics(Movable::Loose) {
                    if !topics.insert(topic) {
                        continue;
                    }
                    for taker in &self.turns.topics[topic].subscribers {
                        if open.contains(&self.load_of(*taker)) && !reached.contains_key(taker) {
                            reached.insert(*taker, Move { giver, topic, taker: *taker });
                            takers.push(*taker);
                        }
                    }
                }
            }
            let least = takers.iter().min_by_key(|taker| self.load_of(**taker));
            if let Some(taker) = least.filter(|taker| self.members[**taker].load < fewer) {
                return Ok(way_to(*taker, &reached));
            }
            givers = takers;
        }
        Err(reached.into_keys().collect())
    }

    /// Brings what members had back to them where that costs nothing. Whether there was anything.
    fn give_back(&mut self, before: &Before) -> bool {
        let mut any = false;
        for holder in 0..self.members.len() {
            while self.give_one_back(holder, before) {
                any = true;
            }
        }
        any
    }

    /// Whether the member had something that was another's before, who has one fewer now.
    fn give_one_back(&mut self, holder: usize, before: &Before) -> bool {
        let due = self.members[holder].loose().find_map(|(topic, number)| {
            let keeper = before.keeper(topic, number)?;
            let has_one_fewer = self.members[keeper].load + 1 == self.members[holder].load;
            has_one_fewer.then_some((keeper, topic, number))
        });
        let Some((keeper, topic, number)) = due else { return false };
        self.loads.remove(&self.load_of(holder));
        self.loads.remove(&self.load_of(keeper));
        self.members[holder].remove(topic, number);
        self.members[keeper].keep(topic, number);
        self.loads.extend([self.load_of(holder), self.load_of(keeper)]);
        true
    }

    fn make(&mut self, Move { giver, topic, taker }: Move) {
        self.loads.remove(&self.load_of(giver));
        self.loads.remove(&self.load_of(taker));
        let number = self.members[giver].take_out(topic);
        self.members[taker].add(topic, number);
        self.loads.extend([self.load_of(giver), self.load_of(taker)]);
    }

    fn load_of(&self, member: usize) -> (usize, usize) {
        (self.members[member].load, member)
    }
}

/// The moves that lead to a taker, from the first giver on.
fn way_to(taker: usize, reached: &BTreeMap<usize, Move>) -> Vec<Move> {
    let mut way = Vec::new();
    let mut at = taker;
    while let Some(step) = reached.get(&at) {
        way.push(*step);
        at = step.giver;
    }
    way.reverse();
    way
}
