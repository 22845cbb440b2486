//! What members of a group tell each other: subscriptions, assignments, and what sticky assignors had.

use kafka_blocking::{
    assignors::{decode_assignment, decode_subscription, encode_assignment},
    protocol::{
        consumer_protocol_assignment::ConsumerProtocolAssignment,
        consumer_protocol_subscription::ConsumerProtocolSubscription,
        sticky_assignor_user_data::StickyAssignorUserData,
    },
};

use crate::messages::read_back;

/// The same bytes as each of them.
pub(crate) fn subscriptions(bytes: &[u8]) {
    for version in 0..=3 {
        read_back::<ConsumerProtocolSubscription>(bytes, version, false);
        read_back::<ConsumerProtocolAssignment>(bytes, version, false);
    }
    for version in 0..=1 {
        read_back::<StickyAssignorUserData>(bytes, version, false);
    }
    if let Ok(data) = StickyAssignorUserData::from_bytes(bytes) {
        let written = data.to_bytes().expect("it was read");
        assert_eq!(StickyAssignorUserData::from_bytes(&written), Ok(data));
    }
    if let Ok(partitions) = decode_assignment(bytes) {
        assert!(
            partitions.is_sorted_by(|a, b| a < b) && partitions.iter().all(|p| p.partition() >= 0)
        );
        let written = encode_assignment(&partitions).expect("it was read");
        assert_eq!(decode_assignment(&written).expect("it was written"), partitions);
    }
    let _ = decode_subscription("m", Some("i"), bytes);
}
