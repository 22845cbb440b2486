//! Members of consumer groups as processes of several clients, and a checker of what they say.
mod check;
#[cfg(test)]
mod check_tests;
mod event;
mod member;
mod run;
mod settings;
mod tenures;

pub use self::{
    check::{Rule, Rules, Violation, Written, check, longest_silence},
    event::{Event, PartitionOffsets, What, monotonic},
    member::{Member, MemberHistory},
    run::GroupRun,
    settings::{Client, CommitMode, Kind, MemberSettings},
};
