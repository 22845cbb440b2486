//! `read_committed` over whatever brokers keep of transactions: every committed record once and in order, and no other. On
//! a virtual clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_blocking::{
    OffsetReset,
    protocol::{
        fetch::{AbortedTransaction, FetchRequest, PartitionData},
        list_offsets::ListOffsetsRequest,
    },
};
use scripted_broker::{Marker, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The log of a partition, and what of it is committed.
struct History {
    sim: Simulation,
    partition: i32,
    /// Offset, value, and the transaction that it belongs to, of every record.
    written: BTreeMap<i64, (String, Option<u32>)>,
    /// The transactions under way, by producer.
    open: BTreeMap<i64, u32>,
    committed: BTreeSet<u32>,
    transactions: u32,
}

impl History {
    fn new(fetch_bytes: u32) -> Self {
        let mut sim = Simulation::new(1, 1, |o| {
            o.auto_offset_reset("earliest")
                .isolation_level("read_committed")
                .max_partition_fetch_bytes(fetch_bytes)
        });
        sim.cluster.state.create_topic("t", 1);
        sim.assign([("t", 0)]);
        Self {
            sim,
            partition: 0,
            written: BTreeMap::new(),
            open: BTreeMap::new(),
            committed: BTreeSet::new(),
            transactions: 0,
        }
    }

    /// A batch of so many records, in the producer's transaction.
    fn data(&mut self, producer: i64, records: usize) -> &mut Self {
        self.sized(producer, records, 0)
    }

    fn sized(&mut self, producer: i64, records: usize, bytes: usize) -> &mut Self {
        let transaction = *self.open.entry(producer).or_insert_with(|| {
            self.transactions += 1;
            self.transactions
        });
        let values = self.values(&format!("{producer}-{transaction}"), records, bytes);
        let state = &mut self.sim.cluster.state;
        let first = state.append_transactional("t", self.partition, producer, values.clone());
        self.note(first, values, Some(transaction));
        self
    }

    /// A batch of so many records that belong to no transaction.
    fn plain(&mut self, records: usize) -> &mut Self {
        let values = self.values("plain", records, 0);
        let first = self.sim.cluster.state.append("t", self.partition, values.clone());
        self.note(first, values, None);
        self
    }

    fn values(&self, name: &str, records: usize, bytes: usize) -> Vec<String> {
        let already = self.written.len();
        let value = |n: usize| format!("{name}-{}{}", already + n, "x".repeat(bytes));
        (0..records).map(value).collect()
    }

    fn note(&mut self, first: i64, values: Vec<String>, transaction: Option<u32>) {
        for (offset, value) in (first..).zip(values) {
            self.written.insert(offset, (value, transaction));
        }
        self.sim.cluster.changed();
    }

    fn marker(&mut self, producer: i64, marker: Marker) -> &mut Self {
        self.sim.cluster.state.append_marker("t", self.partition, producer, marker);
        self.sim.cluster.changed();
        self
    }

    fn commit(&mut self, producer: i64) -> &mut Self {
        self.committed.extend(self.open.remove(&producer));
        self.marker(producer, Marker::Commit)
    }

    fn abort(&mut self, producer: i64) -> &mut Self {
        self.open.remove(&producer);
        self.marker(producer, Marker::Abort)
    }

    /// Leaves a gap, as compaction does.
    fn gap(&mut self, offsets: i64) -> &mut Self {
        let log = &mut self.sim.cluster.state.partition_mut("t", self.partition).log;
        log.skip_to(log.end() + offsets);
        self
    }

    /// The offsets and values of what is committed, before the first record that is not decided.
    fn expected(&self) -> Vec<(i64, String)> {
        let is_open =
            |t: &Option<u32>| t.is_some_and(|t| self.open.values().any(|open| *open == t));
        let decided = self.written.iter().take_while(|(_, (_, t))| !is_open(t));
        let visible = decided.filter(|(_, (_, t))| t.is_none_or(|t| self.committed.contains(&t)));
        visible.map(|(offset, (value, _))| (*offset, value.clone())).collect()
    }

    fn seen(&self) -> Vec<(i64, String)> {
        let text = |v: &Option<Vec<u8>>| String::from_utf8(v.clone().unwrap()).unwrap();
        self.sim.received().iter().map(|r| (r.offset, text(&r.value))).collect()
    }

    fn position(&self) -> i64 {
        let subscriptions = &self.sim.machines.subscriptions;
        let id = subscriptions.id(&("t", 0).into()).unwrap();
        subscriptions.state(id).and_then(|state| state.offset()).expect("a position")
    }

    fn end(&self) -> i64 {
        self.sim.cluster.state.partition("t", 0).unwrap().log.end()
    }

    /// Reads until nothing more comes, and compares.
    #[track_caller]
    fn check(&mut self) {
        let expected = self.expected();
        let limit = self.sim.elapsed() + 2 * MINUTE;
        while self.sim.received().len() < expected.len() && self.sim.elapsed() < limit {
            self.sim.run_for(ms(100));
        }
        self.sim.run_for(ms(2_000));
        assert_eq!(self.seen(), expected);
        assert!(self.sim.errors().is_empty(), "{:?}", self.sim.errors());
        assert_eq!(self.sim.spins(), []);
    }

    /// Changes what fetches say of the partition.
    fn rewrite(&mut self, mut edit: impl FnMut(&mut PartitionData) + Send + 'static) -> &mut Self {
        self.sim.cluster.on::<FetchRequest>().rewrite(move |response| {
            response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()).for_each(&mut edit);
        });
        self
    }

    /// Has fetches name these aborted transactions: producer and first offset.
    fn name_aborted(&mut self, list: &'static [(i64, i64)]) -> &mut Self {
        self.rewrite(|p| {
            let all = list.iter().map(|(producer_id, first_offset)| AbortedTransaction {
                producer_id: *producer_id,
                first_offset: *first_offset,
            });
            p.aborted_transactions = Some(all.collect());
        })
    }
}

/// Commits and aborts of four producers, as a seed will have it; what is open in the end is committed or aborted.
fn interleaved(seed: u64, fetch_bytes: u32) -> History {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut history = History::new(fetch_bytes);
    for _ in 0..80 {
        let producer = random.i64(1..5);
        match random.u8(0..10) {
            0..=4 => history.data(producer, random.usize(1..4)),
            5 => history.plain(random.usize(1..3)),
            6 => history.gap(random.i64(1..5)),
            7 => history.commit(producer),
            _ => history.abort(producer),
        };
        if random.u8(0..4) == 0 {
            let time = ms(random.u64(0..800));
            history.sim.run_for(time);
        }
    }
    for producer in 1..5 {
        if random.bool() {
            history.commit(producer)
        } else {
            history.abort(producer)
        };
    }
    history
}

#[test]
fn fault_221_of_interleaved_transactions_what_is_committed_comes_in_order_and_nothing_else() {
    for seed in 0..15 {
        for fetch_bytes in [1, 300, 1 << 20] {
            interleaved(seed, fetch_bytes).check();
        }
    }
}

#[test]
fn fault_221_without_read_committed_everything_comes() {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.assign([("t", 0)]);
    sim.cluster.state.append_transactional("t", 0, 1, ["aborted"]);
    sim.cluster.state.append_marker("t", 0, 1, Marker::Abort);
    sim.cluster.state.append_transactional("t", 0, 1, ["open"]);
    sim.run_for(ms(1_000));
    assert_eq!(sim.values(), ["aborted", "open"]);
}

#[test]
fn fault_222_an_abort_marker_without_data_drops_nothing_behind_it() {
    let mut history = History::new(1 << 20);
    history.abort(1).data(1, 2).commit(1).plain(1).abort(1).data(1, 2).commit(1).check();
    // Though the broker names a transaction that began with its marker.
    for list in [&[(1, 0)][..], &[(1, 0), (1, 5)], &[(1, 0), (2, 0), (3, 0)]] {
        let mut history = History::new(1 << 20);
        history.name_aborted(list);
        history.abort(1).data(1, 2).commit(1).plain(1).abort(1).data(1, 2).commit(1);
        history.abort(2).abort(3).check();
    }
}

#[test]
fn fault_223_a_list_in_any_order_is_taken_as_a_sorted_one() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = interleaved(seed, 2_000);
        history.rewrite(move |p| {
            if let Some(list) = &mut p.aborted_transactions {
                random.shuffle(list);
            }
        });
        history.check();
    }
    let mut history = History::new(1 << 20);
    history.name_aborted(&[(1, 6), (2, 1), (1, 0)]);
    history.data(1, 1).data(2, 1).abort(1).abort(2).data(1, 1).commit(1);
    history.data(1, 1).abort(1).data(1, 1).data(2, 1).commit(1).commit(2).check();
}

#[test]
fn fault_224_what_compaction_has_taken_of_transactions_changes_nothing_of_the_rest() {
    // The data are gone, the marker is there, and the broker still names the transaction.
    let mut history = History::new(1 << 20);
    history.name_aborted(&[(1, 0)]);
    history.gap(3).abort(1).data(1, 2).commit(1).plain(1).check();
    // The first data are gone, the last are there.
    let mut history = History::new(1 << 20);
    history.name_aborted(&[(1, 0)]);
    history.gap(3).data(1, 2).plain(1).abort(1).data(1, 1).commit(1).check();
    // Data and marker are gone, and so is the name.
    let mut history = History::new(1 << 20);
    history.plain(1).gap(5).data(1, 2).commit(1).gap(2).data(2, 1).gap(3).abort(2).plain(1).check();
    // The marker of a commit is gone.
    let mut history = History::new(1 << 20);
    history.data(1, 2).commit(1).plain(1);
    history.rewrite(|p| p.aborted_transactions = Some(vec![]));
    history.gap(4).data(2, 1).commit(2).check();
}

#[test]
fn fault_226_odd_markers_end_no_transaction_and_harm_nothing() {
    let odd = [
        Marker::Other(2),
        Marker::Other(6),
        Marker::Other(-1),
        Marker::Other(i16::MAX),
        Marker::Key(vec![]),
        Marker::Key(vec![0]),
        Marker::Key(vec![0, 0, 0]),
        Marker::Key(vec![255; 4]),
        Marker::Key(vec![7; 40]),
    ];
    for marker in odd {
        let mut history = History::new(1 << 20);
        history.data(1, 1).marker(1, marker.clone()).data(1, 1).abort(1).abort(1).plain(1);
        history.data(1, 1).marker(1, marker.clone()).commit(1).commit(1).abort(1);
        history.marker(9, marker).data(1, 2).commit(1).data(1, 1).abort(1).abort(1).check();
        assert_eq!(history.position(), history.end());
    }
}

#[test]
fn fault_226_markers_in_a_version_that_is_not_known_yet_harm_nothing() {
    for kind in [0, 1, 9] {
        let mut history = History::new(1 << 20);
        history.marker(1, Marker::Key(vec![0, 1, 0, kind])).plain(1);
        history.marker(1, Marker::Key(vec![0, 1, 0, kind, 5, 5, 5])).data(1, 2).commit(1).check();
    }
}

#[test]
fn fault_227_fetches_that_hold_nothing_but_aborted_records_move_on_without_an_error() {
    for fetch_bytes in [1, 20_000, 250_000, 1 << 20] {
        let mut history = History::new(fetch_bytes);
        for _ in 0..40 {
            history.sized(1, 3, 10_000);
        }
        history.abort(1);
        history.sim.run_for(ms(5_000));
        assert_eq!((history.position(), history.seen().len()), (history.end(), 0), "{fetch_bytes}");
        history.plain(1).check();
        let fetches = history.sim.cluster.requests_of::<FetchRequest>().len();
        assert!(fetches < 80, "{fetches} fetches: nothing was fetched twice");
    }
}

#[test]
fn fault_228_an_open_transaction_holds_up_what_is_behind_it_until_it_is_decided() {
    for commits in [false, true] {
        let mut history = History::new(1 << 20);
        history.plain(2).data(1, 2).plain(3).data(2, 1).commit(2);
        history.check();
        assert_eq!((history.seen().len(), history.position()), (2, 2), "up to the first open");
        let before = history.sim.cluster.requests_of::<FetchRequest>().len();
        history.sim.run_for(ms(5_000));
        let made = history.sim.cluster.requests_of::<FetchRequest>().len() - before;
        assert!(made < 15, "{made} fetches in five seconds");
        if commits {
            history.commit(1)
        } else {
            history.abort(1)
        };
        let wanted = if commits { 8 } else { 6 };
        let took = history.sim.run_until(MINUTE, |sim| sim.received().len() == wanted);
        assert!(took < ms(50), "the fetch that waits is answered: {took:?}");
        history.check();
        assert_eq!(history.position(), history.end());
    }
}

#[test]
fn fault_228_the_end_is_the_last_stable_offset() {
    let mut history = History::new(1 << 20);
    history.plain(2).data(1, 2).plain(3).check();
    let all = [("t", 0).into()].into();
    let subscriptions = &mut history.sim.machines.subscriptions;
    subscriptions.seek_to(&all, OffsetReset::Latest).unwrap();
    history.sim.machines.follow();
    history.sim.run_for(ms(1_000));
    assert_eq!(history.position(), 2);
    let asked = history.sim.cluster.requests_of::<ListOffsetsRequest>();
    assert!(asked.iter().all(|r| r.isolation_level == 1));
}

#[test]
fn fault_229_a_transaction_that_spans_fetches_and_chunks_is_left_out_to_its_end() {
    // Small fetches, and answers of several chunks of a mebibyte.
    for (fetch_bytes, batches, bytes) in [(1, 12, 10), (400, 30, 100), (20 << 20, 12, 400_000)] {
        for commits in [false, true] {
            let mut history = History::new(fetch_bytes);
            for _ in 0..batches {
                history.sized(1, 1, bytes).sized(2, 1, bytes).plain(1);
            }
            if commits {
                history.commit(1)
            } else {
                history.abort(1)
            };
            history.sized(1, 1, bytes).abort(2).commit(1).plain(1);
            history.check();
        }
    }
}

#[test]
fn fault_229_an_abort_that_comes_late_is_known_when_its_records_are_read() {
    let mut history = History::new(200);
    history.plain(3).data(1, 3).plain(3);
    history.sim.run_for(ms(2_000));
    history.data(1, 3).plain(3);
    history.sim.run_for(ms(2_000));
    history.abort(1).plain(1).check();
}

#[test]
fn fault_229_a_seek_into_an_aborted_transaction_shows_none_of_its_rest() {
    let mut history = History::new(1 << 20);
    history.data(1, 3).data(1, 3).plain(2).abort(1).data(1, 1).commit(1).check();
    for offset in [1, 4] {
        let before = history.seen().len();
        history.sim.seek(("t", 0), offset);
        history.sim.run_for(ms(2_000));
        let seen: Vec<i64> = history.seen()[before..].iter().map(|(offset, _)| *offset).collect();
        assert_eq!(seen, [6, 7, 9], "from {offset}");
    }
}

#[test]
fn fault_230_no_list_is_an_empty_list() {
    let mut history = History::new(1 << 20);
    history.rewrite(|p| p.aborted_transactions = None);
    history.data(1, 2).plain(1).commit(1).data(1, 1).commit(1).check();
}

#[test]
fn fault_231_the_position_moves_over_what_was_aborted_and_over_markers() {
    let mut history = History::new(1 << 20);
    history.plain(1).data(1, 5).abort(1).check();
    assert_eq!((history.position(), history.end()), (7, 7));
    history.data(1, 1).commit(1).check();
    assert_eq!(history.position(), 9, "behind the marker of the commit");
    history.abort(5).abort(6).check();
    assert_eq!(history.position(), 11, "behind markers alone");
}
