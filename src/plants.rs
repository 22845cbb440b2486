//! Which bug is planted: so that it can be seen that the simulation would find one like it.
//!
//! There are none but in builds with `--cfg kafka_blocking_plants`, where the environment's `PLANT` names one.

/// A bug that somebody could have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// An auto commit takes along what the caller has in hand.
    CommitBeforeProcessing,
    /// What was buffered of a partition is handed out although it was revoked.
    RecordAfterRevoke,
    /// The answer to what was asked before a seek is taken for what is asked for now.
    StaleFetchAfterSeek,
    /// A commit that has to be sent again overwrites a newer one that was given up, and was stored.
    CommitGoingBack,
    /// Nobody is woken for a commit that is to be sent again.
    LostWakeUp,
}

/// Whether this bug is planted.
#[cfg(not(kafka_blocking_plants))]
pub(crate) const fn is(_: Plant) -> bool {
    false
}

/// Whether this bug is planted.
#[cfg(kafka_blocking_plants)]
pub(crate) fn is(plant: Plant) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<Plant>> = OnceLock::new();
    *PLANTED.get_or_init(planted) == Some(plant)
}

#[cfg(kafka_blocking_plants)]
fn planted() -> Option<Plant> {
    let name = std::env::var("PLANT").ok()?;
    Some(match name.as_str() {
        "commit_before_processing" => Plant::CommitBeforeProcessing,
        "record_after_revoke" => Plant::RecordAfterRevoke,
        "stale_fetch_after_seek" => Plant::StaleFetchAfterSeek,
        "commit_going_back" => Plant::CommitGoingBack,
        "lost_wake_up" => Plant::LostWakeUp,
        _ => panic!("PLANT={name}: no such bug"),
    })
}
