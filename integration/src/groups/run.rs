//! A group on a topic that is written to all the time: its members come and go, and at the end all is compared.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::TopicPartition;

use super::{
    check::{Rules, Violation, Written, check},
    event::{Event, What},
    member::{Member, MemberHistory},
    settings::{Client, MemberSettings},
};
use crate::{cluster::Cluster, java::Acknowledged};

/// A group with its members, those that run and those that did.
#[derive(Debug)]
pub struct GroupRun<'a> {
    cluster: &'a Cluster,
    topic: String,
    group: String,
    partitions: i32,
    running: Vec<Member>,
    past: Vec<MemberHistory>,
    logs: PathBuf,
}

impl<'a> GroupRun<'a> {
    /// Creates a topic of the group's name, and has `rate` records a second written to it.
    pub fn start(cluster: &'a Cluster, group: &str, partitions: i32, rate: u32) -> Self {
        Self::start_large(cluster, group, partitions, rate, 0)
    }

    /// The same with records that have a key of so many bytes.
    pub fn start_large(
        cluster: &'a Cluster,
        group: &str,
        partitions: i32,
        rate: u32,
        key: u32,
    ) -> Self {
        let replication = i16::try_from(cluster.nodes().len()).expect("a few nodes");
        cluster.java().create_topic(group, partitions, replication, &[]);
        cluster.java().start_large_writer(group, partitions, rate, key);
        let logs = cluster.home().join("members").join(group);
        fs::create_dir_all(&logs).unwrap_or_else(|error| panic!("{}: {error}", logs.display()));
        let (running, past) = (Vec::new(), Vec::new());
        Self {
            cluster,
            topic: group.to_owned(),
            group: group.to_owned(),
            partitions,
            running,
            past,
            logs,
        }
    }

    /// What its members have in common.
    pub fn settings(&self) -> MemberSettings {
        MemberSettings::new(self.cluster.bootstrap(), &self.group, &self.topic)
    }

    /// Starts one more member.
    pub fn join(&mut self, client: &Client, settings: &MemberSettings) {
        let number = self.running.len() + self.past.len() + 1;
        let name = format!("{number}-{:?}", client.kind());
        self.running.push(Member::start(&name, client, settings, &self.logs));
    }

    /// The members that run.
    pub fn running(&self) -> &[Member] {
        &self.running
    }

    /// How many members there were, the running ones among them.
    pub fn members(&self) -> usize {
        self.past.len() + self.running.len()
    }

    /// Lets a member leave, and waits until it has.
    pub fn quit(&mut self, index: usize) {
        let mut member = self.running.remove(index);
        member.say("quit");
        self.past.push(member.finish(PATIENCE));
    }

    /// Kills a member.
    pub fn kill(&mut self, index: usize) {
        self.past.push(self.running.remove(index).kill());
    }

    /// Waits until each running member owns partitions, and each partition has its owner.
    pub fn wait_until_settled(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let owned: Vec<BTreeSet<TopicPartition>> =
                self.running.iter().map(|member| member.look(owned)).collect();
            let all: usize = owned.iter().map(BTreeSet::len).sum();
            if owned.iter().all(|own| !own.is_empty()) && i32::try_from(all) == Ok(self.partitions)
            {
                return;
            }
            if Instant::now() > until {
                self.fail(&format!("the group did not settle: {owned:?}"), &[]);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this many more records were handed out, by whichever members.
    pub fn wait_for_records(&self, more: usize) {
        let until = Instant::now() + PATIENCE;
        let wanted = self.count() + more;
        while self.count() < wanted {
            if Instant::now() > until {
                self.fail(&format!("{} of {wanted} records came", self.count()), &[]);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until everything that was written so far is read, lets all members leave, and compares.
    pub fn finish(mut self, rules: &Rules) -> Vec<MemberHistory> {
        let written = self.written(&self.cluster.java().stop_writer(&self.topic));
        let until = Instant::now() + PATIENCE;
        while !self.has_read(&written) && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        while !self.running.is_empty() {
            self.quit(0);
        }
        let violations = check(&self.past, &written, rules);
        if !violations.is_empty() {
            self.fail(&format!("{} promises were not kept", violations.len()), &violations);
        }
        self.past
    }

    fn written(&self, acknowledged: &[Acknowledged]) -> Written {
        let mut written = Written::new();
        for record in acknowledged {
            let partition = TopicPartition::new(self.topic.as_str(), record.partition);
            let log = written.entry(partition).or_default();
            log.insert(record.offset, record.number.to_string());
        }
        written
    }

    fn has_read(&self, written: &Written) -> bool {
        let mut left: BTreeMap<&TopicPartition, BTreeSet<i64>> =
            written.iter().map(|(p, log)| (p, log.keys().copied().collect())).collect();
        for member in self.histories() {
            for event in &member.events {
                if let What::Record { partition, offset, .. } = &event.what {
                    left.get_mut(partition).map(|offsets| offsets.remove(offset));
                }
            }
        }
        left.values().all(BTreeSet::is_empty)
    }

    fn count(&self) -> usize {
        let records = |events: &[Event]| {
            events.iter().filter(|event| matches!(event.what, What::Record { .. })).count()
        };
        let past: usize = self.past.iter().map(|member| records(&member.events)).sum();
        past + self.running.iter().map(|member| member.look(records)).sum::<usize>()
    }

    fn histories(&self) -> Vec<MemberHistory> {
        let running = self.running.iter().map(Member::history);
        self.past.iter().cloned().chain(running).collect()
    }

    /// Keeps everything that was said beside the clusters' folders, and shows the beginning of what is wrong.
    fn fail(&self, what: &str, violations: &[Violation]) -> ! {
        let members = self.histories();
        let mut lines: Vec<(Duration, String)> = Vec::new();
        for member in &members {
            let said = member.events.iter();
            lines.extend(said.map(|event| (event.at, format!("{} {}", member.name, event.line()))));
        }
        lines.sort_by_key(|(at, _)| *at);
        let mut text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
        for line in self.cluster.group_log(&self.group) {
            text += &format!("broker: {line}\n");
        }
        for entry in fs::read_dir(&self.logs).into_iter().flatten().flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            text += &format!("\n{}:\n{log}", entry.path().display());
        }
        let file = self.cluster.home().with_file_name(format!("{}-failed.txt", self.group));
        let kept = fs::write(&file, text);
        let first = violations.iter().take(8).map(|violation| format!("\n  {violation}"));
        let first: String = first.collect();
        panic!("{}: {what}{first}\nall that was said: {} ({kept:?})", self.group, file.display());
    }
}

/// What a member owns.
fn owned(events: &[Event]) -> BTreeSet<TopicPartition> {
    let mut owned = BTreeSet::new();
    for event in events {
        match &event.what {
            What::Assigned { partitions, .. } => owned.extend(partitions.iter().cloned()),
            What::Revoked(gone) | What::Lost(gone) => owned.retain(|p| !gone.contains(p)),
            _ => {}
        }
    }
    owned
}

const PATIENCE: Duration = Duration::from_secs(120);
