//! Gives a producer its id and epoch.

api! {
    InitProducerIdRequest(key 22, versions 0..=6, flexible 2..) -> InitProducerIdResponse;

    /// Asks for an id, or bumps the epoch of one.
    struct InitProducerIdRequest {
        0.. => transactional_id: Option<String>,
        0.. => transaction_timeout_ms: i32,
        3.. => producer_id: i64 = -1,
        3.. => producer_epoch: i16 = -1,
        6.. => enable2_pc: bool,
        6.. => keep_prepared_txn: bool,
    }

    /// The id and its epoch.
    struct InitProducerIdResponse {
        0.. => throttle_time_ms: i32 where ignorable,
        0.. => error_code: i16,
        0.. => producer_id: i64 = -1,
        0.. => producer_epoch: i16,
        6.. => ongoing_txn_producer_id: i64 = -1,
        6.. => ongoing_txn_producer_epoch: i16 = -1,
    }
}
