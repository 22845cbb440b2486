//! What a fetch gets of one partition.

use crate::{
    ErrorCode,
    protocol::fetch::{AbortedTransaction, EpochEndOffset, LeaderIdAndEpoch, PartitionData},
};

use super::{fetch::Plan, replica::Replica, session::Ask};
use crate::testing::{log::Aborted, state::State};

/// Versions from here on can be answered by followers, for consumers (KIP-392).
const READS_FOLLOWERS: i16 = 11;
/// Versions from here on name topics by id.
const NAMES_BY_ID: i16 = 13;
/// Versions from here on name the leader to who asks the wrong node (KIP-951).
const NAMES_LEADERS: i16 = 16;

impl State {
    /// The answer to one ask; `before` is how many bytes of records the response has already.
    pub(super) fn read(&self, plan: &Plan, ask: &Ask, before: usize) -> PartitionData {
        let mut data = PartitionData {
            partition_index: ask.key.partition,
            high_watermark: -1,
            records: Vec::new().into(),
            ..PartitionData::default()
        };
        let name = if plan.version >= NAMES_BY_ID {
            self.topic_name(ask.key.topic_id)
        } else {
            Some(ask.key.topic.as_str())
        };
        let Some(name) = name else {
            data.error_code = ErrorCode::UNKNOWN_TOPIC_ID.0;
            return data;
        };
        let look = if plan.version >= READS_FOLLOWERS { Self::replica } else { Self::leading };
        let replica = look(self, plan.node, name, ask.key.partition, ask.leader_epoch);
        if let Err(code) =
            replica.and_then(|replica| self.fill(plan, ask, before, &replica, &mut data))
        {
            data.error_code = code.0;
            self.name_leader(plan.version, name, code, &mut data);
        }
        data
    }

    /// Fills the answer in, unless it is an error.
    fn fill(
        &self,
        plan: &Plan,
        ask: &Ask,
        before: usize,
        replica: &Replica<'_>,
        data: &mut PartitionData,
    ) -> Result<(), ErrorCode> {
        let log = &replica.partition.log;
        let preferred = if replica.leads {
            self.preferred_replica(replica.partition, &plan.rack, ask.offset)
        } else {
            None
        };
        let diverging = match preferred {
            Some(_) => None,
            None => check_position(replica, ask)?,
        };
        data.high_watermark = replica.high_watermark;
        data.last_stable_offset = replica.last_stable_offset();
        data.log_start_offset = log.start();
        data.aborted_transactions = plan.committed.then(Vec::new);
        if let Some(node) = preferred {
            data.aborted_transactions = None;
            data.preferred_read_replica = node;
        } else if let Some(end) = diverging {
            data.aborted_transactions = None;
            data.diverging_epoch = end;
        } else {
            read_records(plan, ask, before, replica, data);
        }
        Ok(())
    }

    fn name_leader(&self, version: i16, name: &str, code: ErrorCode, data: &mut PartitionData) {
        let moved =
            matches!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
        let Some(partition) = self.partition(name, data.partition_index) else { return };
        if let (Some(leader_id), true, NAMES_LEADERS..) = (partition.leader, moved, version) {
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: partition.epoch };
        }
    }
}

/// Whether a node has what is asked for; where the epoch that was read before ended here, if that was earlier.
fn check_position(replica: &Replica<'_>, ask: &Ask) -> Result<Option<EpochEndOffset>, ErrorCode> {
    let log = &replica.partition.log;
    if let (Some(code), true) =
        (replica.ahead, (replica.high_watermark..log.end()).contains(&ask.offset))
    {
        return Err(code);
    }
    if ask.last_fetched_epoch >= 0 {
        let end = log.end_of_epoch(ask.last_fetched_epoch, replica.partition.epoch);
        let (epoch, end) = end.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
        let end = end.min(replica.end);
        if ask.offset < log.start() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        if epoch < ask.last_fetched_epoch || end < ask.offset {
            return Ok(Some(EpochEndOffset { epoch, end_offset: end }));
        }
    }
    if !(log.start()..=replica.end).contains(&ask.offset) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok(None)
}

fn read_records(
    plan: &Plan,
    ask: &Ask,
    before: usize,
    replica: &Replica<'_>,
    data: &mut PartitionData,
) {
    let log = &replica.partition.log;
    let bound = if plan.committed { replica.last_stable_offset() } else { replica.high_watermark };
    if ask.offset >= bound {
        return;
    }
    // From version 3 on the first batch of an answer comes whole, and none that is cut at its head comes at all.
    let bounded = plan.version >= 3;
    let room = if bounded { plan.max_bytes.saturating_sub(before) } else { usize::MAX };
    let whole_first = bounded && before == 0;
    let slice = log.read_below(bound, ask.offset, ask.max_bytes.min(room), whole_first);
    if bounded && slice.incomplete {
        return;
    }
    if plan.committed {
        let aborted = log.aborted(ask.offset, slice.bytes.len());
        data.aborted_transactions = Some(aborted.iter().map(transaction).collect());
    }
    data.records = slice.bytes.into();
}

fn transaction(aborted: &Aborted) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}
