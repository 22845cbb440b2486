//! A Fetch response that is read as it arrives is the one that is read in whole, wherever the bytes are split.

use kafka_blocking::{
    protocol::{
        Request,
        fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData},
    },
    wire::{DecodeError, Pending, Reader, RecordBytes, Sampler, Wire, Writer},
};

#[test]
fn a_response_is_the_same_wherever_it_is_split() {
    for version in FetchRequest::VERSIONS {
        for nulls in [false, true] {
            let response = FetchResponse::sample(&mut Sampler::new(version, nulls));
            let bytes = encoded(&response, version);
            for split in 0..=bytes.len() {
                let mut stream = Stream::new(&bytes, vec![split, bytes.len()], version);
                assert_eq!(stream.response(), Ok(response.clone()), "v{version} split at {split}");
                assert_eq!(stream.at, bytes.len());
            }
        }
    }
}

#[test]
fn a_response_may_arrive_byte_by_byte() {
    for version in FetchRequest::VERSIONS {
        let response = FetchResponse::sample(&mut Sampler::new(version, false));
        let bytes = encoded(&response, version);
        let arrivals = (0..=bytes.len()).collect();
        assert_eq!(Stream::new(&bytes, arrivals, version).response(), Ok(response));
    }
}

#[test]
fn a_response_that_never_ends_is_not_mistaken_for_a_whole_one() {
    for version in FetchRequest::VERSIONS {
        let bytes = encoded(&FetchResponse::sample(&mut Sampler::new(version, false)), version);
        for len in 0..bytes.len() {
            let mut stream = Stream::new(&bytes, vec![len], version);
            assert_eq!(stream.response(), Err(DecodeError::UnexpectedEnd), "v{version} at {len}");
        }
    }
}

#[test]
fn many_aborted_transactions_that_have_not_all_arrived_are_waited_for() {
    let mut partition = PartitionData::default();
    let aborted = vec![Default::default(); 200_000];
    partition.aborted_transactions = Some(aborted);
    let mut bytes = vec![];
    partition.encode(&mut Writer::new(&mut bytes, 18, true)).expect("it fits");
    for len in [100, 1 << 10, 1 << 20, bytes.len() - 1] {
        let mut r = Reader::new(&bytes[..len], 18, true);
        assert_eq!(PartitionData::decode(&mut r), Err(DecodeError::UnexpectedEnd));
    }
    assert_eq!(PartitionData::decode(&mut Reader::new(&bytes, 18, true)), Ok(partition));
}

fn encoded(response: &FetchResponse, version: i16) -> Vec<u8> {
    let mut bytes = vec![];
    let flexible = version >= FetchRequest::FLEXIBLE;
    response.encode(&mut Writer::new(&mut bytes, version, flexible)).expect("a sample fits");
    bytes
}

/// A connection on which bytes arrive in portions, and the client that reads from it.
struct Stream<'a> {
    bytes: &'a [u8],
    arrivals: std::vec::IntoIter<usize>,
    arrived: usize,
    at: usize,
    version: i16,
}

impl<'a> Stream<'a> {
    fn new(bytes: &'a [u8], arrivals: Vec<usize>, version: i16) -> Self {
        Self { bytes, arrivals: arrivals.into_iter(), arrived: 0, at: 0, version }
    }

    fn response(&mut self) -> Result<FetchResponse, DecodeError> {
        let (mut response, pending) = self.read(FetchResponse::decode_fields)?;
        for _ in 0..items(pending) {
            let topic = self.topic()?;
            response.responses.push(topic);
        }
        let (response, _) = self.tags(response, FetchResponse::decode_tags)?;
        Ok(response)
    }

    fn topic(&mut self) -> Result<FetchableTopicResponse, DecodeError> {
        let (mut topic, pending) = self.read(FetchableTopicResponse::decode_fields)?;
        for _ in 0..items(pending) {
            let partition = self.partition()?;
            topic.partitions.push(partition);
        }
        Ok(self.tags(topic, FetchableTopicResponse::decode_tags)?.0)
    }

    fn partition(&mut self) -> Result<PartitionData, DecodeError> {
        let (mut partition, pending) = self.read(PartitionData::decode_fields)?;
        let Some(Pending::Bytes(len)) = pending else { panic!("records come last: {pending:?}") };
        assert_eq!(partition.records, RecordBytes(None));
        if let Some(len) = len {
            let (records, _) = self.read(|r| r.take(len).map(<[u8]>::to_vec))?;
            partition.records = records.into();
        }
        Ok(self.tags(partition, PartitionData::decode_tags)?.0)
    }

    fn tags<T: Clone>(
        &mut self,
        value: T,
        decode: impl Fn(&mut T, &mut Reader<'_>) -> Result<(), DecodeError>,
    ) -> Result<(T, Option<Pending>), DecodeError> {
        self.read(|r| {
            let mut value = value.clone();
            decode(&mut value, r)?;
            Ok(value)
        })
    }

    /// Tries to read with what has arrived; while that ends too early, more arrives.
    fn read<T>(
        &mut self,
        decode: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<(T, Option<Pending>), DecodeError> {
        loop {
            let flexible = self.version >= FetchRequest::FLEXIBLE;
            let arrived = &self.bytes[self.at..self.arrived];
            let mut r = Reader::streaming(arrived, self.version, flexible);
            match decode(&mut r) {
                Err(DecodeError::UnexpectedEnd) => match self.arrivals.next() {
                    Some(arrived) => self.arrived = arrived,
                    None => return Err(DecodeError::UnexpectedEnd),
                },
                read => {
                    self.at += r.consumed();
                    return read.map(|value| (value, r.take_pending()));
                }
            }
        }
    }
}

fn items(pending: Option<Pending>) -> usize {
    match pending {
        Some(Pending::Items(count)) => count,
        other => panic!("the array comes last: {other:?}"),
    }
}
