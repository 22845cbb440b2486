//! What must hold of a group whatever happens, looked at with every entry of the journal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use kafka_blocking::TopicPartition;
use scripted_broker::{Entry, Happened, MemberId};

/// How many of the last entries of each member a failure shows, unless `GROUP_SHOWN` says otherwise.
const SHOWN: usize = 40;

/// The time that one member has a partition for, as its program knows it.
#[derive(Clone, Debug)]
struct Tenure {
    number: u64,
    begun: Duration,
    /// The offset behind the last record that was handed out.
    next: Option<i64>,
    /// The same for what the program has come back from.
    returned: Option<i64>,
    /// Whether a commit has failed, or may have.
    doubtful: bool,
    /// The listener is told, or was, that it ends: with a commit in between or not.
    ending: Option<bool>,
}

/// A tenure that has ended.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "a failure shows it")]
struct Past {
    member: MemberId,
    next: i64,
    clean: bool,
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
    seed: u64,
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
    /// When a member's last tenure of a partition ended, and up to where its program had come back.
    just_ended: BTreeMap<(TopicPartition, MemberId), (Duration, Option<i64>)>,
    shown: BTreeMap<Option<MemberId>, VecDeque<Entry>>,
    most_shown: usize,
    /// Whether nothing goes wrong: then all that can be committed is.
    pub(crate) calm: bool,
}

impl Ledger {
    pub(crate) fn new(seed: u64, slack: Duration) -> Self {
        Self {
            seed,
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
            most_shown: std::env::var("GROUP_SHOWN")
                .map_or(SHOWN, |n| n.parse().expect("a number")),
            just_ended: BTreeMap::new(),
            calm: true,
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
        if matches!(entry.what, Happened::CameBack | Happened::Finished(..)) {
            return;
        }
        let lines = self.shown.entry(entry.member).or_default();
        lines.push_back(entry.clone());
        if lines.len() > self.most_shown {
            lines.pop_front();
        }
    }

    /// Ends the test, with what led to it.
    pub(crate) fn fail(&self, at: Duration, wrong: &str) -> ! {
        let mut text = format!("seed {} at {at:?}: {wrong}\n", self.seed);
        for (member, lines) in &self.shown {
            let who = member.map_or("the group".to_owned(), |m| format!("m{m}"));
            text.push_str(&format!("--- {who}\n"));
            lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        panic!("{text}");
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
                if before.is_some_and(|before| before > *offset) {
                    return Err("the committed offset went back (I5)".into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_of_member(&mut self, member: MemberId, entry: &Entry) -> Result<(), String> {
        match &entry.what {
            Happened::CameBack => {
                self.own(member).for_each(|tenure| tenure.returned = tenure.next);
                Ok(())
            }
            Happened::Finished(partition, offset) => {
                if let Some(tenure) = self.open.get_mut(&(partition.clone(), member)) {
                    tenure.returned = Some(offset + 1);
                }
                Ok(())
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
            Happened::CommitSent(_, offsets) => self.commit_sent(member, offsets, entry.at),
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
        let number = tenure.number;
        let all = self.handed_out.entry(partition.clone()).or_default();
        if let Some(before) = all.insert(offset, number) {
            self.duplicates += 1;
            if let Some(past) = self.past.get(&before).filter(|p| p.clean && zombie.is_none()) {
                return Err(format!("a duplicate after a clean end: {past:?} (I7)"));
            }
        }
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
            let tenure = Tenure {
                number: self.tenures,
                begun: at,
                next: None,
                returned: None,
                doubtful: false,
                ending: None,
            };
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
            let calm = self.calm && !tenure.doubtful;
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
            let returned = self.open[&(partition.clone(), member)].returned;
            self.just_ended.insert((partition.clone(), member), (at, returned));
            self.end(member, &partition, revoked);
        }
    }

    fn end(&mut self, member: MemberId, partition: &TopicPartition, revoked: bool) {
        let Some(tenure) = self.open.remove(&(partition.clone(), member)) else { return };
        let Some(next) = tenure.next else { return };
        let clean = revoked && self.committed(partition) >= Some(next);
        self.unclean += usize::from(!clean);
        self.past.insert(tenure.number, Past { member, next, clean });
    }

    fn commit_sent(
        &self,
        member: MemberId,
        offsets: &BTreeMap<TopicPartition, i64>,
        at: Duration,
    ) -> Result<(), String> {
        for (partition, offset) in offsets {
            let key = (partition.clone(), member);
            // It may have been put on its way in the same moment, before the callback.
            let just_ended = self.just_ended.get(&key).filter(|(ended, _)| *ended == at);
            let returned = match (self.open.get(&key), just_ended) {
                (Some(tenure), _) => tenure.returned,
                (None, Some((_, returned))) => *returned,
                (None, None) => return Err(format!("{partition} is not the member's (I5)")),
            };
            let most = returned.or_else(|| self.committed(partition)).unwrap_or(0);
            if *offset > most {
                return Err(format!(
                    "{partition}: the program has come back from what is before {most} (I5)"
                ));
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
