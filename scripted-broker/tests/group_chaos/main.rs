//! Whatever happens to a group, to its brokers and to the network: no record is lost, no partition has two readers, nothing
//! is committed that was not worked on. On a virtual clock, from seeds; `GROUP_SEEDS=from..to` chooses which.

use std::{ops::Range, panic};

mod chaos;
mod ledger;
mod program;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("GROUP_SEEDS") else { return 0..100 };
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    parsed.unwrap_or_else(|| panic!("GROUP_SEEDS={text}: from..to is expected"))
}

#[test]
fn a_group_loses_nothing_and_shares_nothing_whatever_happens() {
    let failed: Vec<u64> =
        seeds().filter(|seed| panic::catch_unwind(|| chaos::run(*seed)).is_err()).collect();
    assert!(failed.is_empty(), "these seeds failed, as is said above: {failed:?}");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    assert_eq!(chaos::run(3), chaos::run(3));
    assert_ne!(chaos::run(3), chaos::run(7));
}
