//! What a member is to consume: the bytes in SyncGroup.

message! {
    ConsumerProtocolAssignment(versions 0..=3);

    /// The partitions of one member.
    struct ConsumerProtocolAssignment {
        0.. => assigned_partitions: Vec<TopicPartition>,
        0.. => user_data: Option<Vec<u8>>,
    }

    struct TopicPartition {
        0.. => topic: String,
        0.. => partitions: Vec<i32>,
    }
}
