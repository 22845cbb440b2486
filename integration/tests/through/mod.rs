//! What the tests through proxies share: a cluster behind some, groups, and a reader that trusts nothing.
mod reader;
mod words;

use std::{
    cell::RefCell,
    env,
    path::PathBuf,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use kafka_blocking_integration::{
    Cluster, LogsOnFailure, Rebalance,
    groups::{Client, CommitMode, GroupRun, MemberHistory, Rules},
    proxy::{End, Faults, Link, Proxy, Way},
};
use serde_json::{Value, json};

pub(crate) use self::reader::Reader;

/// Three nodes, and proxies that each of them names to those who come through it.
pub(crate) struct Bed {
    pub(crate) dying: Proxy,
    pub(crate) late: Proxy,
    pub(crate) narrow: Proxy,
    pub(crate) flipping: Proxy,
    pub(crate) shredding: Proxy,
    cluster: Cluster,
}

impl Bed {
    pub(crate) fn get() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let seed = number("PROXIED_SEED").unwrap_or(1);
        println!("PROXIED_SEED={seed}");
        let dying = Proxy::start("DYING", NODES, seed, |_, rng| {
            let end = if rng.bool() { End::Reset } else { End::Close };
            Faults::short(Duration::from_millis(rng.u64(500..1_500)), end)
        });
        let late = Proxy::start("LATE", NODES, seed, |_, _| Faults::late(LATENCY));
        let links = [Link::new(NARROW), Link::new(NARROW)];
        let narrow = Proxy::start("NARROW", NODES, seed, move |_, _| {
            let [requests, answers] =
                links.clone().map(|link| Way { link: Some(link), ..Way::default() });
            Faults { requests, answers, lifetime: None }
        });
        let flips = |name: &str, one_in| {
            let answers = Way { flip_one_in: Some(one_in), ..Way::default() };
            let faults = Faults { answers, ..Faults::default() };
            Proxy::start(name, NODES, seed, move |_, _| faults.clone())
        };
        let (flipping, shredding) = (flips("FLIPPING", 50_000), flips("SHREDDING", 5_000));
        let cluster = Cluster::release("4.4.0").nodes(3);
        let cluster = [&dying, &late, &narrow, &flipping, &shredding]
            .into_iter()
            .fold(cluster, |cluster, proxy| cluster.behind(proxy))
            .start();
        Self { dying, late, narrow, flipping, shredding, cluster }
    }

    /// A topic of one partition with batches of such a size, whose records are those that [`value`] says.
    pub(crate) fn fill(&self, topic: &str, records: i64, batch: &str) {
        let java = self.cluster.java();
        java.create_topic(topic, 1, 3, &[]);
        let offsets: Vec<i64> = (0..records).collect();
        for some in offsets.chunks(1_000) {
            let record = |offset: &i64| json!({"value": value(*offset), "partition": 0});
            let written = java.produce(
                topic,
                &some.iter().map(record).collect::<Value>(),
                &[("batch.size", batch)],
            );
            assert!(written.iter().map(|(_, offset)| offset).eq(some));
        }
    }
}

/// What a record of [`Bed::fill`] says: its offset, and then what only it says.
pub(crate) fn value(offset: i64) -> String {
    let mut rng = fastrand::Rng::with_seed(offset.cast_unsigned());
    let noise: String = (0..450).map(|_| rng.alphanumeric()).collect();
    format!("{offset}:{noise}")
}

/// A group whose members know of nothing but a proxy.
pub(crate) struct Run {
    group: &'static str,
    cluster: &'static Cluster,
    servers: String,
    run: RefCell<GroupRun<'static>>,
    _logs: LogsOnFailure<'static>,
}

impl Run {
    pub(crate) fn start(group: &'static str, proxy: &Proxy, key: u32, rate: u32) -> Self {
        let cluster = &Bed::get().cluster;
        let run = RefCell::new(GroupRun::start_large(cluster, group, PARTITIONS, rate, key));
        let _logs = cluster.logs_on_failure();
        Self { group, cluster, servers: proxy.bootstrap(), run, _logs }
    }

    pub(crate) fn wait_until_written(&self, records: usize) {
        let until = Instant::now() + PATIENCE;
        while self.cluster.java().acknowledged(self.group).len() < records {
            assert!(Instant::now() < until, "the writer is slow");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Two members join, one after the other; gives the rebalances that this has taken.
    pub(crate) fn join(&self, ways: [&str; 2], modes: [CommitMode; 2]) -> Vec<Rebalance> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_group_member"));
        for (way, mode) in ways.into_iter().zip(modes) {
            let mut run = self.run.borrow_mut();
            let mut settings = run.settings().commit(mode);
            // Nobody is killed here; a machine that stands still for some seconds has happened.
            settings.session_timeout = Duration::from_secs(30);
            settings.servers = self.servers.clone();
            run.join(&Client::Ours(program.clone(), vec![way.to_owned()]), &settings);
            run.wait_until_settled();
        }
        self.rebalances()
    }

    /// Waits for records again and again.
    pub(crate) fn load(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.run.borrow().wait_for_records(100);
        }
    }

    pub(crate) fn rebalances(&self) -> Vec<Rebalance> {
        self.cluster.rebalances(self.group)
    }

    pub(crate) fn finish(self, rules: &Rules) -> Vec<MemberHistory> {
        self.run.into_inner().finish(rules)
    }
}

/// How long the load lasts.
pub(crate) fn seconds() -> Duration {
    Duration::from_secs(number("PROXIED_SECONDS").unwrap_or(20))
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// One way.
pub(crate) const LATENCY: Duration = Duration::from_millis(200);
/// In each direction, for the whole group.
pub(crate) const NARROW: u64 = 1_000_000;
const NODES: usize = 3;
const PARTITIONS: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(60);
