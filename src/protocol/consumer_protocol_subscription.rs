//! What a member wants to consume: the bytes in JoinGroup.

message! {
    ConsumerProtocolSubscription(versions 0..=3);

    /// The topics of one member, and what it owned before.
    struct ConsumerProtocolSubscription {
        0.. => topics: Vec<String>,
        0.. => user_data: Option<Vec<u8>>,
        1.. => owned_partitions: Vec<TopicPartition> where ignorable,
        2.. => generation_id: i32 where ignorable = -1,
        3.. => rack_id: Option<String> where ignorable,
    }

    struct TopicPartition {
        1.. => topic: String,
        1.. => partitions: Vec<i32>,
    }
}
