//! Which versions of each API a broker speaks, and which of them to use.

use std::collections::BTreeMap;

use super::{Request, api_versions::ApiVersionsResponse};

/// The versions that one broker speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRanges {
    ranges: BTreeMap<i16, (i16, i16)>,
}

impl ApiRanges {
    /// From the rows `(key, lowest version, highest version)`.
    ///
    /// Rows that make no sense are dropped: negative numbers, and a lowest version above the highest. Where an API is
    /// named twice, the row that came first stays.
    pub fn new(rows: impl IntoIterator<Item = (i16, i16, i16)>) -> Self {
        let mut ranges = BTreeMap::new();
        for (key, min, max) in rows {
            if key >= 0 && min >= 0 && min <= max {
                ranges.entry(key).or_insert((min, max));
            }
        }
        Self { ranges }
    }

    /// The lowest and the highest version of an API that the broker speaks.
    #[must_use]
    pub fn range(&self, key: i16) -> Option<(i16, i16)> {
        self.ranges.get(&key).copied()
    }

    /// The highest version, not above `cap`, that both the broker and this crate speak.
    #[must_use]
    pub fn pick<R: Request>(&self, cap: Option<i16>) -> Option<i16> {
        let (min, max) = self.range(R::KEY)?;
        let highest = max.min(*R::VERSIONS.end()).min(cap.unwrap_or(i16::MAX));
        (highest >= min && highest >= *R::VERSIONS.start()).then_some(highest)
    }

    /// All APIs in the order of their numbers, each with its lowest and highest version.
    pub fn iter(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.ranges.iter().map(|(&key, &(min, max))| (key, min, max))
    }

    /// Whether the broker named no API.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl From<&ApiVersionsResponse> for ApiRanges {
    fn from(response: &ApiVersionsResponse) -> Self {
        Self::new(
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{fetch::FetchRequest, sasl_handshake::SaslHandshakeRequest};

    #[test]
    fn the_highest_version_of_both_is_picked() {
        let ranges = ApiRanges::new([(1, 4, 11)]);
        assert_eq!(ranges.pick::<FetchRequest>(None), Some(11));
        assert_eq!(ranges.pick::<FetchRequest>(Some(7)), Some(7));
        assert_eq!(ApiRanges::new([(1, 4, 99)]).pick::<FetchRequest>(None), Some(18));
    }

    #[test]
    fn nothing_is_picked_where_broker_and_client_have_no_version_in_common() {
        let ranges = ApiRanges::new([(1, 4, 11), (17, 2, 5)]);
        assert_eq!(ranges.pick::<FetchRequest>(Some(3)), None);
        assert_eq!(ranges.pick::<SaslHandshakeRequest>(None), None);
        assert_eq!(ApiRanges::default().pick::<FetchRequest>(None), None);
    }

    #[test]
    fn rows_that_make_no_sense_are_dropped() {
        let ranges = ApiRanges::new([
            (-1, 0, 3),
            (0, 5, 2),
            (1, -3, 9),
            (2, 0, -1),
            (3, 0, 0),
            (3, 1, 9),
            (999, 0, 1),
        ]);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(3, 0, 0), (999, 0, 1)]);
    }
}
