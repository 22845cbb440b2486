//! Whether a group kept its promises: a look at everything that its members said.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use kafka_blocking::TopicPartition;

use super::{
    event::What,
    member::MemberHistory,
    settings::Kind,
    tenures::{ByPartition, End, Tenure, tenures},
};

/// What was written: by partition the offsets and values of all records.
pub type Written = BTreeMap<TopicPartition, BTreeMap<i64, String>>;

/// What a group promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every written record is handed out to some member.
    NothingLost,
    /// A record is handed out again only if the tenure that it was handed out in did not end cleanly.
    NothingTwice,
    /// Within a tenure every written record comes, in the order of offsets, as it was written.
    InOrder,
    /// A partition has one owner at a time.
    OneOwner,
    /// No record is handed out, and none committed, without a tenure.
    Owned,
    /// A tenure begins where the group had committed, or at the first record.
    BeginsAtCommitted,
    /// What is committed never goes back.
    NeverBack,
    /// What is committed was handed out.
    NeverAhead,
    /// `on_partitions_assigned` names only what was not owned.
    AssignedOnce,
    /// `on_partitions_revoked` and `on_partitions_lost` name only what was owned.
    RevokedOnce,
    /// No call fails, no process either.
    NoErrors,
    /// Rebalances come to an end.
    Settles,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// When.
    pub at: Duration,
    /// Who did what.
    pub text: String,
}

/// What is promised, where that differs from test to test.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whose clean tenures may be followed by a repetition of records, or go back behind what was committed.
    pub may_repeat: BTreeSet<Kind>,
    /// The highest generation that the group may have come to.
    pub generations: i32,
}

impl Rules {
    /// Nothing is repeated but after a kill, and there are at most this many generations.
    pub fn strict(generations: i32) -> Self {
        Self { may_repeat: BTreeSet::new(), generations }
    }
}

/// Everything that went wrong, in the order of time.
pub fn check(members: &[MemberHistory], written: &Written, rules: &Rules) -> Vec<Violation> {
    let mut violations = Vec::new();
    let all = tenures(members, &mut violations);
    let nothing = BTreeMap::new();
    for (partition, tenures) in &all {
        let log = written.get(partition).unwrap_or(&nothing);
        let mut found = Check { partition, tenures, log, violations: &mut violations };
        found.order();
        found.begins(rules);
        found.owners();
        found.repetitions(rules);
        found.commits();
    }
    losses(&all, written, &mut violations);
    rebalances(members, rules, &mut violations);
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// The longest time in which no member was handed a record, from the first one to the last.
pub fn longest_silence(members: &[MemberHistory]) -> Duration {
    let events = members.iter().flat_map(|member| &member.events);
    let records = events.filter(|event| matches!(event.what, What::Record { .. }));
    let mut times: Vec<Duration> = records.map(|event| event.at).collect();
    times.sort();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

struct Check<'a> {
    partition: &'a TopicPartition,
    tenures: &'a [Tenure<'a>],
    log: &'a BTreeMap<i64, String>,
    violations: &'a mut Vec<Violation>,
}

impl Check<'_> {
    fn wrong(&mut self, rule: Rule, at: Duration, who: &str, what: &str) {
        let text = format!("{who}: {} {what}", self.partition);
        self.violations.push(Violation { rule, at, text });
    }

    fn order(&mut self) {
        for tenure in self.tenures {
            let mut last: Option<i64> = None;
            for (at, offset, value) in &tenure.records {
                let expected = match last {
                    None => Some(*offset),
                    Some(last) => self.log.range(last + 1..).next().map(|(offset, _)| *offset),
                };
                if expected != Some(*offset) {
                    let what = format!("went from {last:?} to {offset}, not to {expected:?}");
                    self.wrong(Rule::InOrder, *at, tenure.member, &what);
                }
                if self.log.get(offset).is_none_or(|written| written != value) {
                    let what = format!("at {offset} was handed out as {value:?}");
                    self.wrong(Rule::InOrder, *at, tenure.member, &what);
                }
                last = Some(*offset);
            }
        }
    }

    fn begins(&mut self, rules: &Rules) {
        for tenure in self.tenures.iter().filter(|t| !rules.may_repeat.contains(&t.kind)) {
            let Some((at, first, _)) = tenure.records.first() else { continue };
            let from = tenure.committed.unwrap_or(0);
            let expected = self.log.range(from..).next().map(|(offset, _)| *offset);
            if expected != Some(*first) {
                let what = format!(
                    "began at {first}, but {:?} was committed, and {expected:?} follows that",
                    tenure.committed
                );
                self.wrong(Rule::BeginsAtCommitted, *at, tenure.member, &what);
            }
        }
    }

    fn owners(&mut self) {
        for (number, later) in self.tenures.iter().enumerate() {
            for earlier in &self.tenures[..number] {
                // One that was lost is known to have been another's before its member heard of it.
                if earlier.end > later.begin && earlier.how != End::Lost {
                    let what = format!("was still {}'s, until {:?}", earlier.member, earlier.end);
                    self.wrong(Rule::OneOwner, later.begin, later.member, &what);
                }
                for (sent, _, offset) in &earlier.commits {
                    if *sent > later.begin && earlier.how == End::Lost {
                        let what = format!("was committed at {offset}, but was {}'s", later.member);
                        self.wrong(Rule::OneOwner, *sent, earlier.member, &what);
                    }
                }
            }
        }
    }

    fn repetitions(&mut self, rules: &Rules) {
        let mut handed_out = BTreeMap::<i64, usize>::new();
        for (number, tenure) in self.tenures.iter().enumerate() {
            let mut blamed = BTreeMap::<usize, Vec<i64>>::new();
            for (_, offset, _) in &tenure.records {
                // Whoever goes back behind what was committed has itself to blame.
                let earlier = handed_out.insert(*offset, number);
                if let Some(earlier) = earlier.filter(|_| Some(*offset) >= tenure.committed) {
                    blamed.entry(earlier).or_default().push(*offset);
                }
            }
            for (earlier, offsets) in blamed {
                let earlier = &self.tenures[earlier];
                if earlier.how == End::Clean && !rules.may_repeat.contains(&earlier.kind) {
                    let what = format!(
                        "handed out {} to {} again, after the clean end of {}'s tenure at {:?}",
                        offsets[0],
                        offsets[offsets.len() - 1],
                        earlier.member,
                        earlier.end
                    );
                    self.wrong(Rule::NothingTwice, tenure.begin, tenure.member, &what);
                }
            }
        }
    }

    /// What was committed when, as those saw it who committed it or were given it.
    fn commits(&mut self) {
        let mut seen = Vec::new();
        let mut handed_out = Vec::new();
        for tenure in self.tenures {
            seen.push((tenure.begin, tenure.committed, tenure.member));
            // One that was frozen between a commit and its answer tells of it late.
            let late = tenure.how == End::Lost;
            let commits = tenure.commits.iter().map(|(sent, done, offset)| {
                (if late { *sent } else { *done }, Some(*offset), tenure.member)
            });
            seen.extend(commits);
            handed_out.extend(tenure.records.iter().map(|(at, offset, _)| (*at, *offset)));
        }
        seen.sort_by_key(|(at, ..)| *at);
        handed_out.sort_unstable();
        let mut handed_out = handed_out.into_iter().peekable();
        let (mut before, mut end) = (None, 0);
        for (at, committed, member) in seen {
            while let Some((_, offset)) = handed_out.next_if(|(handed_at, _)| *handed_at <= at) {
                end = end.max(offset + 1);
            }
            if committed < before {
                let what = format!("was committed at {committed:?}, but had been at {before:?}");
                self.wrong(Rule::NeverBack, at, member, &what);
            }
            if committed.is_some_and(|committed| committed > end) {
                let what = format!(
                    "was committed at {committed:?}, but only what is before {end} was handed out"
                );
                self.wrong(Rule::NeverAhead, at, member, &what);
            }
            before = before.max(committed);
        }
    }
}

fn losses(all: &ByPartition<'_>, written: &Written, violations: &mut Vec<Violation>) {
    for (partition, log) in written {
        let tenures = all.get(partition).map_or(&[][..], Vec::as_slice);
        let records = tenures.iter().flat_map(|tenure| &tenure.records);
        let handed_out: BTreeSet<i64> = records.map(|(_, offset, _)| *offset).collect();
        let lost: Vec<i64> = log.keys().copied().filter(|o| !handed_out.contains(o)).collect();
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            let text =
                format!("{partition}: {} records from {first} to {last} are lost", lost.len());
            violations.push(Violation { rule: Rule::NothingLost, at: Duration::MAX, text });
        }
    }
}

fn rebalances(members: &[MemberHistory], rules: &Rules, violations: &mut Vec<Violation>) {
    let events = members.iter().flat_map(|member| &member.events);
    let last = events.filter_map(|event| Some((event.generation?, event.at))).max();
    if let Some((generation, at)) = last.filter(|(generation, _)| *generation > rules.generations) {
        let text = format!("generation {generation}, but {} is the most", rules.generations);
        violations.push(Violation { rule: Rule::Settles, at, text });
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Duration::MAX => write!(f, "{:?} in the end: {}", self.rule, self.text),
            at => write!(f, "{:?} at {at:?}: {}", self.rule, self.text),
        }
    }
}
