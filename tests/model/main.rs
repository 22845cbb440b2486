//! Whether the consumer does what a model says, whatever the caller does in whichever order: sequences of calls from
//! seeds, each step compared with the model.
//!
//! `MODEL_SEEDS=17` plays one sequence, `MODEL_SEEDS=2000..9000` others than usual.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

mod expected;
mod log;
mod run;
mod steps;

use steps::Step;

const SEEDS: Range<u64> = 0..2_000;

const THREADS: usize = 2;

/// For how long the steps of a failure are made fewer.
const SHORTENING: Duration = Duration::from_secs(20);

/// A seed whose sequence went wrong.
struct Failure {
    seed: u64,
    message: String,
    steps: Vec<Step>,
}

#[test]
fn any_sequence_of_calls_hands_out_what_the_model_says_and_moves_positions_by_it() {
    let seeds = seeds();
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let mut failures: Vec<Failure> = std::thread::scope(|scope| {
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !seeds.contains(&seed) {
                    break;
                }
                if let Err(failure) = play(seed, None) {
                    failed.store(true, Ordering::Relaxed);
                    return Some(failure);
                }
            }
            None
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|t| t.join().expect("failures are caught")).collect()
    });
    failures.sort_by_key(|failure| failure.seed);
    if let Some(failure) = failures.into_iter().next() {
        let Failure { seed, message, steps } = shorten(failure);
        let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
        panic!("MODEL_SEEDS={seed}: {message}\nafter\n{}", steps.join("\n"));
    }
}

/// Plays one sequence; of panics on the way it gives what they say.
fn play(seed: u64, given: Option<&[Step]>) -> Result<(), Failure> {
    let mut steps = Vec::new();
    catch_unwind(AssertUnwindSafe(|| run::play(seed, given, &mut steps))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Failure { seed, message: text.unwrap_or_default(), steps }
    })
}

/// Leaves out steps as long as it still fails, and there is time.
#[allow(clippy::disallowed_methods, reason = "what is to be read soon may be longer")]
fn shorten(mut failure: Failure) -> Failure {
    let (start, mut n) = (Instant::now(), 0);
    while n < failure.steps.len() && start.elapsed() < SHORTENING {
        let mut fewer = failure.steps.clone();
        fewer.remove(n);
        match play(failure.seed, Some(&fewer)) {
            Err(shorter) if shorter.steps.len() < failure.steps.len() => failure = shorter,
            _ => n += 1,
        }
    }
    failure
}

fn seeds() -> Range<u64> {
    let Ok(given) = std::env::var("MODEL_SEEDS") else { return SEEDS };
    let number =
        |text: &str| text.parse().expect("MODEL_SEEDS is a number, or two with .. between");
    match given.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&given)..number(&given) + 1,
    }
}
