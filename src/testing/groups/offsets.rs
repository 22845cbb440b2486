//! Which offsets a group has committed, and who may commit.

use std::time::Instant;

use crate::{ErrorCode, protocol::offset_commit::OffsetCommitRequest};

use super::group::{Group, GroupState};

/// An offset that was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset.
    pub offset: i64,
    /// The epoch of the record before it, if that was told.
    pub leader_epoch: Option<i32>,
    /// Whatever the client has written beside it.
    pub metadata: String,
}

impl From<i64> for CommittedOffset {
    fn from(offset: i64) -> Self {
        Self { offset, ..Self::default() }
    }
}

impl Group {
    /// Whether a commit is allowed now; it is a sign of life.
    pub(super) fn admit_commit(
        &mut self,
        request: &OffsetCommitRequest,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let instance_id = request.group_instance_id.as_deref();
        let named = !request.member_id.is_empty() || instance_id.is_some();
        let empty = self.state == GroupState::Empty;
        if generation < 0 && empty {
            return Ok(());
        }
        if generation < 0 && !named {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(&request.member_id, instance_id)?;
        self.check_generation(generation)?;
        if self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.renew(&request.member_id, now);
        Ok(())
    }
}
