//! What a caller may do, and which of it comes next.

use fastrand::Rng;

use crate::expected::{Expected, Place};

/// One call, or something that happens to the cluster. Numbers are those of partitions.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Next,
    /// With no time to wait.
    Poll,
    /// Up to so many records.
    PollMax(usize),
    PollBatch,
    /// The deserializer fails from so many values on, in `poll` or in `next`.
    Fail {
        after: usize,
        poll: bool,
    },
    Seek(usize, i64),
    /// With the leader's epoch of what stands before.
    SeekInEpoch(usize, i64),
    SeekToBeginning(Vec<usize>),
    SeekToEnd(Vec<usize>),
    Position(usize),
    Pause(Vec<usize>),
    Resume(Vec<usize>),
    Assign(Vec<usize>),
    /// After `unsubscribe`.
    AssignAnew(Vec<usize>),
    /// What is appended comes from this seed.
    Append(usize, u64),
    MoveLeader(usize, i32),
    CloseConnections(i32),
}

/// How many nodes the cluster has.
pub(crate) const NODES: i32 = 3;

/// Chooses what fits the state that the consumer should be in.
pub(crate) fn choose(expected: &Expected, random: &mut Rng) -> Step {
    let all: Vec<usize> = (0..expected.logs.len()).collect();
    let assigned: Vec<usize> = expected.assigned.keys().copied().collect();
    if assigned.is_empty() {
        return if random.u8(0..5) == 0 { Step::Next } else { Step::Assign(some(&all, random)) };
    }
    let any = all[random.usize(..all.len())];
    let one = assigned[random.usize(..assigned.len())];
    match random.u8(0..100) {
        0..20 => Step::Next,
        20..32 => Step::Poll,
        32..42 => Step::PollMax(random.usize(1..8)),
        42..47 => Step::PollBatch,
        47..50 => Step::Fail { after: random.usize(0..3), poll: random.bool() },
        50..59 => Step::Seek(one, target(expected, one, random)),
        59..61 => Step::SeekInEpoch(one, target(expected, one, random)),
        61..63 => Step::SeekToBeginning(some(&assigned, random)),
        63..65 => Step::SeekToEnd(some(&assigned, random)),
        65..68 => Step::Position(one),
        68..75 => Step::Pause(some(&assigned, random)),
        75..84 => Step::Resume(some(&assigned, random)),
        84..88 => Step::Assign(some(&all, random)),
        88..89 => Step::AssignAnew(some(&all, random)),
        // Where a position is out of the log, what is appended could make it one that is not.
        89..97 if !is_outside(expected, any) => Step::Append(any, random.u64(..)),
        89..99 => Step::MoveLeader(any, random.i32(1..=NODES)),
        _ => Step::CloseConnections(random.i32(1..=NODES)),
    }
}

/// What of a step can be done in the present state: where steps before it were left out, that is less. No partitions stand
/// for all that are assigned.
pub(crate) fn fit(step: Step, expected: &Expected) -> Option<Step> {
    let here = |n: &usize| expected.assigned.contains_key(n);
    let part = |of: Vec<usize>| -> Vec<usize> { of.into_iter().filter(here).collect() };
    let all = || expected.assigned.keys().copied().collect();
    let part_or_all = |of: Vec<usize>| if of.is_empty() { all() } else { part(of) };
    match step {
        Step::Seek(n, _) | Step::SeekInEpoch(n, _) | Step::Position(n) if !here(&n) => None,
        Step::Append(n, _) if is_outside(expected, n) => None,
        Step::SeekToBeginning(of) => some_of(part_or_all(of)).map(Step::SeekToBeginning),
        Step::SeekToEnd(of) => some_of(part_or_all(of)).map(Step::SeekToEnd),
        Step::Pause(of) => Some(Step::Pause(part(of))),
        Step::Resume(of) => Some(Step::Resume(part(of))),
        other => Some(other),
    }
}

fn some_of(partitions: Vec<usize>) -> Option<Vec<usize>> {
    Some(partitions).filter(|partitions| !partitions.is_empty())
}

fn is_outside(expected: &Expected, n: usize) -> bool {
    expected.assigned.get(&n).is_some_and(|reading| matches!(reading.place, Place::Outside(_)))
}

/// Anywhere in the log, now and then just outside.
fn target(expected: &Expected, n: usize, random: &mut Rng) -> i64 {
    let log = &expected.logs[n];
    match random.u8(0..12) {
        0 => log.end() + random.i64(0..4),
        1 => (log.start() - random.i64(0..3)).max(0),
        _ => random.i64(log.start()..=log.end()),
    }
}

/// None of them seldom, and otherwise any part.
fn some(of: &[usize], random: &mut Rng) -> Vec<usize> {
    let chance = [1, 2, 4][random.usize(..3)];
    let mut chosen: Vec<usize> = of.iter().copied().filter(|_| random.u8(0..5) < chance).collect();
    if chosen.is_empty() && random.u8(0..10) > 0 {
        chosen.push(of[random.usize(..of.len())]);
    }
    chosen
}
