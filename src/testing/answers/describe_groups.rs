//! The answers that tools get about groups.

use crate::{
    ErrorCode,
    protocol::{
        delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse},
        describe_groups::{
            DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
        },
        list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup},
    },
};

use crate::testing::{
    groups::{GroupState, GroupView},
    state::State,
};

impl State {
    pub(super) fn list_groups(
        &self,
        node: i32,
        request: &ListGroupsRequest,
        refused: Option<ErrorCode>,
    ) -> ListGroupsResponse {
        let matches = |filter: &[String], text: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(text))
        };
        let here = self.groups.names().into_iter().filter(|id| self.coordinator(id) == Some(node));
        let listed = here.map(|id| {
            let view = self.groups.view(&id);
            ListedGroup {
                group_id: id,
                protocol_type: view.protocol_type.clone().unwrap_or_default(),
                group_state: format!("{:?}", view.state),
                group_type: "classic".to_owned(),
            }
        });
        let wanted = listed.filter(|group| {
            refused.is_none()
                && matches(&request.states_filter, &group.group_state)
                && matches(&request.types_filter, &group.group_type)
        });
        ListGroupsResponse {
            error_code: refused.map_or(0, |code| code.0),
            groups: wanted.collect(),
            ..ListGroupsResponse::default()
        }
    }

    pub(super) fn describe_groups(
        &self,
        node: i32,
        version: i16,
        request: &DescribeGroupsRequest,
        refused: Option<ErrorCode>,
    ) -> DescribeGroupsResponse {
        let groups = request.groups.iter().map(|id| {
            let error = refused.or_else(|| self.groups.error(id));
            match error.map_or_else(|| self.coordinates(node, id), Err) {
                Ok(()) => described(id, version, &self.groups.view(id)),
                Err(code) => DescribedGroup {
                    error_code: code.0,
                    group_id: id.clone(),
                    ..DescribedGroup::default()
                },
            }
        });
        DescribeGroupsResponse { groups: groups.collect(), ..DescribeGroupsResponse::default() }
    }

    pub(super) fn delete_groups(
        &mut self,
        node: i32,
        request: &DeleteGroupsRequest,
        refused: Option<ErrorCode>,
    ) -> DeleteGroupsResponse {
        let results = request.groups_names.iter().map(|id| {
            let outcome = match refused.or_else(|| self.groups.error(id)) {
                Some(code) => Err(code),
                None => self.coordinates(node, id).and_then(|()| self.groups.delete_empty(id)),
            };
            DeletableGroupResult {
                group_id: id.clone(),
                error_code: outcome.err().map_or(0, |code| code.0),
                ..DeletableGroupResult::default()
            }
        });
        DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() }
    }
}

fn described(id: &str, version: i16, view: &GroupView) -> DescribedGroup {
    /// From which version on a group that there is not is an error.
    const MISSING: i16 = 6;
    let missing = version >= MISSING && view.state == GroupState::Dead;
    let protocol = view.protocol.as_deref().unwrap_or_default();
    let members = view.members.iter().map(|member| {
        let metadata = member.protocols.iter().find(|(name, _)| name == protocol);
        DescribedGroupMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: "/127.0.0.1".to_owned(),
            member_metadata: metadata.map(|(_, bytes)| bytes.clone()).unwrap_or_default(),
            member_assignment: member.assignment.clone(),
        }
    });
    DescribedGroup {
        error_code: if missing { ErrorCode::GROUP_ID_NOT_FOUND.0 } else { 0 },
        error_message: missing.then(|| format!("there is no group {id}")),
        group_id: id.to_owned(),
        group_state: format!("{:?}", view.state),
        protocol_type: view.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.to_owned(),
        members: members.collect(),
        ..DescribedGroup::default()
    }
}
