//! Inputs to begin with: the bytes that other clients have written, as the tests of the crate have them.

use std::{fs, path::Path};

use kafka_blocking::records::{BATCH_OVERHEAD, Codec};

use crate::messages::APIS;

/// Choices of any kind, for targets that make things happen by them.
pub(crate) fn choices() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..32).map(|_| (0..random.usize(8..160)).map(|_| random.u8(..)).collect()).collect()
}

/// The same, for a target that takes long.
pub(crate) fn few_choices() -> Vec<Vec<u8>> {
    choices().into_iter().take(6).collect()
}

pub(crate) fn responses() -> Vec<Vec<u8>> {
    messages("Response")
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    messages("Request")
}

/// Fetch responses, with and without batches of records in them.
pub(crate) fn fetches() -> Vec<Vec<u8>> {
    let fetches = vectors().filter(|(name, ..)| name == "FetchResponse");
    let tags = |version| if version >= 12 { &[0][..] } else { &[] };
    fetches
        .map(|(_, version, body)| [&[version as u8, 7, 1], tags(version), &body].concat())
        .collect()
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    batches().map(|batch| [&[3][..], &batch].concat()).collect()
}

/// What is inside of compressed batches.
pub(crate) fn packed() -> Vec<Vec<u8>> {
    let packed = batches().filter_map(|batch| {
        let codec = Codec::from_id(batch[22] & 7)?;
        Some([&[codec.id(), 20][..], &batch[BATCH_OVERHEAD..]].concat())
    });
    packed.collect()
}

/// Subscriptions, and assignments.
pub(crate) fn told() -> Vec<Vec<u8>> {
    let told = vectors().filter(|(name, ..)| name.starts_with("ConsumerProtocol"));
    told.flat_map(|(_, version, body)| [[&version.to_be_bytes()[..], &body].concat(), body])
        .collect()
}

fn messages(end: &str) -> Vec<Vec<u8>> {
    let of_api = |(name, version, body): (String, i16, Vec<u8>)| {
        let at = APIS.iter().position(|api| Some(api.name) == name.strip_suffix(end))?;
        let version = u8::try_from(version - APIS[at].first).ok()?;
        Some([&[at as u8, version][..], &body].concat())
    };
    vectors().filter_map(of_api).collect()
}

/// Lines of a name, a version and bytes.
fn vectors() -> impl Iterator<Item = (String, i16, Vec<u8>)> {
    ["kafka-python.txt", "kafka-clients.txt"].into_iter().flat_map(|file| {
        let lines = read(file);
        let parsed = lines.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?.split(':').next()?.to_owned();
            let version = words.next()?.parse().ok()?;
            Some((name, version, bytes(words.next()?)?))
        });
        parsed.collect::<Vec<_>>()
    })
}

/// Lines of a codec and a batch.
fn batches() -> impl Iterator<Item = Vec<u8>> {
    let lines = read("records_v2.txt");
    let batches = lines.lines().filter_map(|line| bytes(line.rsplit(' ').next()?));
    batches.filter(|batch| batch.len() > BATCH_OVERHEAD).collect::<Vec<_>>().into_iter()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
