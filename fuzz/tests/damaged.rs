//! The targets without the fuzzer: each takes the inputs to begin with, damaged ones, and any bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_blocking_fuzz::{TARGETS, Target};
use scripted_broker::damage;

#[test]
fn every_target_takes_seeds_and_what_becomes_of_them() {
    let most = std::env::var("FUZZ_INPUTS").map_or(300, |n| n.parse().expect("a number"));
    let only = std::env::var("FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|t| only.as_deref().is_none_or(|name| name == t.name)) {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has none", target.name);
        let mut random = fastrand::Rng::with_seed(1);
        for number in 0..most {
            let mut input = random.choice(&seeds).cloned().unwrap_or_default();
            if number % 3 == 2 {
                input = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
            }
            for _ in 0..random.usize(..4) {
                damage(&mut input, &mut random);
            }
            take(target, &input);
        }
    }
}

fn take(target: &Target, input: &[u8]) {
    let taken = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(taken.is_ok(), "{} fails on {hex}", target.name);
}
