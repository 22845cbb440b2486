//! What members do: little programs, with habits of their own.

use std::{cell::Cell, collections::BTreeMap, ops::Range, rc::Rc, time::Duration};

use kafka_blocking::{ConsumerBuilder, Error, GroupState, Result};
use scripted_broker::{ListenerHabits, SimulatedConsumer, Taken};

use crate::chaos::TOPICS;

/// When and how a program commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    Auto,
    Sync,
    Async,
    /// Each record when it is finished, by its offset.
    Each,
    Never,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closes,
    IsDropped,
    /// It leaves the group and comes back.
    Returns,
}

#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) assignors: &'static str,
    pub(crate) topics: &'static [&'static str],
    pub(crate) commits: Commits,
    poll: Duration,
    max_records: usize,
    one_by_one: bool,
    /// How long it works on what it got, in milliseconds.
    works_ms: Range<u64>,
    /// How often, of 256 times, it works for longer than it may.
    dawdles: u8,
    restless: bool,
    partition_bytes: i32,
    /// How often, of 256 times, it goes to another place.
    pub(crate) seeks: u8,
    /// Whether it waits for some of its commits, and not for long, while others are on their way.
    pub(crate) hasty: bool,
    pub(crate) instance: Option<String>,
    pub(crate) listener: ListenerHabits,
}

/// By what a program's choices are made: newer ones by themselves, so that seeds which failed once make the same others.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    pub(crate) habits: fastrand::Rng,
    pub(crate) whims: fastrand::Rng,
}

/// What the test says to programs.
#[derive(Clone, Default)]
pub(crate) struct Word {
    /// All odd habits end: everything is to be read.
    pub(crate) calm: Rc<Cell<bool>>,
    /// The program has heeded that.
    pub(crate) calmed: Rc<Cell<bool>>,
    pub(crate) end: Rc<Cell<Option<End>>>,
    /// Nothing happens any more: there is no hurry, but it is to hear what is said to it.
    pub(crate) idle: Rc<Cell<bool>>,
}

/// How often members seek.
pub(crate) const SEEKS: [u8; 4] = [0, 0, 6, 40];

pub(crate) const MAX_POLL: Duration = Duration::from_secs(12);
pub(crate) const SESSION: Duration = Duration::from_secs(6);

pub(crate) fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

impl Habits {
    pub(crate) fn of(random: &mut fastrand::Rng, assignors: &'static str, quiet: bool) -> Self {
        let all = [Commits::Auto, Commits::Auto, Commits::Sync, Commits::Async, Commits::Each];
        let mut commits = pick(random, &all);
        if !quiet && random.u8(..) < 20 {
            commits = Commits::Never;
        }
        let listens = commits != Commits::Auto && random.bool();
        let listener = ListenerHabits {
            commits: listens.then_some(Duration::from_millis(pick(random, &[200, 3_000]))),
            takes_ms: if quiet { 0..0 } else { pick(random, &[0, 0, 1, 300]).into_range() },
        };
        let ms = [0, 20, 100, 500, 2_000, 30_000];
        Self {
            assignors,
            topics: pick(random, &[&TOPICS[..], &TOPICS[..], &TOPICS[..1], &TOPICS[1..]]),
            commits,
            poll: Duration::from_millis(pick(random, &ms)),
            max_records: pick(random, &[1, 3, 50, 500]),
            one_by_one: random.u8(0..4) == 0,
            works_ms: pick(random, &[1, 10, 100, 800]).into_range(),
            dawdles: if quiet { 0 } else { pick(random, &[0, 0, 1, 4]) },
            restless: !quiet && random.bool(),
            partition_bytes: pick(random, &[1, 400, 1 << 20]),
            seeks: 0,
            hasty: false,
            instance: None,
            listener,
        }
    }

    pub(crate) fn options(&self, builder: ConsumerBuilder) -> ConsumerBuilder {
        let builder = builder
            .partition_assignment_strategy(self.assignors)
            .auto_offset_reset("earliest")
            .enable_auto_commit(self.commits == Commits::Auto)
            .auto_commit_interval_ms(1_000)
            .session_timeout_ms(SESSION)
            .heartbeat_interval_ms(1_500)
            .max_poll_interval_ms(MAX_POLL)
            .metadata_max_age_ms(5_000)
            .request_timeout_ms(5_000)
            .default_api_timeout_ms(8_000)
            .bootstrap_timeout_ms(5_000)
            .max_partition_fetch_bytes(self.partition_bytes);
        match &self.instance {
            Some(instance) => builder.group_instance_id(instance.as_str()),
            None => builder,
        }
    }
}

trait IntoRange {
    fn into_range(self) -> Range<u64>;
}

impl IntoRange for u64 {
    fn into_range(self) -> Range<u64> {
        0..self
    }
}

/// The loop of a program.
pub(crate) async fn run(mut consumer: SimulatedConsumer, habits: Habits, word: Word, dice: Dice) {
    let Dice { habits: mut random, whims: mut whim } = dice;
    while !consumer.connect().await {
        consumer.work(Duration::from_millis(500)).await;
    }
    consumer.subscribe(habits.topics);
    let (mut calm, mut obstacles) = (false, String::new());
    loop {
        if word.calm.get() && !calm {
            calm = true;
            consumer.subscribe(&TOPICS);
            consumer.resume_all();
            word.calmed.set(true);
        }
        // What was paused when it was taken away is so when it comes back.
        if calm && !consumer.paused().is_empty() {
            consumer.resume_all();
        }
        match word.end.take() {
            Some(End::Closes) => return consumer.close().await,
            Some(End::IsDropped) => return consumer.drop_it().await,
            Some(End::Returns) => {
                consumer.unsubscribe().await;
                consumer.work(Duration::from_millis(random.u64(0..500))).await;
                consumer.subscribe(if calm { &TOPICS } else { habits.topics });
            }
            None => {}
        }
        // Time-outs hardly pass for who is away most of the time.
        let poll = match (word.idle.get(), calm) {
            (true, _) => Duration::from_secs(2),
            (false, true) => habits.poll.clamp(Duration::from_millis(200), Duration::from_secs(5)),
            (false, false) => habits.poll,
        };
        let taken = if habits.one_by_one {
            consumer.next(poll).await
        } else {
            consumer.poll_max(poll, habits.max_records).await
        };
        match taken {
            Ok(taken) => {
                work(&mut consumer, &habits, &taken, calm, [&mut random, &mut whim]).await;
            }
            Err(error) => {
                let fatal = matches!(error, Error::FencedInstanceId { .. });
                consumer.failed("reading", error);
                if fatal {
                    return consumer.close().await;
                }
                consumer.work(Duration::from_millis(50)).await;
            }
        }
        if calm && consumer.standing().1 != GroupState::Stable {
            let now = format!("{:?}: {}", consumer.standing(), consumer.obstacles());
            if now != obstacles {
                consumer.write(now.clone());
                obstacles = now;
            }
        }
        if habits.restless && !calm {
            fidget(&mut consumer, &mut random).await;
        }
        if !calm && whim.u8(..) < habits.seeks {
            wander(&mut consumer, &mut whim).await;
        }
    }
}

/// Works on records, and commits.
async fn work(
    consumer: &mut SimulatedConsumer,
    habits: &Habits,
    taken: &Taken,
    calm: bool,
    [random, whim]: [&mut fastrand::Rng; 2],
) {
    let dawdles = !calm && random.u8(..) < habits.dawdles;
    let time = if dawdles {
        MAX_POLL + Duration::from_millis(random.u64(0..4_000))
    } else if calm {
        Duration::from_millis(if taken.is_empty() { 50 } else { 1 })
    } else {
        // One call's records, or none: then there is still a while until it comes back.
        let least = if taken.is_empty() { 30 } else { 1 };
        Duration::from_millis(least + random.u64(habits.works_ms.clone()))
    };
    if habits.commits == Commits::Each && !taken.is_empty() {
        return work_on_each(consumer, taken, time, random).await;
    }
    consumer.work(time / 2).await;
    if habits.commits == Commits::Auto && random.u8(..) < 40 && !taken.is_empty() {
        // A call that is none that reads, with records in hand.
        consumer.committed(&taken[0].0, Duration::from_millis(300)).await;
    }
    consumer.work(time / 2).await;
    if taken.is_empty() && random.u8(..) > 20 {
        return;
    }
    let result: Result<()> = match habits.commits {
        Commits::Sync => {
            consumer.came_back();
            consumer.commit(Duration::from_millis(2_000)).await
        }
        Commits::Async if habits.hasty && whim.u8(0..3) == 0 => {
            consumer.came_back();
            consumer.commit(Duration::from_millis(whim.u64(1..300))).await
        }
        Commits::Async => {
            consumer.came_back();
            consumer.commit_async()
        }
        Commits::Auto | Commits::Each | Commits::Never => Ok(()),
    };
    if let Err(error) = result {
        consumer.failed("commit", error);
    }
}

async fn work_on_each(
    consumer: &mut SimulatedConsumer,
    taken: &Taken,
    time: Duration,
    random: &mut fastrand::Rng,
) {
    let each = time / u32::try_from(taken.len()).unwrap_or(u32::MAX);
    let mut finished = BTreeMap::new();
    for (n, (partition, offset)) in taken.iter().enumerate() {
        consumer.work(each).await;
        consumer.finished(partition, *offset);
        finished.insert(partition.clone(), offset + 1);
        if n + 1 == taken.len() || random.u8(..) < 20 {
            let offsets = std::mem::take(&mut finished);
            if let Err(error) = consumer.commit_offsets(&offsets, Duration::from_secs(2)).await {
                consumer.failed("commit_offsets", error);
            }
        }
    }
}

/// Something else than reading.
async fn fidget(consumer: &mut SimulatedConsumer, random: &mut fastrand::Rng) {
    match random.u8(..) {
        0..4 => consumer.subscribe(pick(random, &[&TOPICS[..], &TOPICS[..1], &TOPICS[1..]])),
        4..12 => {
            let assigned = consumer.assignment().into_iter();
            let those = assigned.filter(|_| random.bool()).collect();
            consumer.pause(&those);
        }
        12..32 => consumer.resume_all(),
        32..34 => consumer.enforce_rebalance(),
        34..38 => {
            if let Some(partition) = consumer.assignment().into_iter().next() {
                consumer.committed(&partition, Duration::from_secs(1)).await;
            }
        }
        _ => {}
    }
}

/// Reads something again; or goes ahead, and comes back before anything was read there. Never past what was not read yet: that
/// would be lost.
async fn wander(consumer: &mut SimulatedConsumer, random: &mut fastrand::Rng) {
    let assigned: Vec<_> = consumer.assignment().into_iter().collect();
    let Some(partition) = assigned.get(random.usize(..assigned.len().max(1))) else { return };
    let Some(position) = consumer.position(partition) else {
        // Where to go on is asked for just now.
        if random.u8(0..4) == 0 {
            consumer.seek(partition, 0);
        }
        return;
    };
    if random.u8(0..3) == 0 {
        consumer.seek(partition, position + random.i64(0..20));
        // A call that drives the machines, and reads nothing.
        consumer.committed(partition, Duration::from_millis(random.u64(0..40))).await;
    }
    consumer.seek(partition, position - random.i64(0..=position.min(30)));
}
