//! A member of a group with this crate's consumer: `group_member SETTINGS [poll|next] [close|drop]`.
//!
//! Says on standard output what happens to it and obeys `quit`, `pause` and `resume`, as the members of the other clients
//! do. It reads with the call that is named, and leaves as it is told.
use std::{
    env,
    io::{self, BufRead, Write},
    process,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use kafka_blocking::{
    BoxError, ConsumerRebalanceListener, ConsumerRecord, Error, KafkaConsumer, Result,
    TopicPartition,
};
use kafka_blocking_integration::groups::{
    CommitMode, Event, MemberSettings, PartitionOffsets, What, monotonic,
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let word =
        |n: usize, default: &str| arguments.get(n).map_or(default, String::as_str).to_owned();
    let settings = serde_json::from_str(&arguments[0]).expect("the settings are JSON");
    let settings = MemberSettings::from_json(&settings).expect("the settings are complete");
    log::set_logger(&Stderr).expect("it is the first");
    log::set_max_level(log::LevelFilter::Debug);
    let orders = Arc::new(Orders::default());
    let listening = Arc::clone(&orders);
    thread::spawn(move || listening.obey());
    let member = Member { settings, orders, pending: Arc::default() };
    if let Err(error) = member.run(&word(1, "poll"), &word(2, "close")) {
        say(What::Error(error.to_string()), None);
        process::exit(1);
    }
}

/// What the consumer logs of its group, with the time of the events.
struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "kafka_blocking::group"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{:?} {} {}", monotonic(), record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

/// What was said on standard input.
#[derive(Debug, Default)]
struct Orders {
    quit: AtomicBool,
    paused: AtomicBool,
}

/// What was handed out and is not yet committed: the offset after the last one.
type Pending = Arc<Mutex<PartitionOffsets>>;

struct Member {
    settings: MemberSettings,
    orders: Arc<Orders>,
    pending: Pending,
}

struct Listener(Pending);

impl Member {
    fn run(&self, way: &str, leaving: &str) -> Result<()> {
        let consumer = self.open()?;
        say(What::Started, None);
        consumer.subscribe_with(&self.settings.topics, Listener(Arc::clone(&self.pending)))?;
        while !self.orders.quit.load(Ordering::SeqCst) {
            if self.orders.paused.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            match way {
                "poll" => self.poll(&consumer)?,
                "next" => self.next(&consumer)?,
                other => panic!("no such way to read: {other}"),
            }
        }
        let all = lock(&self.pending).clone();
        commit(&consumer, &self.pending, &all)?;
        match leaving {
            "close" => {
                say(What::Closing { commits: true }, None);
                consumer.close()?;
            }
            "drop" => {
                say(What::Closing { commits: false }, None);
                drop(consumer);
            }
            other => panic!("no such way to leave: {other}"),
        }
        say(What::Closed, None);
        Ok(())
    }

    fn open(&self) -> Result<KafkaConsumer> {
        let settings = &self.settings;
        let mut builder = KafkaConsumer::builder()
            .bootstrap_servers(settings.servers.as_str())
            .group_id(settings.group.as_str())
            .auto_offset_reset("earliest")
            .partition_assignment_strategy(settings.assignors.join(","))
            .enable_auto_commit(settings.commit == CommitMode::Auto)
            .auto_commit_interval_ms(settings.auto_commit_interval)
            .max_poll_interval_ms(settings.max_poll_interval)
            .session_timeout_ms(settings.session_timeout)
            .heartbeat_interval_ms(settings.heartbeat_interval)
            .consumer_timeout_ms(settings.poll)
            .set("max_poll_records", &settings.max_poll_records.to_string());
        if let Some(instance) = &settings.instance {
            builder = builder.group_instance_id(instance.as_str());
        }
        builder.build()
    }

    fn poll(&self, consumer: &KafkaConsumer) -> Result<()> {
        for record in consumer.poll(self.settings.poll)?.into_records() {
            self.process(consumer, &record)?;
            // What auto commit commits is the whole of what poll returned.
            if self.orders.quit.load(Ordering::SeqCst) && self.settings.commit != CommitMode::Auto {
                return Ok(());
            }
        }
        self.commit_batch(consumer)
    }

    fn next(&self, consumer: &KafkaConsumer) -> Result<()> {
        for _ in 0..self.settings.max_poll_records {
            let Some(record) = consumer.next().transpose()? else { break };
            self.process(consumer, &record)?;
            if self.orders.quit.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
        self.commit_batch(consumer)
    }

    fn process(&self, consumer: &KafkaConsumer, record: &ConsumerRecord) -> Result<()> {
        let partition = record.topic_partition();
        let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
        let offset = record.offset();
        let what = What::Record { partition: partition.clone(), offset, value };
        say(what, Some(consumer.group_metadata()?.generation_id));
        thread::sleep(self.settings.process);
        if matches!(self.settings.commit, CommitMode::Record | CommitMode::Batch) {
            lock(&self.pending).insert(partition.clone(), offset + 1);
        }
        if self.settings.commit == CommitMode::Record {
            commit(consumer, &self.pending, &PartitionOffsets::from([(partition, offset + 1)]))?;
        }
        Ok(())
    }

    fn commit_batch(&self, consumer: &KafkaConsumer) -> Result<()> {
        if self.settings.commit != CommitMode::Batch {
            return Ok(());
        }
        let all = lock(&self.pending).clone();
        commit(consumer, &self.pending, &all)
    }
}

impl ConsumerRebalanceListener for Listener {
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        let mut event = Event::now(What::Started);
        let mut committed = PartitionOffsets::new();
        for partition in partitions {
            if let Some(offset) = consumer.committed(partition)? {
                committed.insert(partition.clone(), offset);
            }
        }
        event.what = What::Assigned { partitions: partitions.to_vec(), committed };
        event.generation = Some(consumer.group_metadata()?.generation_id);
        print(&event);
        Ok(())
    }

    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        let mut theirs = lock(&self.0).clone();
        theirs.retain(|partition, _| partitions.contains(partition));
        commit(consumer, &self.0, &theirs)?;
        self.gone(What::Revoked(partitions.to_vec()), consumer, partitions)
    }

    fn on_partitions_lost(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        self.gone(What::Lost(partitions.to_vec()), consumer, partitions)
    }
}

impl Listener {
    fn gone(
        &self,
        what: What,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        lock(&self.0).retain(|partition, _| !partitions.contains(partition));
        say(what, Some(consumer.group_metadata()?.generation_id));
        Ok(())
    }
}

/// Commits these. What cannot be committed now stays pending until it is, or is lost.
fn commit(consumer: &KafkaConsumer, pending: &Pending, offsets: &PartitionOffsets) -> Result<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    say(What::Committing(offsets.clone()), None);
    match consumer.commit_offsets(offsets.iter().map(|(partition, offset)| (partition, *offset))) {
        Ok(()) => {
            say(What::Committed(offsets.clone()), None);
            lock(pending).retain(|partition, _| !offsets.contains_key(partition));
        }
        Err(Error::CommitFailed { .. } | Error::RebalanceInProgress) => {
            say(What::CommitFailed(offsets.clone()), None);
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

impl Orders {
    /// Ends the process with its standard input: whoever started it is gone.
    fn obey(&self) {
        for line in io::stdin().lock().lines().map_while(io::Result::ok) {
            match line.as_str() {
                "quit" => self.quit.store(true, Ordering::SeqCst),
                "pause" => self.paused.store(true, Ordering::SeqCst),
                "resume" => self.paused.store(false, Ordering::SeqCst),
                other => panic!("no such command: {other}"),
            }
        }
        process::exit(2);
    }
}

fn say(what: What, generation: Option<i32>) {
    print(&Event { generation, ..Event::now(what) });
}

fn print(event: &Event) {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", event.line()).and_then(|()| out.flush()).expect("somebody listens");
}

fn lock(pending: &Pending) -> MutexGuard<'_, PartitionOffsets> {
    pending.lock().unwrap_or_else(|poison| poison.into_inner())
}
