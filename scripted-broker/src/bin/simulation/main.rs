//! Whatever happens to a group, to its brokers and to the network: no record is lost, no partition has two readers, nothing
//! is committed that was not worked on. On a virtual clock, from seeds.
//!
//! `simulation FROM..TO` runs the seeds, on all processors, until ten have failed, or one with `--first`. Of the first that
//! fails it shows what led to it, and the fewest operations that lead to the same; `simulation SEED` shows it again.
//!
//! | | what holds at every step | where it is looked at |
//! | --- | --- | --- |
//! | I1 | every record is handed out to somebody | `chaos::unrest`, once all is repaired |
//! | I2 | the offsets of a tenure have no gap and no step back, but where the program seeks | `ledger::handed_out` |
//! | I3 | a tenure begins where the group has committed, or at the beginning | `ledger::handed_out` |
//! | I4 | no record before the callback that gives its partition, or after the one that takes it | `ledger::handed_out` |
//! | I5 | nothing is committed but what the program has come back from, while the partition is its; offsets go back only after a seek, or where a commit was late at a node that coordinates again | `tenure::commit` for what is sent, `ledger::went_back` for what is stored |
//! | I6 | nobody reads what another member has whom the group counts; who is none any more notices in time | `ledger::check_alone` |
//! | I7 | nothing comes twice that was committed, or handed over cleanly; an auto commit hands over cleanly where nothing goes wrong | `ledger::handed_out`, `ledger::ended` |
//! | I8 | a call comes back within its time and 250 ms, without the listener's | `ledger::take_of_member` |
//!
//! Beside these: nothing is handed out that is paused; callbacks come in order; machines that wait had nothing to do (half of
//! the seeds look at that by calling them at odd times), and never ask to be called at once for nothing; once all is repaired the group
//! comes to rest in two minutes, reads what is written without another rebalance, and closes in time.

use std::{
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use chaos::{Outcome, Recipe};
use ledger::Failure;

mod chaos;
mod drawing;
mod ledger;
mod operations;
mod panics;
mod program;
mod shrinking;
mod tenure;

const USAGE: &str = "usage: simulation FROM..TO [--first] | SEED";

/// What became of many runs.
#[derive(Debug, Default)]
struct Report {
    seeds: u64,
    records: usize,
    duplicates: usize,
    generations: i64,
    failed: Vec<(u64, Failure, Recipe)>,
}

impl Report {
    fn add(&mut self, seed: u64, (result, recipe): (Result<Outcome, Failure>, Recipe)) {
        self.seeds += 1;
        match result {
            Ok(outcome) => {
                self.records += outcome.records;
                self.duplicates += outcome.duplicates;
                self.generations += i64::from(outcome.generations);
            }
            Err(failure) => self.failed.push((seed, failure, recipe)),
        }
    }
}

/// Runs seeds on all processors, until so many have failed. Whichever is the first to fail is among them.
fn run(seeds: Range<u64>, most_failures: usize) -> Report {
    let (next, failures) = (AtomicU64::new(seeds.start), AtomicUsize::new(0));
    let report = Mutex::new(Report::default());
    let work = || {
        while failures.load(Ordering::Relaxed) < most_failures {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let ran = chaos::run(seed, true);
            failures.fetch_add(usize::from(ran.0.is_err()), Ordering::Relaxed);
            report.lock().unwrap_or_else(PoisonError::into_inner).add(seed, ran);
        }
    };
    let processors = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| {
        (0..processors).for_each(|_| drop(scope.spawn(work)));
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failed.sort_by_key(|(seed, ..)| *seed);
    report
}

/// Says what became of the seeds; whether all is well.
fn tell(report: Report) -> bool {
    let Report { seeds, records, duplicates, generations, failed } = report;
    println!(
        "{seeds} seeds, {} failed: {records} records, {duplicates} of them again, {generations} generations",
        failed.len()
    );
    for (seed, failure, _) in &failed {
        println!("seed {seed} at {:.3} s: {}", failure.at.as_secs_f64(), failure.wrong);
    }
    let Some((seed, failure, recipe)) = failed.into_iter().next() else { return true };
    println!("\nwhat led to it in seed {seed}:\n{}", failure.shown);
    let all = recipe.operations.len();
    let (recipe, failure) = shrinking::shrink(recipe, failure);
    println!("{} of its {all} operations lead to the same:", recipe.operations.len());
    recipe.operations.iter().for_each(|operation| println!("  {operation:?}"));
    println!("at {:.3} s: {}\n{}", failure.at.as_secs_f64(), failure.wrong, failure.shown);
    false
}

/// The seeds to run, and after how many failures to stop.
fn parse(arguments: &[String]) -> Option<(Range<u64>, usize)> {
    let (first, seeds): (Vec<_>, Vec<_>) = arguments.iter().partition(|a| *a == "--first");
    let [seeds] = seeds[..] else { return None };
    let seeds = match seeds.split_once("..") {
        Some((from, to)) => from.parse().ok()?..to.parse().ok()?,
        None => {
            let seed: u64 = seeds.parse().ok()?;
            seed..seed.checked_add(1)?
        }
    };
    Some((seeds, if first.is_empty() { 10 } else { 1 }))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((seeds, most_failures)) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if tell(run(seeds, most_failures)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_loses_nothing_and_shares_nothing_whatever_happens() {
        assert!(tell(run(0..24, 1)));
    }

    /// Seeds that failed once: time-outs that crawled for callers who were mostly away (70); a cooperative member that read on
    /// when its JoinGroup was lost (595); members that went on with an old answer when they had been frozen (1210, 1598).
    #[test]
    fn what_went_wrong_once_does_not_do_so_again() {
        for seed in [70, 595, 1210, 1598] {
            let (result, _) = chaos::run(seed, false);
            assert!(result.is_ok(), "seed {seed}: {result:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_run_and_so_do_its_operations() {
        let (result, recipe) = chaos::run(2, true);
        let outcome = result.expect("all is well");
        assert!(outcome.records > 0, "{outcome:?}");
        assert_eq!(chaos::run(2, true).0.expect("all is well"), outcome);
        assert_eq!(chaos::play(&recipe).expect("all is well"), outcome);
    }

    #[test]
    fn seeds_are_a_range_or_one() {
        let parsed = |all: &[&str]| parse(&all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(parsed(&["3..9"]), Some((3..9, 10)));
        assert_eq!(parsed(&["--first", "3..9"]), Some((3..9, 1)));
        assert_eq!(parsed(&["7"]), Some((7..8, 10)));
        assert_eq!(parsed(&[]), None);
        assert_eq!(parsed(&["x"]), None);
    }
}
