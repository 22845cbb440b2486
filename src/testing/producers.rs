//! Which producers there are: their ids and epochs, what each has appended last, and the transactions that they are in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{ErrorCode, records::BatchHeader};

use super::groups::CommittedOffset;

/// How many batches a producer may send again without harm, as in Kafka.
const REMEMBERED: usize = 5;

/// A partition of a topic.
pub(crate) type Place = (String, i32);

/// All producers that have an id.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    ids_given: i64,
    by_transactional_id: BTreeMap<String, Transactional>,
    appended: BTreeMap<(i64, Place), Appended>,
}

/// A producer that has transactions.
#[derive(Clone, Debug, Default)]
struct Transactional {
    id: i64,
    epoch: i16,
    /// What the transaction that is open has written to.
    partitions: BTreeSet<Place>,
    /// What it commits for groups, when it commits.
    offsets: BTreeMap<(String, Place), CommittedOffset>,
}

/// What a producer has appended to a partition.
#[derive(Clone, Debug)]
struct Appended {
    epoch: i16,
    batches: VecDeque<Known>,
}

/// A batch that was appended: its first and last sequence number, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Known {
    first: i32,
    last: i32,
    offset: i64,
}

/// What there is to do when a transaction has ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) producer_id: i64,
    pub(crate) partitions: BTreeSet<Place>,
    pub(crate) offsets: BTreeMap<(String, Place), CommittedOffset>,
}

impl Producers {
    // Ids

    /// A new id, with epoch 0.
    pub(crate) fn new_id(&mut self) -> (i64, i16) {
        self.ids_given += 1;
        (self.ids_given, 0)
    }

    /// The id of a producer with transactions, in a new epoch: whoever had it before is fenced. What it had left open is to
    /// be aborted.
    pub(crate) fn begin(&mut self, transactional_id: &str) -> ((i64, i16), Ended) {
        if !self.by_transactional_id.contains_key(transactional_id) {
            let (id, epoch) = self.new_id();
            let new = Transactional { id, epoch, ..Transactional::default() };
            self.by_transactional_id.insert(transactional_id.to_owned(), new);
            return ((id, epoch), Ended::default());
        }
        let known = self.by_transactional_id.get_mut(transactional_id).expect("looked at above");
        known.epoch = known.epoch.wrapping_add(1).max(0);
        ((known.id, known.epoch), known.end())
    }

    // Sequences

    /// Whether a batch follows what its producer has appended before; gives the offset where it stands already, if it was
    /// sent again.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        place: &Place,
    ) -> Result<Option<i64>, ErrorCode> {
        if header.producer_id < 0 {
            return Ok(None);
        }
        self.check_epoch(header.producer_id, header.producer_epoch)?;
        let Some(before) = self.appended.get(&(header.producer_id, place.clone())) else {
            return Ok(None);
        };
        if header.producer_epoch < before.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let (first, last) = sequences(header);
        let newer = header.producer_epoch > before.epoch;
        let known = before.batches.iter().find(|b| (b.first, b.last) == (first, last));
        let follows = before.batches.back().is_none_or(|b| first == next_sequence(b.last));
        match known {
            Some(batch) if !newer => Ok(Some(batch.offset)),
            _ if newer && first == 0 || !newer && follows => Ok(None),
            _ => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        }
    }

    /// A batch was appended.
    pub(crate) fn appended(&mut self, header: &BatchHeader, place: Place, offset: i64) {
        if header.producer_id < 0 {
            return;
        }
        let epoch = header.producer_epoch;
        let new = || Appended { epoch, batches: VecDeque::new() };
        let before = self.appended.entry((header.producer_id, place)).or_insert_with(new);
        if epoch != before.epoch {
            *before = new();
        }
        let (first, last) = sequences(header);
        before.batches.push_back(Known { first, last, offset });
        while before.batches.len() > REMEMBERED {
            before.batches.pop_front();
        }
    }

    // Transactions

    /// Takes partitions into the transaction of a producer, which begins with the first.
    pub(crate) fn add_partitions(
        &mut self,
        transactional_id: &str,
        (id, epoch): (i64, i16),
        partitions: impl IntoIterator<Item = Place>,
    ) -> Result<(), ErrorCode> {
        self.transactional(transactional_id, id, epoch)?.partitions.extend(partitions);
        Ok(())
    }

    /// Takes the partition of a batch of a transaction into it, or has to have it there already.
    pub(crate) fn join(
        &mut self,
        header: &BatchHeader,
        place: &Place,
        joins: bool,
    ) -> Result<(), ErrorCode> {
        let all = self.by_transactional_id.values_mut();
        let mut those = all.filter(|t| t.id == header.producer_id);
        let transactional = those.next().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        if joins {
            transactional.partitions.insert(place.clone());
        }
        let inside = transactional.partitions.contains(place);
        if inside { Ok(()) } else { Err(ErrorCode::INVALID_TXN_STATE) }
    }

    /// An offset that a transaction commits for a group, once it is committed itself.
    pub(crate) fn add_offset(
        &mut self,
        transactional_id: &str,
        (id, epoch): (i64, i16),
        group_id: &str,
        place: Place,
        committed: CommittedOffset,
    ) -> Result<(), ErrorCode> {
        let transactional = self.transactional(transactional_id, id, epoch)?;
        transactional.offsets.insert((group_id.to_owned(), place), committed);
        Ok(())
    }

    /// Ends the transaction of a producer, if one is open.
    pub(crate) fn end(
        &mut self,
        transactional_id: &str,
        (id, epoch): (i64, i16),
    ) -> Result<Ended, ErrorCode> {
        Ok(self.transactional(transactional_id, id, epoch)?.end())
    }

    /// Whether a producer may do something with this id and epoch.
    pub(crate) fn admit(
        &mut self,
        transactional_id: &str,
        (id, epoch): (i64, i16),
    ) -> Result<(), ErrorCode> {
        self.transactional(transactional_id, id, epoch).map(|_| ())
    }

    // Helpers

    fn transactional(
        &mut self,
        transactional_id: &str,
        id: i64,
        epoch: i16,
    ) -> Result<&mut Transactional, ErrorCode> {
        let known = self.by_transactional_id.get_mut(transactional_id);
        let known = known.filter(|t| t.id == id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        if known.epoch != epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok(known)
    }

    fn check_epoch(&self, id: i64, epoch: i16) -> Result<(), ErrorCode> {
        let current = self.by_transactional_id.values().find(|t| t.id == id).map(|t| t.epoch);
        if current.is_some_and(|current| epoch < current) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        Ok(())
    }
}

impl Transactional {
    fn end(&mut self) -> Ended {
        Ended {
            producer_id: self.id,
            partitions: std::mem::take(&mut self.partitions),
            offsets: std::mem::take(&mut self.offsets),
        }
    }
}

fn sequences(header: &BatchHeader) -> (i32, i32) {
    let first = header.base_sequence;
    let last = i64::from(first) + i64::from(header.last_offset_delta);
    // Behind the largest number comes 0.
    let last = last % (i64::from(i32::MAX) + 1);
    (first, i32::try_from(last).unwrap_or(i32::MAX))
}

fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}
