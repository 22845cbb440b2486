//! Which partitions a node remembers for a client between fetches: fetch sessions (KIP-227).

use std::collections::BTreeMap;

use crate::{ErrorCode, protocol::fetch::FetchRequest, wire::Uuid};

/// A partition as a request names it: by name before version 13, by id from then on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// What is asked about a partition.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) key: Key,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    /// −1 where the client does not say.
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: usize,
    /// The high watermark and the log's start that the client was told last.
    pub(crate) told: Option<(i64, i64)>,
}

/// The sessions of one node.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<i32, Session>,
    last: i32,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    /// In the order in which they are served.
    asks: Vec<Ask>,
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) asks: Vec<Ask>,
    /// 0 where there is none.
    pub(crate) session_id: i32,
    /// Whether only what has changed is answered.
    pub(crate) incremental: bool,
}

const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;

impl Sessions {
    /// Takes a request in: makes, goes on with, or ends a session.
    pub(crate) fn open(
        &mut self,
        version: i16,
        request: &FetchRequest,
        allowed: bool,
    ) -> Result<Opened, ErrorCode> {
        let asks = asks(request);
        let (id, epoch) = (request.session_id, request.session_epoch);
        if version < 7 || epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            self.sessions.remove(&id);
            let session_id = if version >= 7 && epoch == INITIAL_EPOCH && allowed {
                self.last += 1;
                let session = Session { epoch: 1, by_id: version >= 13, asks: asks.clone() };
                self.sessions.insert(self.last, session);
                self.last
            } else {
                0
            };
            return Ok(Opened { asks, session_id, incremental: false });
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != (version >= 13) {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.update(asks, request);
        Ok(Opened { asks: session.asks.clone(), session_id: id, incremental: true })
    }

    /// What was answered: partitions with records are last in the next turn, so that none starves.
    pub(crate) fn answered(&mut self, id: i32, told: &[(Key, (i64, i64), bool)]) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (key, marks, records) in told {
            let Some(at) = session.asks.iter().position(|a| a.key == *key) else { continue };
            session.asks[at].told = Some(*marks);
            if *records {
                let ask = session.asks.remove(at);
                session.asks.push(ask);
            }
        }
    }

    /// Forgets all sessions, as a full cache or a restart does.
    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
    }
}

impl Session {
    fn update(&mut self, asks: Vec<Ask>, request: &FetchRequest) {
        for ask in asks {
            match self.asks.iter_mut().find(|a| a.key == ask.key) {
                Some(old) => *old = Ask { told: old.told, ..ask },
                None => self.asks.push(ask),
            }
        }
        for topic in &request.forgotten_topics_data {
            self.asks.retain(|a| {
                a.key.topic != topic.topic
                    || a.key.topic_id != topic.topic_id
                    || !topic.partitions.contains(&a.key.partition)
            });
        }
    }
}

fn asks(request: &FetchRequest) -> Vec<Ask> {
    let partitions = request.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
    partitions
        .map(|(topic, p)| Ask {
            key: Key {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partition: p.partition,
            },
            offset: p.fetch_offset,
            leader_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
            max_bytes: usize::try_from(p.partition_max_bytes).unwrap_or(0),
            told: None,
        })
        .collect()
}
