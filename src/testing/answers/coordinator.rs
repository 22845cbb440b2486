//! The answer to FindCoordinator: which node coordinates a group, or the transactions of a producer.

use crate::{
    ErrorCode,
    protocol::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse},
};

use crate::testing::state::State;

/// The types of keys: groups, and producers with transactions.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

impl State {
    pub(super) fn find_coordinator(
        &self,
        version: i16,
        request: &FindCoordinatorRequest,
    ) -> FindCoordinatorResponse {
        let keys = request.coordinator_keys.iter();
        let found = keys.map(|key| self.find(key, request.key_type)).collect();
        in_form(version, found, || self.find(&request.key, request.key_type))
    }

    fn find(&self, key: &str, key_type: i8) -> Coordinator {
        let node = match self.groups.errors.get(key) {
            _ if !matches!(key_type, GROUP | TRANSACTION) => Err(ErrorCode::INVALID_REQUEST),
            // The coordinator of a group that loads is known.
            Some(&code) if code != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Err(code),
            _ => self.coordinator(key).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        };
        match node.map(|id| (id, &self.nodes[&id].advertised)) {
            Ok((node_id, at)) => Coordinator {
                key: key.to_owned(),
                node_id,
                host: at.host.clone(),
                port: at.port.into(),
                ..Coordinator::default()
            },
            Err(code) => not_found(key, code),
        }
    }
}

fn not_found(key: &str, code: ErrorCode) -> Coordinator {
    Coordinator {
        key: key.to_owned(),
        node_id: -1,
        port: -1,
        error_code: code.0,
        error_message: Some(code.to_string()),
        ..Coordinator::default()
    }
}

/// What a request gets that a rule refuses.
pub(super) fn refused(
    version: i16,
    request: &FindCoordinatorRequest,
    code: ErrorCode,
) -> FindCoordinatorResponse {
    let keys = request.coordinator_keys.iter();
    in_form(version, keys.map(|key| not_found(key, code)).collect(), || {
        not_found(&request.key, code)
    })
}

/// Several coordinators, or one in the form that could only name one.
fn in_form(
    version: i16,
    coordinators: Vec<Coordinator>,
    single: impl FnOnce() -> Coordinator,
) -> FindCoordinatorResponse {
    if version >= 4 {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } = single();
    FindCoordinatorResponse {
        error_code,
        error_message,
        node_id,
        host,
        port,
        ..FindCoordinatorResponse::default()
    }
}
