//! What holds for any group: random ones, in which members come, go and change their minds.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use fastrand::Rng;
use kafka_blocking::{
    GroupMember, RebalanceProtocol, TopicPartition,
    assignors::{decode_assignment, divide},
};

use crate::support::{ALL, Assignment, Topics, assign, assignor, having};

/// A group that changes from round to round.
struct Group {
    name: &'static str,
    rng: Rng,
    uniform: bool,
    topics: Topics,
    /// Subscriptions by member id.
    members: BTreeMap<String, Vec<String>>,
    /// What members have, and of which generation.
    has: BTreeMap<String, (Vec<TopicPartition>, i32)>,
    generation: i32,
    born: usize,
}

impl Group {
    fn new(name: &'static str, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let uniform = rng.bool();
        let count = rng.usize(1..=6);
        let topics = (0..count).map(|n| (format!("t{n}").into(), rng.i32(1..=9))).collect();
        let (members, has) = (BTreeMap::new(), BTreeMap::new());
        let mut group = Self { name, rng, uniform, topics, members, has, generation: 0, born: 0 };
        for _ in 0..group.rng.usize(1..=8) {
            group.join();
        }
        group
    }

    fn join(&mut self) {
        let topics = self.some_topics();
        self.members.insert(format!("m{:02}", self.born), topics);
        self.born += 1;
    }

    fn some_topics(&mut self) -> Vec<String> {
        let all = self.topics.keys().map(ToString::to_string).chain(["missing".to_owned()]);
        let Self { rng, uniform, .. } = self;
        let some: Vec<String> = all.filter(|_| *uniform || rng.bool()).collect();
        some
    }

    /// Somebody comes, goes or subscribes to something else, or there are more partitions.
    fn change(&mut self) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        let somebody = self.rng.choice(&ids).cloned();
        match (self.rng.u8(..4), somebody) {
            (0, Some(id)) if ids.len() > 1 => {
                self.members.remove(&id);
                self.has.remove(&id);
            }
            (1, Some(id)) if !self.uniform => {
                let topics = self.some_topics();
                self.members.insert(id, topics);
            }
            (2, _) => {
                let rng = &mut self.rng;
                self.topics.values_mut().for_each(|partitions| *partitions += rng.i32(0..=1));
            }
            _ => self.join(),
        }
    }

    /// The members as they join, in some order.
    fn joining(&mut self) -> Vec<GroupMember> {
        let mut members: Vec<GroupMember> = self
            .members
            .iter()
            .map(|(id, topics)| {
                let member = GroupMember::new(id.as_str(), topics.iter().map(String::as_str));
                match self.has.get(id) {
                    Some((had, generation)) => having(self.name, member, had, *generation),
                    None => member,
                }
            })
            .collect();
        self.rng.shuffle(&mut members);
        members
    }

    fn assigned(&mut self, assignment: &Assignment) {
        self.generation += 1;
        let generation = self.generation;
        self.has = assignment
            .iter()
            .map(|(id, share)| (id.clone(), (share.clone(), generation)))
            .collect();
    }

    /// Every partition was read by some subscriber before, whatever the balance.
    fn scatter(&mut self) {
        self.generation += 1;
        let generation = self.generation;
        self.has = self.members.keys().map(|id| (id.clone(), (Vec::new(), generation))).collect();
        for partition in self.wanted() {
            let subscribers = self.members.keys().filter(|id| self.subscribes(id, &partition));
            let subscribers: Vec<String> = subscribers.cloned().collect();
            let owner = self.rng.choice(&subscribers).expect("a subscriber");
            self.has.get_mut(owner).expect("a member").0.push(partition);
        }
    }

    fn subscribes(&self, id: &str, partition: &TopicPartition) -> bool {
        self.members[id].iter().any(|topic| topic == partition.topic())
    }

    /// All partitions that somebody subscribes to.
    fn wanted(&self) -> BTreeSet<TopicPartition> {
        let subscribed: BTreeSet<&String> = self.members.values().flatten().collect();
        let topics =
            self.topics.iter().filter(|(topic, _)| subscribed.contains(&topic.to_string()));
        topics
            .flat_map(|(topic, count)| (0..*count).map(|n| TopicPartition::new(topic.clone(), n)))
            .collect()
    }

    /// Whether some member could take a partition from one that has at least two more.
    fn can_be_levelled(&self, assignment: &Assignment) -> bool {
        assignment.iter().any(|(giver, share)| {
            let takers = assignment.iter().filter(|(_, other)| other.len() + 2 <= share.len());
            let mut takers = takers.map(|(taker, _)| taker);
            takers.any(|taker| taker != giver && share.iter().any(|p| self.subscribes(taker, p)))
        })
    }
}

/// Whether some member could get one more at the cost of one that has at least two more, with others in between.
fn can_be_levelled_through_others(group: &Group, assignment: &Assignment) -> bool {
    assignment.keys().any(|giver| {
        let mut reached = BTreeSet::from([giver]);
        loop {
            let takers = assignment.keys().filter(|taker| {
                let mut given = reached.iter().flat_map(|giver| &assignment[*giver]);
                given.any(|partition| group.subscribes(taker, partition))
            });
            let more: BTreeSet<&String> = reached.iter().copied().chain(takers).collect();
            if more == reached {
                break;
            }
            reached = more;
        }
        reached.iter().any(|taker| assignment[*taker].len() + 2 <= assignment[giver].len())
    })
}

/// Checks that every member has an entry, and every partition one member that subscribes to it.
fn check_complete(group: &Group, assignment: &Assignment, place: &str) {
    assert!(assignment.keys().eq(group.members.keys()), "{place}: {assignment:?}");
    let given: Vec<&TopicPartition> = assignment.values().flatten().collect();
    let once: BTreeSet<TopicPartition> = given.iter().map(|p| (*p).clone()).collect();
    assert_eq!(given.len(), once.len(), "{place}: one is given twice");
    assert_eq!(once, group.wanted(), "{place}: not all are given");
    for (id, share) in assignment {
        assert!(share.iter().all(|p| group.subscribes(id, p)), "{place}: {id} {share:?}");
    }
}

fn spread(assignment: &Assignment) -> usize {
    let loads = || assignment.values().map(Vec::len);
    loads().max().unwrap_or(0) - loads().min().unwrap_or(0)
}

/// Runs so many random groups for some rounds.
fn for_many_groups(name: &'static str, mut round: impl FnMut(&mut Group, &str)) {
    for seed in 0..250 {
        let mut group = Group::new(name, seed);
        for number in 0..6 {
            round(&mut group, &format!("{name}, seed {seed}, round {number}"));
            group.change();
        }
    }
}

#[test]
fn fault_106_every_partition_goes_to_one_member_that_subscribes_to_it() {
    for name in ["range", "roundrobin", "sticky"] {
        for_many_groups(name, |group, place| {
            let members = group.joining();
            let assignment = assign(name, &group.topics, &members);
            check_complete(group, &assignment, place);
            group.assigned(&assignment);
        });
    }
}

#[test]
fn the_order_of_members_makes_no_difference() {
    for name in ALL {
        for_many_groups(name, |group, place| {
            let (one, other) = (group.joining(), group.joining());
            let assignment = assign(name, &group.topics, &one);
            assert_eq!(assignment, assign(name, &group.topics, &other), "{place}");
            group.assigned(&assignment);
        });
    }
}

#[test]
fn members_that_subscribe_to_the_same_differ_by_one_at_most() {
    for name in ["roundrobin", "sticky"] {
        for_many_groups(name, |group, place| {
            if group.uniform {
                let members = group.joining();
                let assignment = assign(name, &group.topics, &members);
                assert!(spread(&assignment) <= 1, "{place}: {assignment:?}");
                group.assigned(&assignment);
            }
        });
    }
}

#[test]
fn sticky_leaves_nothing_that_one_move_could_improve() {
    for_many_groups("sticky", |group, place| {
        group.scatter();
        let members = group.joining();
        let assignment = assign("sticky", &group.topics, &members);
        assert!(!group.can_be_levelled(&assignment), "{place}: {assignment:?}");
    });
}

#[test]
fn a_sticky_group_that_begins_is_balanced_as_well_as_its_subscriptions_allow() {
    for_many_groups("sticky", |group, place| {
        let members = group.joining();
        let assignment = assign("sticky", &group.topics, &members);
        let better = can_be_levelled_through_others(group, &assignment);
        assert!(!better, "{place}: {assignment:?}");
    });
}

#[test]
fn sticky_leaves_nothing_with_a_member_that_another_had_who_has_one_fewer() {
    for_many_groups("sticky", |group, place| {
        group.scatter();
        let members = group.joining();
        let assignment = assign("sticky", &group.topics, &members);
        for (holder, share) in &assignment {
            for (id, (had, _)) in group.has.iter().filter(|(id, _)| *id != holder) {
                let returns = |p: &&TopicPartition| had.contains(p) && group.subscribes(id, p);
                let due = share.iter().find(returns);
                let fewer = assignment[id].len() + 1 == share.len();
                assert!(due.is_none() || !fewer, "{place}: {due:?} of {id}");
            }
        }
    });
}

#[test]
fn sticky_keeps_as_much_as_members_with_the_same_subscriptions_can() {
    for_many_groups("sticky", |group, place| {
        if !group.uniform {
            return;
        }
        let members = group.joining();
        let assignment = assign("sticky", &group.topics, &members);
        let kept = |id: &String| {
            let had = group.has.get(id).map_or(&[][..], |(had, _)| had);
            had.iter().filter(|partition| assignment[id].contains(partition)).count()
        };
        // So many have one more than the others, and those who had most are among them.
        let (total, count) = (group.wanted().len(), group.members.len());
        let (each, more) = (total / count, total % count);
        let mut had: Vec<usize> = group
            .members
            .keys()
            .map(|id| group.has.get(id).map_or(0, |(had, _)| had.len()))
            .collect();
        had.sort_unstable_by(|a, b| b.cmp(a));
        let possible =
            had.iter().enumerate().map(|(n, had)| *had.min(&(each + usize::from(n < more))));
        let kept: usize = group.members.keys().map(kept).sum();
        assert_eq!(kept, possible.sum::<usize>(), "{place}");
        group.assigned(&assignment);
    });
}

#[test]
fn a_sticky_group_that_does_not_change_is_not_changed() {
    for_many_groups("sticky", |group, place| {
        let members = group.joining();
        let assignment = assign("sticky", &group.topics, &members);
        group.assigned(&assignment);
        let members = group.joining();
        assert_eq!(assign("sticky", &group.topics, &members), assignment, "{place}");
    });
}

/// Goes on until nobody gives anything up, as members do; every round is what the leader would send.
fn cooperate(group: &mut Group, place: &str) -> Assignment {
    let assignor = assignor(group.name);
    for round in 0.. {
        assert!(round < 10, "{place}: it does not end");
        let members = group.joining();
        let shares =
            divide(assignor.as_ref(), RebalanceProtocol::Cooperative, &group.topics, &members);
        let shares = shares.unwrap_or_else(|error| panic!("{place}, {round}: {error}"));
        let assignment: Assignment = shares
            .into_iter()
            .map(|(id, bytes)| (id, decode_assignment(&bytes).unwrap()))
            .collect();
        check_in_hand(group, &assignment, place);
        let gives_up = group
            .has
            .iter()
            .any(|(id, (has, _))| has.iter().any(|partition| !assignment[id].contains(partition)));
        group.assigned(&assignment);
        if !gives_up {
            return assignment;
        }
    }
    unreachable!("the loop returns")
}

/// Checks that nobody gets what another has in hand at this time.
fn check_in_hand(group: &Group, assignment: &Assignment, place: &str) {
    for (id, (has, _)) in &group.has {
        for partition in has {
            let owner = assignment.iter().find(|(_, share)| share.contains(partition));
            assert!(owner.is_none_or(|(owner, _)| owner == id), "{place}: {partition} of {id}");
        }
    }
}

#[test]
fn fault_106_a_cooperative_group_never_gives_a_partition_to_two_and_gives_all_in_the_end() {
    for_many_groups("cooperative-sticky", |group, place| {
        let assignment = cooperate(group, place);
        check_complete(group, &assignment, place);
        assert!(!group.can_be_levelled(&assignment), "{place}: {assignment:?}");
        assert!(!group.uniform || spread(&assignment) <= 1, "{place}: {assignment:?}");
    });
}

#[test]
fn a_cooperative_group_with_the_same_subscriptions_needs_two_rounds_at_most() {
    for_many_groups("cooperative-sticky", |group, place| {
        if group.uniform {
            let before = group.generation;
            cooperate(group, place);
            assert!(group.generation <= before + 2, "{place}");
        }
    });
}

#[test]
fn fault_104_stale_claims_end_with_one_owner() {
    for name in ["sticky", "cooperative-sticky"] {
        for_many_groups(name, |group, place| {
            // Some members come back with what they had long ago.
            let wanted: Vec<TopicPartition> = group.wanted().into_iter().collect();
            for id in group.members.keys().cloned().collect::<Vec<_>>() {
                if group.rng.u8(..3) == 0 {
                    let claimed = wanted.iter().filter(|_| group.rng.bool()).cloned().collect();
                    let generation = group.generation - group.rng.i32(-1..=2);
                    group.has.insert(id, (claimed, generation));
                }
            }
            let assignment = if name == "sticky" {
                let members = group.joining();
                assign(name, &group.topics, &members)
            } else {
                settle_claims(group, place)
            };
            check_complete(group, &assignment, place);
            group.assigned(&assignment);
        });
    }
}

/// As [`cooperate`], but members may claim the same to begin with: no new owner gets what another has.
fn settle_claims(group: &mut Group, place: &str) -> Assignment {
    for _ in 0..10 {
        let members = group.joining();
        let assignment = assign(group.name, &group.topics, &members);
        for (id, share) in &assignment {
            let has = |id: &String, p| group.has.get(id).is_some_and(|(has, _)| has.contains(p));
            for partition in share.iter().filter(|p| !has(id, *p)) {
                let other = group.has.keys().find(|other| has(other, partition));
                assert_eq!(other, None, "{place}: {id} gets {partition}");
            }
        }
        let gives_up = group
            .has
            .iter()
            .any(|(id, (has, _))| has.iter().any(|partition| !assignment[id].contains(partition)));
        group.assigned(&assignment);
        if !gives_up {
            return assignment;
        }
    }
    panic!("{place}: it does not end")
}

#[test]
fn fault_105_a_large_group_in_odd_orders_is_balanced_in_time() {
    let topics: Topics = (0..200).map(|n| (format!("topic-{n}").into(), 10 + n % 7)).collect();
    let mut rng = Rng::with_seed(105);
    for name in ALL {
        for all_subscribe_to_all in [true, false] {
            let mut members: Vec<GroupMember> = (0..2000)
                .map(|n| {
                    let some = topics.keys().filter(|_| all_subscribe_to_all || rng.u8(..8) == 0);
                    GroupMember::new(format!("member-{n}"), some.cloned())
                })
                .collect();
            rng.shuffle(&mut members);
            let first = timed(name, &topics, &members);
            // A tenth leaves; what the others have is unlike, and told in another order.
            let left: Vec<GroupMember> = members
                .drain(200..)
                .map(|member| {
                    let mut had = first[member.member_id()].clone();
                    had.reverse();
                    had.truncate(rng.usize(..=had.len()));
                    having(name, member, &had, 1)
                })
                .collect();
            let second = timed(name, &topics, &left);
            let all = topics.values().sum::<i32>().unsigned_abs() as usize;
            let given = |assignment: &Assignment| assignment.values().map(Vec::len).sum::<usize>();
            assert_eq!(given(&first), all, "{name}");
            match name {
                "range" => assert_eq!(given(&second), all),
                "roundrobin" if !all_subscribe_to_all => assert_eq!(given(&second), all),
                "cooperative-sticky" => assert!(spread(&first) <= 1 && given(&second) <= all),
                _ => {
                    assert_eq!(given(&second), all, "{name}");
                    assert!(spread(&first) <= 1 && spread(&second) <= 1, "{name}");
                }
            }
        }
    }
}

/// An assignment that must not take long, even without optimization and on a machine that is busy.
fn timed(name: &str, topics: &Topics, members: &[GroupMember]) -> Assignment {
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });
    #[allow(clippy::disallowed_methods, reason = "it is about real time")]
    let started = Instant::now();
    let assignment = assign(name, topics, members);
    let took = started.elapsed();
    assert!(took < limit, "{name}: {took:?}");
    assignment
}
