//! The machines that ask leaders for offsets, each on its own: without a consumer around it, on a virtual clock.

mod bed;
mod query;
mod resets;
mod validation;
