//! What becomes of a LeaveGroup request.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::leave_group::{MemberIdentity, MemberResponse},
};

use super::group::Group;

impl Group {
    /// Takes members out, all at once.
    pub(super) fn leave(&mut self, who: &[MemberIdentity], now: Instant) -> Vec<MemberResponse> {
        let left: Vec<_> = who.iter().map(|m| response(m, self.leave_one(m))).collect();
        if left.iter().any(|m| m.error_code == 0) {
            self.after_dismissal(now);
        }
        left
    }

    fn leave_one(&mut self, who: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance_id = who.group_instance_id.as_deref();
        // An administrator names a static member by its instance id alone.
        if who.member_id.is_empty() {
            let member = instance_id.and_then(|instance_id| self.static_member(instance_id));
            let id = member.map(|m| m.id.clone()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.dismiss(&id);
            return Ok(());
        }
        if self.pending.remove(&who.member_id).is_some() {
            return Ok(());
        }
        self.check_member(&who.member_id, instance_id)?;
        self.dismiss(&who.member_id);
        Ok(())
    }
}

pub(super) fn response(who: &MemberIdentity, outcome: Result<(), ErrorCode>) -> MemberResponse {
    MemberResponse {
        member_id: who.member_id.clone(),
        group_instance_id: who.group_instance_id.clone(),
        error_code: outcome.map_or_else(|code| code.0, |()| 0),
    }
}
