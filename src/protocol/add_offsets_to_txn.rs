//! Tells the coordinator of a transaction that the offsets of a group are in it.

api! {
    AddOffsetsToTxnRequest(key 25, versions 0..=4, flexible 3..) -> AddOffsetsToTxnResponse;

    /// Adds the offsets of a group to a transaction.
    struct AddOffsetsToTxnRequest {
        0.. => transactional_id: String,
        0.. => producer_id: i64,
        0.. => producer_epoch: i16,
        0.. => group_id: String,
    }

    /// Whether that was done.
    struct AddOffsetsToTxnResponse {
        0.. => throttle_time_ms: i32,
        0.. => error_code: i16,
    }
}
