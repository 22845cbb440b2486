//! What must hold of a group whatever happens, looked at with every entry of the journal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic,
    time::Duration,
};

use kafka_blocking::TopicPartition;
pub(crate) use scripted_broker::MemberId;
use scripted_broker::{Entry, Happened};

use crate::tenure::{Past, Tenure};

/// How many of the last entries of each member a failure shows.
const SHOWN: usize = 40;

/// How much later than it was to a call may come back (I8).
const GRACE: Duration = Duration::from_millis(250);

/// Of no tenure: what may be handed out again, because a program went back before it.
const NOBODYS: u64 = 0;

/// What was found wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// When, since the start.
    pub(crate) at: Duration,
    /// In one line or two.
    pub(crate) wrong: String,
    /// What led to it.
    pub(crate) shown: String,
}

/// What is known of a member beside its tenures.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// When the group last saw one of its memberships end, and under which id.
    dismissed: Option<(Duration, String)>,
    /// Since when it runs without interruption.
    awake: Duration,
    /// What its program has paused.
    paused: BTreeSet<TopicPartition>,
    auto_commit: bool,
}

pub(crate) struct Ledger {
    /// How long after its membership has ended a member that runs may hand out records: it does not know yet.
    slack: Duration,
    members: Vec<Standing>,
    open: BTreeMap<(TopicPartition, MemberId), Tenure>,
    past: BTreeMap<u64, Past>,
    /// In which tenure a record was handed out last.
    handed_out: BTreeMap<TopicPartition, BTreeMap<i64, u64>>,
    committed: BTreeMap<TopicPartition, i64>,
    /// The clients that the group has as members, by their ids.
    present: BTreeMap<String, MemberId>,
    pub(crate) generation: i32,
    pub(crate) generation_since: Duration,
    pub(crate) duplicates: usize,
    pub(crate) unclean: usize,
    pub(crate) records: usize,
    tenures: u64,
    /// When a member's last tenure of a partition ended, and what it was like.
    just_ended: BTreeMap<(TopicPartition, MemberId), (Duration, Tenure)>,
    /// The highest offset of each that was ever committed.
    highest: BTreeMap<TopicPartition, i64>,
    /// To which node an offset was sent last.
    sent_to: BTreeMap<(TopicPartition, i64), i32>,
    /// Offsets that were committed because programs went there.
    rewound: BTreeSet<(TopicPartition, i64)>,
    shown: BTreeMap<Option<MemberId>, VecDeque<Entry>>,
    /// Whether nothing goes wrong: then all that can be committed is.
    calm: bool,
}

impl Ledger {
    pub(crate) fn new(slack: Duration, calm: bool) -> Self {
        Self {
            slack,
            members: Vec::new(),
            open: BTreeMap::new(),
            past: BTreeMap::new(),
            handed_out: BTreeMap::new(),
            committed: BTreeMap::new(),
            present: BTreeMap::new(),
            generation: 0,
            generation_since: Duration::ZERO,
            duplicates: 0,
            unclean: 0,
            records: 0,
            tenures: 0,
            shown: BTreeMap::new(),
            just_ended: BTreeMap::new(),
            highest: BTreeMap::new(),
            sent_to: BTreeMap::new(),
            rewound: BTreeSet::new(),
            calm,
        }
    }

    pub(crate) fn add_member(&mut self, auto_commit: bool) {
        self.members.push(Standing { auto_commit, ..Standing::default() });
    }

    /// A member goes on that was frozen.
    pub(crate) fn thawed(&mut self, member: MemberId, at: Duration) {
        self.members[member].awake = at;
    }

    /// Looks at something that has happened.
    pub(crate) fn take(&mut self, entry: &Entry) {
        self.show(entry);
        let wrong = match entry.member {
            None => self.take_of_group(entry),
            Some(member) => self.take_of_member(member, entry),
        };
        if let Err(wrong) = wrong {
            self.fail(entry.at, &format!("{entry}\n  {wrong}"));
        }
    }

    fn show(&mut self, entry: &Entry) {
        use Happened::{CameBack, Finished, Returned};
        if matches!(entry.what, CameBack | Finished(..) | Returned { .. }) {
            return;
        }
        let lines = self.shown.entry(entry.member).or_default();
        lines.push_back(entry.clone());
        if lines.len() > SHOWN {
            lines.pop_front();
        }
    }

    /// Ends the run, with what led to it.
    pub(crate) fn fail(&self, at: Duration, wrong: &str) -> ! {
        let mut shown = String::new();
        for (member, lines) in &self.shown {
            let who = member.map_or("the group".to_owned(), |m| format!("m{m}"));
            shown.push_str(&format!("--- {who}\n"));
            lines.iter().for_each(|line| shown.push_str(&format!("{line}\n")));
        }
        panic::resume_unwind(Box::new(Failure { at, wrong: wrong.to_owned(), shown }));
    }

    /// Who has a partition, as programs know it.
    pub(crate) fn owners(&self, partition: &TopicPartition) -> Vec<MemberId> {
        let open = self.open.keys().filter(|(p, _)| p == partition);
        open.map(|(_, member)| *member).collect()
    }

    /// The first offset of a partition that nobody was given.
    pub(crate) fn first_missing(&self, partition: &TopicPartition, end: i64) -> Option<i64> {
        let handed_out = self.handed_out.get(partition);
        (0..end).find(|offset| handed_out.is_none_or(|all| !all.contains_key(offset)))
    }

    pub(crate) fn committed(&self, partition: &TopicPartition) -> Option<i64> {
        self.committed.get(partition).copied()
    }

    // One entry

    fn take_of_group(&mut self, entry: &Entry) -> Result<(), String> {
        match &entry.what {
            Happened::Group(_, generation, members) => {
                if *generation != self.generation {
                    self.generation = *generation;
                    self.generation_since = entry.at;
                }
                let present: BTreeMap<String, MemberId> =
                    members.iter().map(|(client, id)| (id.clone(), member(client))).collect();
                let before = std::mem::replace(&mut self.present, present);
                for (id, member) in &before {
                    // A name of an earlier membership, from which it could not take leave, is none of this one.
                    let stays = |(other, m): (&String, &MemberId)| {
                        m == member && before.contains_key(other)
                    };
                    if !self.present.contains_key(id) && !self.present.iter().any(stays) {
                        self.members[*member].dismissed = Some((entry.at, id.clone()));
                    }
                }
                // Another coordinator may know nothing of that.
                for (id, member) in &self.present {
                    let dismissed = &mut self.members[*member].dismissed;
                    dismissed.take_if(|(_, gone)| gone == id);
                }
            }
            Happened::Stored(partition, before, offset) => {
                self.committed.insert(partition.clone(), *offset);
                let highest = self.highest.entry(partition.clone()).or_default();
                *highest = (*highest).max(*offset);
                if let Some(before) = before.filter(|before| before > offset) {
                    return self.went_back(partition, before, *offset);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_of_member(&mut self, member: MemberId, entry: &Entry) -> Result<(), String> {
        match &entry.what {
            Happened::CameBack => {
                self.own(member).for_each(|tenure| tenure.come_back(None));
                Ok(())
            }
            Happened::Finished(partition, offset) => {
                if let Some(tenure) = self.open.get_mut(&(partition.clone(), member)) {
                    tenure.come_back(Some(offset + 1));
                }
                Ok(())
            }
            Happened::Sought(partition, offset) => {
                let Some(tenure) = self.open.get_mut(&(partition.clone(), member)) else {
                    return Err("it has a partition that its program does not know of".into());
                };
                tenure.seek(*offset);
                Ok(())
            }
            Happened::Returned { call, timeout, took, began } => {
                let late = *took > *timeout + GRACE && *began >= self.members[member].awake;
                let error = || format!("{call} took {took:?}, and was to take {timeout:?} (I8)");
                if late { Err(error()) } else { Ok(()) }
            }
            Happened::Paused(paused) => {
                self.members[member].paused.clone_from(paused);
                Ok(())
            }
            Happened::Told => {
                self.told(member, entry.at);
                Ok(())
            }
            Happened::HandedOut(partition, offset) => {
                self.handed_out(member, partition, *offset, entry.at)
            }
            Happened::Assigned(partitions) => self.assigned(member, partitions, entry.at),
            Happened::Revoked(partitions) => self.ended(member, partitions, true),
            Happened::Lost(partitions) => self.ended(member, partitions, false),
            Happened::CommitSent(node, offsets) => {
                let sent = offsets.iter().map(|(p, offset)| ((p.clone(), *offset), *node));
                self.sent_to.extend(sent);
                self.commit_sent(member, offsets, entry.at)
            }
            Happened::CommitDone(offsets, Err(_)) => {
                for partition in offsets.keys() {
                    if let Some(tenure) = self.open.get_mut(&(partition.clone(), member)) {
                        tenure.doubtful = true;
                    }
                }
                Ok(())
            }
            Happened::Spun(who) => Err(format!("the {who} spins")),
            Happened::WokeTooLate(what) => Err(format!("a lost wake-up: {what}")),
            Happened::Ended => {
                let partitions: Vec<_> = self
                    .open
                    .keys()
                    .filter(|(_, m)| *m == member)
                    .map(|(p, _)| p.clone())
                    .collect();
                for partition in partitions {
                    self.end(member, &partition, false);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn handed_out(
        &mut self,
        member: MemberId,
        partition: &TopicPartition,
        offset: i64,
        at: Duration,
    ) -> Result<(), String> {
        self.records += 1;
        let key = (partition.clone(), member);
        let Some(tenure) = self.open.get(&key).cloned() else {
            return Err("a record of a partition that is not the member's (I4)".into());
        };
        if tenure.ending.is_some() {
            return Err("a record after the callback that takes its partition (I4)".into());
        }
        let zombie = self.zombie_since(member, &tenure);
        match tenure.next {
            Some(next) if next != offset => {
                return Err(format!("expected was offset {next} (I2)"));
            }
            Some(_) => {}
            None => {
                let first = self.committed(partition).unwrap_or(0);
                if zombie.is_none() && offset != first {
                    return Err(format!("its tenure begins at {first}, as committed (I3)"));
                }
            }
        }
        if self.members[member].paused.contains(partition) {
            return Err("it is paused".into());
        }
        self.check_alone(&key, &tenure, zombie, at)?;
        let tenure = self.open.get_mut(&key).expect("looked at above");
        tenure.next = Some(offset + 1);
        let (number, again) = (tenure.number, tenure.has_sought());
        let all = self.handed_out.entry(partition.clone()).or_default();
        let Some(before) = all.insert(offset, number) else { return Ok(()) };
        self.duplicates += 1;
        // What a program wants once more it gets.
        let unasked = zombie.is_none() && !again;
        match self.past.get(&before).filter(|_| unasked) {
            Some(past) if past.clean && offset < past.next => {
                Err(format!("a duplicate after a clean end: {past:?} (I7)"))
            }
            Some(past) if offset < past.committed => {
                Err(format!("a duplicate of what was committed: {past:?} (I7)"))
            }
            _ => Ok(()),
        }
    }

    /// The committed offset of a partition is less than it was.
    fn went_back(
        &mut self,
        partition: &TopicPartition,
        before: i64,
        offset: i64,
    ) -> Result<(), String> {
        let sent_to = |offset| self.sent_to.get(&(partition.clone(), offset));
        // What was on its way for long is stored by a node that coordinates again, in the same generation: nobody can tell.
        let late = sent_to(offset).zip(sent_to(before)).is_some_and(|(late, newer)| late != newer);
        if !late && !self.rewound.contains(&(partition.clone(), offset)) {
            return Err("the committed offset went back (I5)".into());
        }
        let all = self.handed_out.entry(partition.clone()).or_default();
        all.range_mut(offset..).for_each(|(_, number)| *number = NOBODYS);
        Ok(())
    }

    /// Nobody else reads the partition who may.
    fn check_alone(
        &self,
        (partition, member): &(TopicPartition, MemberId),
        tenure: &Tenure,
        zombie: Option<Duration>,
        at: Duration,
    ) -> Result<(), String> {
        if let Some(since) = zombie {
            let since = since.max(self.members[*member].awake);
            if at > since + self.slack {
                return Err(format!(
                    "its membership ended at {since:?} and it has not noticed for too long (I6)"
                ));
            }
        }
        for ((p, other), theirs) in &self.open {
            if p != partition || other == member || zombie.is_some() {
                continue;
            }
            if self.zombie_since(*other, theirs).is_none() {
                return Err(format!(
                    "m{other} has it too, since {:?}; m{member} since {:?} (I6)",
                    theirs.begun, tenure.begun
                ));
            }
        }
        Ok(())
    }

    fn assigned(
        &mut self,
        member: MemberId,
        partitions: &[TopicPartition],
        at: Duration,
    ) -> Result<(), String> {
        if partitions.is_empty() {
            return Err("a callback without partitions".into());
        }
        for partition in partitions {
            self.tenures += 1;
            let tenure = Tenure::new(self.tenures, at);
            self.members[member].paused.remove(partition);
            if self.open.insert((partition.clone(), member), tenure).is_some() {
                return Err(format!("{partition} was assigned already"));
            }
        }
        Ok(())
    }

    fn ended(
        &mut self,
        member: MemberId,
        partitions: &[TopicPartition],
        revoked: bool,
    ) -> Result<(), String> {
        if partitions.is_empty() {
            return Err("a callback without partitions".into());
        }
        for partition in partitions {
            let Some(tenure) = self.open.get(&(partition.clone(), member)).cloned() else {
                return Err(format!("{partition} was not the member's any more"));
            };
            let committed = self.committed(partition);
            // Who goes elsewhere after the last commit was made has it as it was.
            let calm = self.calm && !tenure.doubtful && !tenure.has_just_sought();
            if let Some(next) = tenure.next
                && revoked
                && calm
                && self.members[member].auto_commit
                && self.zombie_since(member, &tenure).is_none()
                && committed != Some(next)
            {
                return Err(format!(
                    "{partition} was handed out up to {next}, and committed is {committed:?} (I7)"
                ));
            }
            let tenure = self.open.get_mut(&(partition.clone(), member)).expect("looked at above");
            if tenure.ending.replace(revoked).is_some() {
                return Err(format!("{partition} has ended already"));
            }
        }
        Ok(())
    }

    /// The listener has come back.
    fn told(&mut self, member: MemberId, at: Duration) {
        let ending = self.open.iter().filter(|((_, m), _)| *m == member);
        let ending = ending.filter_map(|((p, _), tenure)| Some((p.clone(), tenure.ending?)));
        for (partition, revoked) in ending.collect::<Vec<_>>() {
            let key = (partition.clone(), member);
            self.just_ended.insert(key.clone(), (at, self.open[&key].clone()));
            self.end(member, &partition, revoked);
        }
    }

    fn end(&mut self, member: MemberId, partition: &TopicPartition, revoked: bool) {
        let Some(tenure) = self.open.remove(&(partition.clone(), member)) else { return };
        let Some(next) = tenure.next else { return };
        let committed = self.committed(partition).unwrap_or(0);
        let clean = revoked && committed >= next;
        self.unclean += usize::from(!clean);
        self.past.insert(tenure.number, Past { member, next, committed, clean });
    }

    fn commit_sent(
        &mut self,
        member: MemberId,
        offsets: &BTreeMap<TopicPartition, i64>,
        at: Duration,
    ) -> Result<(), String> {
        for (partition, offset) in offsets {
            let key = (partition.clone(), member);
            // Whom nothing was handed out yet is where the group was then, and another one may have gone back since.
            let before = self.highest.get(partition).copied().unwrap_or(0);
            // It may have been put on its way in the same moment, before the callback.
            let just_ended = self.just_ended.get_mut(&key).filter(|(ended, _)| *ended == at);
            let tenure = self.open.get_mut(&key).or_else(|| just_ended.map(|(_, tenure)| tenure));
            let Some(tenure) = tenure else {
                return Err(format!("{partition} is not the member's (I5)"));
            };
            let rewinds = tenure
                .commit(*offset, before)
                .map_err(|wrong| format!("{partition} @{offset}: {wrong}"))?;
            if rewinds {
                self.rewound.insert((partition.clone(), *offset));
            }
        }
        Ok(())
    }

    // Helpers

    fn own(&mut self, member: MemberId) -> impl Iterator<Item = &mut Tenure> {
        self.open.iter_mut().filter(move |((_, m), _)| *m == member).map(|(_, tenure)| tenure)
    }

    /// Since when the group does not count a tenure any more.
    fn zombie_since(&self, member: MemberId, tenure: &Tenure) -> Option<Duration> {
        let dismissed = self.members[member].dismissed.as_ref().map(|(at, _)| *at);
        // The answer that gave it the partition may have been on its way then.
        let gone = !self.present.values().any(|m| *m == member);
        let until = |at: Duration| if gone { at + self.slack } else { at };
        dismissed.filter(|at| until(*at) >= tenure.begun)
    }
}

/// The member that calls itself so.
fn member(client: &str) -> MemberId {
    client.trim_start_matches('m').parse().expect("m0, m1 and so on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics;

    fn told(what: Happened) -> Result<(), String> {
        let mut ledger = Ledger::new(GRACE, true);
        ledger.add_member(true);
        ledger.thawed(0, Duration::from_secs(3));
        let entry = Entry { at: Duration::from_secs(9), member: Some(0), what };
        panics::caught(|| ledger.take(&entry)).map_err(|failure| failure.kind())
    }

    fn returned(began: u64, took: u64) -> Happened {
        let timeout = Duration::from_secs(1);
        let (began, took) = (Duration::from_secs(began), Duration::from_millis(took));
        Happened::Returned { call: "next", timeout, took, began }
    }

    #[test]
    fn a_call_that_comes_back_too_late_is_noticed_unless_its_process_was_stopped() {
        assert_eq!(told(returned(4, 1_250)), Ok(()));
        assert_eq!(told(returned(4, 1_251)), Err("(I8)".into()));
        assert_eq!(told(returned(2, 6_000)), Ok(()));
    }

    #[test]
    fn records_and_commits_of_partitions_that_others_have_are_noticed() {
        let partition = || TopicPartition::new("t", 0);
        assert_eq!(told(Happened::HandedOut(partition(), 5)), Err("(I4)".into()));
        let offsets = [(partition(), 5)].into();
        assert_eq!(told(Happened::CommitSent(1, offsets)), Err("(I5)".into()));
    }
}
