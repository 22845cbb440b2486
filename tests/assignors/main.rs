//! How assignors divide partitions, what members and leaders tell each other, and what becomes of nonsense.

mod cooperative;
mod leader;
mod messages;
mod properties;
mod protocols;
mod sticky;
mod support;
mod tables;
