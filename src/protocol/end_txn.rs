//! Ends a transaction.

api! {
    EndTxnRequest(key 26, versions 0..=5, flexible 3..) -> EndTxnResponse;

    /// Commits or aborts a transaction.
    struct EndTxnRequest {
        0.. => transactional_id: String,
        0.. => producer_id: i64,
        0.. => producer_epoch: i16,
        0.. => committed: bool,
    }

    /// Whether that was done; since version 5 with the epoch of the next transaction.
    struct EndTxnResponse {
        0.. => throttle_time_ms: i32,
        0.. => error_code: i16,
        5.. => producer_id: i64 where ignorable = -1,
        5.. => producer_epoch: i16 where ignorable = -1,
    }
}
