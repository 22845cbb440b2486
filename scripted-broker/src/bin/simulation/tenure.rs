//! The time that one member has a partition for: what it was handed out, where it went, and what it may commit.

use std::time::Duration;

use crate::ledger::MemberId;

/// The time that one member has a partition for, as its program knows it.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) number: u64,
    pub(crate) begun: Duration,
    /// The offset behind the last record that was handed out, or where the program went since.
    pub(crate) next: Option<i64>,
    /// The first begins where the group has committed, each other one where the program went.
    legs: Vec<Leg>,
    /// The leg and the offset of what was committed last.
    sent: (usize, i64),
    /// Whether a commit has failed, or may have.
    pub(crate) doubtful: bool,
    /// The listener is told, or was, that it ends: with a commit in between or not.
    pub(crate) ending: Option<bool>,
}

/// What a member reads of a partition between one seek and the next.
#[derive(Clone, Copy, Debug)]
struct Leg {
    start: i64,
    /// The offset behind the last record from which the program has come back.
    returned: Option<i64>,
}

/// A tenure that has ended.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "a failure shows it")]
pub(crate) struct Past {
    pub(crate) member: MemberId,
    pub(crate) next: i64,
    pub(crate) committed: i64,
    pub(crate) clean: bool,
}

impl Tenure {
    pub(crate) fn new(number: u64, begun: Duration) -> Self {
        Self {
            number,
            begun,
            next: None,
            legs: vec![Leg { start: 0, returned: None }],
            sent: (0, 0),
            doubtful: false,
            ending: None,
        }
    }

    /// The program goes to an offset.
    pub(crate) fn seek(&mut self, offset: i64) {
        self.next = Some(offset);
        self.legs.push(Leg { start: offset, returned: Some(offset) });
    }

    /// Whether the program has gone elsewhere since the tenure began.
    pub(crate) fn has_sought(&self) -> bool {
        self.legs.len() > 1
    }

    /// Whether nothing was handed out since it has.
    pub(crate) fn has_just_sought(&self) -> bool {
        self.has_sought() && self.legs.last().map(|leg| leg.start) == self.next
    }

    /// The program has come back from what is before this offset, or from all.
    pub(crate) fn come_back(&mut self, offset: Option<i64>) {
        if let (Some(leg), Some(offset)) = (self.legs.last_mut(), offset.or(self.next)) {
            leg.returned = Some(offset);
        }
    }

    /// An offset is committed. Says whether that may be because the program went there; or what is wrong with it. Where the
    /// program has come back from nothing yet, it is what was committed before.
    pub(crate) fn commit(&mut self, offset: i64, before: i64) -> Result<bool, String> {
        let (from, last) = self.sent;
        let most = |leg: &Leg| leg.returned.unwrap_or(before);
        // Of an offset it is not known of which leg it is: the first that is possible leaves most open.
        let legs = self.legs.iter().enumerate().skip(from);
        let fits = |(n, leg): &(usize, &Leg)| {
            let least = if *n == from { last } else { leg.start };
            (least..=most(leg)).contains(&offset)
        };
        let mut fitting = legs.clone().filter(fits).map(|(n, _)| n);
        if let Some(first) = fitting.next() {
            let rewinds = fitting.next_back().unwrap_or(first) > 0;
            self.sent = (first, offset);
            return Ok(rewinds);
        }
        let most = legs.map(|(_, leg)| most(leg)).max().unwrap_or(0);
        Err(if offset > most {
            format!("the program has come back from what is before {most} (I5)")
        } else {
            format!("it goes back, as {last} was committed before it, and nobody said so (I5)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_up_to(next: i64) -> Tenure {
        let mut tenure = Tenure::new(1, Duration::ZERO);
        tenure.next = Some(next);
        tenure.come_back(None);
        tenure
    }

    #[test]
    fn what_the_program_has_not_come_back_from_is_not_to_be_committed() {
        let mut tenure = read_up_to(10);
        tenure.next = Some(15);
        assert_eq!(tenure.commit(10, 0), Ok(false));
        assert!(tenure.commit(11, 0).is_err());
        tenure.come_back(Some(12));
        assert_eq!(tenure.commit(12, 0), Ok(false));
    }

    #[test]
    fn commits_go_back_after_a_seek_only_and_as_far_as_that_went() {
        let mut tenure = read_up_to(10);
        assert_eq!(tenure.commit(10, 0), Ok(false));
        assert!(tenure.commit(9, 10).is_err());
        tenure.seek(6);
        assert_eq!(tenure.commit(10, 10), Ok(false), "of before the seek, and sent once more");
        assert!(tenure.commit(5, 10).is_err());
        assert_eq!(tenure.commit(6, 10), Ok(true));
        assert!(tenure.commit(10, 6).is_err(), "nobody has read up to there again");
    }
}
