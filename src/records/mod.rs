//! Records as brokers keep them: batches, compressed or not, and the memory that they are read into.

pub mod batch;
pub mod chunk;
pub mod compression;
mod error;
pub mod record;
pub mod walk;

pub use error::RecordsError;
