//! What becomes of records that are ready when their partition is paused, or moved: kept, or dropped.

use std::collections::{BTreeMap, VecDeque};

use super::{Fetcher, Item, Ready, size};
use crate::subscriptions::{PartitionId, Subscriptions};

/// With this much kept for paused partitions, what more there is of them is fetched again when they are resumed.
const PARKED_FULL: usize = 16 << 20;

/// What is kept for paused partitions.
#[derive(Debug, Default)]
pub(super) struct Parked {
    items: BTreeMap<PartitionId, VecDeque<Ready>>,
    bytes: usize,
}

impl Parked {
    /// Whether there is room for records that were not there yet.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < PARKED_FULL
    }

    /// Keeps something until its partition is resumed.
    pub(super) fn push(&mut self, ready: Ready) {
        self.bytes += size(&ready);
        self.items.entry(ready.id).or_default().push_back(ready);
    }

    fn take(&mut self, id: PartitionId) -> VecDeque<Ready> {
        let items = self.items.remove(&id).unwrap_or_default();
        self.bytes -= items.iter().map(size).sum::<usize>();
        items
    }
}

impl Fetcher {
    /// Brings what is ready in line with what was paused, resumed, or moved since the last call.
    pub fn follow(&mut self, subscriptions: &mut Subscriptions) {
        for id in subscriptions.take_toggled() {
            if subscriptions.is_paused(id) {
                self.park(id, subscriptions);
            } else {
                let parked = self.parked.take(id);
                if !parked.is_empty() {
                    // Nobody waits: there is something to hand out.
                    subscriptions.take_moved(id);
                }
                self.ready.extend(parked);
            }
        }
        for id in subscriptions.take_voided() {
            self.ready.retain(|ready| ready.id != id);
            self.parked.take(id);
        }
        self.ready_bytes = self.ready.iter().map(size).sum();
    }

    fn park(&mut self, id: PartitionId, subscriptions: &mut Subscriptions) {
        if !self.parked.has_room() {
            subscriptions.void(id);
        }
        let (parked, ready) = std::mem::take(&mut self.ready).into_iter().partition(|r| r.id == id);
        self.ready = ready;
        let parked: VecDeque<Ready> = parked;
        parked.into_iter().for_each(|ready| self.parked.push(ready));
    }

    /// Queues something for the caller, behind what is there of its partition.
    pub(super) fn enqueue(&mut self, id: PartitionId, item: Item, subscriptions: &Subscriptions) {
        let ready = Ready { id, item };
        if subscriptions.is_paused(id) {
            self.parked.push(ready);
        } else {
            self.ready_bytes += size(&ready);
            self.ready.push_back(ready);
        }
    }
}
