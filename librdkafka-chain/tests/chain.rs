//! Whether every key comes through three groups whose members hardly stay: without kills once and in order.
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use kafka_blocking_integration::{Cluster, Offsets, open};
use kafka_blocking_librdkafka_chain::{Outlet, Settings};
#[test]
fn every_key_comes_through_once_and_in_order_when_members_only_quit() {
    let mut chain = Chain::new("quit");
    let arrived = chain.run(None);
    let wrong =
        arrived.iter().find(|(key, values)| **values != (0..versions(**key)).collect::<Vec<_>>());
    assert_eq!(wrong, None, "a key and its values; {}", chain.repeated());
}

#[test]
fn every_key_comes_through_when_members_are_killed() {
    let mut chain = Chain::new("killed");
    let arrived = chain.run(Some(KILL_WITHIN));
    for (key, values) in arrived {
        let values: BTreeSet<u32> = values.into_iter().collect();
        assert_eq!(values, (0..versions(key)).collect(), "key {key}");
    }
    println!("{}", chain.repeated());
}

/// Topics a, b, c and d, and a group that leads from each to the next.
struct Chain {
    cluster: &'static Cluster,
    name: &'static str,
    keys: u32,
    rng: Rng,
    logs: PathBuf,
    lives: u32,
    killed: u32,
}

impl Drop for Chain {
    /// What the members and the coordinator logged stays when the test failed.
    fn drop(&mut self) {
        if thread::panicking() {
            for stage in 0..STAGES {
                let log = self.cluster.group_log(&self.group(stage)).join("\n");
                let _ = fs::write(self.logs.join(format!("group-{stage}.log")), log);
            }
            let kept = self.cluster.home().with_file_name(format!("chain-{}-failed", self.name));
            let _ = fs::remove_dir_all(&kept);
            eprintln!(
                "what the members logged: {} ({:?})",
                kept.display(),
                fs::rename(&self.logs, &kept)
            );
        }
    }
}

/// A place for a member: when one is gone, the next comes.
struct Place {
    stage: usize,
    member: Child,
    log: PathBuf,
    kill_at: Option<Instant>,
}

#[derive(Default)]
struct Arrived {
    /// By key, in the order of arrival.
    values: BTreeMap<u32, Vec<u32>>,
    /// How many there are without repetitions.
    distinct: usize,
}

impl Chain {
    fn new(name: &'static str) -> Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").start());
        let keys = number("CHAIN_KEYS").unwrap_or(8_000);
        let seed = number("CHAIN_SEED").unwrap_or(1);
        let logs = cluster.home().join("members").join(name);
        fs::create_dir_all(&logs).expect("a folder for logs");
        let rng = Rng::with_seed(seed.into());
        let chain = Self { cluster, name, keys, rng, logs, lives: 0, killed: 0 };
        for stage in 0..=STAGES {
            cluster.java().create_topic(&chain.topic(stage), PARTITIONS, 1, &[]);
        }
        chain
    }

    /// What arrives at the end, by key in the order of arrival. With a time, a third of the members is killed within that.
    fn run(&mut self, kill_within: Option<Duration>) -> BTreeMap<u32, Vec<u32>> {
        let _logs = self.cluster.logs_on_failure();
        self.fill();
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let reader = Reader::start(self.cluster.bootstrap(), &self.topic(STAGES), &arrived);
        let begin = Instant::now();
        let mut places: Vec<Place> =
            (0..STAGES * MEMBERS).map(|place| self.member(place % STAGES, kill_within)).collect();
        let wanted: usize = (0..self.keys).map(|key| versions(key) as usize).sum();
        let mut growth = (0, Instant::now());
        loop {
            let count = arrived.lock().expect("the reader lives").distinct;
            if count == wanted {
                break;
            }
            if count != growth.0 {
                growth = (count, Instant::now());
            }
            assert!(growth.1.elapsed() < PATIENCE, "{count} of {wanted} records arrived, no more");
            for place in &mut places {
                if self.ended(place) {
                    *place = self.member(place.stage, kill_within);
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
        for place in &mut places {
            place.member.stdin.take();
        }
        while places.iter_mut().any(|place| !self.ended(place)) {
            thread::sleep(Duration::from_millis(5));
        }
        println!(
            "{}: {wanted} records, {} lives, {} killed, {:?}",
            self.name,
            self.lives,
            self.killed,
            begin.elapsed()
        );
        reader.finish(self.ends(STAGES));
        let arrived = arrived.lock().expect("the reader lives");
        arrived.values.clone()
    }

    fn fill(&self) {
        let outlet = Outlet::new(self.cluster.bootstrap(), &self.topic(0));
        for version in 0..VERSIONS {
            let keys = (0..self.keys).filter(|key| version < versions(*key));
            let record = |key: u32| (key.to_string(), version.to_string());
            outlet.write(&keys.map(record).collect::<Vec<_>>());
        }
    }

    fn member(&mut self, stage: usize, kill_within: Option<Duration>) -> Place {
        self.lives += 1;
        let settings = Settings {
            servers: self.cluster.bootstrap().to_owned(),
            group: self.group(stage),
            from: self.topic(stage),
            to: self.topic(stage + 1),
            assignor: ASSIGNORS[stage].to_owned(),
            rounds: self.rng.u32(0..3),
            glance: Duration::from_millis(self.rng.u64(0..400)),
            session: kill_within.map_or(LONG_SESSION, |_| SHORT_SESSION),
            lenient: kill_within.is_some(),
            batch: usize::try_from(self.keys / 100).expect("it is small").max(500),
        };
        let log = self.logs.join(format!("{stage}-{}.log", self.lives));
        let errors = File::create(&log).expect("a file for what it logs");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-blocking-librdkafka-chain"));
        command.args(settings.arguments()).stdin(Stdio::piped()).stderr(errors);
        let member = command.spawn().expect("it was built");
        let kill_at = kill_within.filter(|_| self.rng.u32(0..3) == 0).map(|within| {
            let within = u64::try_from(within.as_millis()).expect("it is short");
            Instant::now() + Duration::from_millis(self.rng.u64(0..within))
        });
        Place { stage, member, log, kill_at }
    }

    /// Whether a member has left, or was killed now.
    fn ended(&mut self, place: &mut Place) -> bool {
        if let Some(status) = place.member.try_wait().expect("it is a child of ours") {
            let log = || fs::read_to_string(&place.log).unwrap_or_default();
            assert!(status.success(), "{}: {status}\n{}", place.log.display(), log());
            return true;
        }
        if place.kill_at.is_none_or(|at| Instant::now() < at) {
            return false;
        }
        self.killed += 1;
        place.member.kill().expect("it is a child of ours");
        place.member.wait().expect("it is a child of ours");
        true
    }

    /// How many records each topic has twice.
    fn repeated(&self) -> String {
        let count = |stage| {
            let arrived = Arc::new(Mutex::new(Arrived::default()));
            let topic = self.topic(stage);
            Reader::start(self.cluster.bootstrap(), &topic, &arrived).finish(self.ends(stage));
            let arrived = arrived.lock().expect("the reader lives");
            let all: usize = arrived.values.values().map(Vec::len).sum();
            format!("{topic}: {} repeated", all - arrived.distinct)
        };
        (0..=STAGES).map(count).collect::<Vec<_>>().join(", ")
    }

    fn ends(&self, stage: usize) -> Vec<Offsets> {
        self.cluster.java().offsets(&self.topic(stage))
    }

    fn group(&self, stage: usize) -> String {
        format!("{}-{stage}", self.name)
    }

    fn topic(&self, stage: usize) -> String {
        format!("{}-{}", self.name, ["a", "b", "c", "d"][stage])
    }
}

impl Arrived {
    fn add(&mut self, key: u32, value: u32) {
        let values = self.values.entry(key).or_default();
        self.distinct += usize::from(!values.contains(&value));
        values.push(value);
    }
}

/// Every record of the last topic, read without a group.
struct Reader {
    ends: Arc<OnceLock<Vec<Offsets>>>,
    thread: thread::JoinHandle<()>,
}

impl Reader {
    fn start(servers: &str, topic: &str, arrived: &Arc<Mutex<Arrived>>) -> Self {
        let ends = Arc::new(OnceLock::new());
        let (arrived, known) = (Arc::clone(arrived), Arc::clone(&ends));
        let consumer = open(servers, topic, PARTITIONS, &[]);
        let thread = thread::spawn(move || {
            let mut next = BTreeMap::<i32, i64>::new();
            let at_end = |next: &BTreeMap<i32, i64>| {
                let ends = known.get();
                ends.is_some_and(|ends: &Vec<Offsets>| {
                    let of = |partition| next.get(&partition).copied().unwrap_or(0);
                    ends.iter().all(|end| of(end.partition) >= end.end)
                })
            };
            while !at_end(&next) {
                let Some(record) = consumer.next() else { continue };
                let record = record.expect("the topic can be read");
                next.insert(record.partition(), record.offset() + 1);
                let (key, value) = (number_in(record.key()), number_in(record.value()));
                arrived.lock().expect("the test lives").add(key, value);
            }
        });
        Self { ends, thread }
    }

    /// Reads on until these ends.
    fn finish(self, ends: Vec<Offsets>) {
        self.ends.set(ends).expect("once");
        self.thread.join().expect("the topic can be read");
    }
}

fn number_in(field: Option<&[u8]>) -> u32 {
    let text = field.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).expect("keys and values are numbers")
}

/// How many records a key has: every twentieth has several, so that their order can be seen.
fn versions(key: u32) -> u32 {
    if key.is_multiple_of(20) { VERSIONS } else { 1 }
}

fn number(name: &str) -> Option<u32> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

const STAGES: usize = 3;
const MEMBERS: usize = 3;
const PARTITIONS: i32 = 6;
const VERSIONS: u32 = 5;
const ASSIGNORS: [&str; STAGES] = ["range", "roundrobin", "cooperative-sticky"];
const KILL_WITHIN: Duration = Duration::from_millis(2_000);
const SHORT_SESSION: Duration = Duration::from_millis(2_000);
const LONG_SESSION: Duration = Duration::from_secs(30);
/// Less than a long session: nobody waits for a member that has left.
const PATIENCE: Duration = Duration::from_secs(20);
