//! What a consumer hands out.

mod record;

pub use self::record::{ConsumerRecord, Content, Raw, RecordBuilder};
