//! What the assignor `sticky` tells of its member: the user data in a subscription.

message! {
    StickyAssignorUserData(versions 0..=1);

    /// What the member had. There is no version before it: what ends behind the partitions is version 0.
    struct StickyAssignorUserData {
        0.. => previous_assignment: Vec<TopicPartition>,
        1.. => generation: i32 = -1,
    }

    struct TopicPartition {
        0.. => topic: String,
        0.. => partitions: Vec<i32>,
    }
}
