//! What a leader sends, and what it refuses to send.

use std::{collections::BTreeMap, sync::Arc};

use kafka_blocking::{
    BoxError, GroupMember, PartitionAssignor,
    RebalanceProtocol::{self, Cooperative, Eager},
    TopicPartition,
    assignors::{decode_assignment, divide},
};

use crate::support::{Assignment, Topics, assignor, member, partitions, table, topics};

/// An assignor that says always the same, and what it was asked.
struct Says(Result<&'static str, &'static str>);

impl PartitionAssignor for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        _: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        assert!(topics.keys().all(|topic| ["t", "u"].contains(&&**topic)), "{topics:?}");
        Ok(table(self.0?))
    }
}

/// A cluster in which there is more than anybody subscribes to.
fn cluster() -> Topics {
    topics(&[("t", 2), ("u", 1), ("other", 5), ("empty", 0)])
}

fn members() -> [GroupMember; 2] {
    [member("a", &["t", "empty"]), member("b", &["t", "u", "missing"])]
}

fn sent(
    assignor: &dyn PartitionAssignor,
    protocol: RebalanceProtocol,
    members: &[GroupMember],
) -> Result<Assignment, String> {
    let shares = divide(assignor, protocol, &cluster(), members).map_err(|e| e.to_string())?;
    Ok(shares.into_iter().map(|(id, bytes)| (id, decode_assignment(&bytes).unwrap())).collect())
}

#[test]
fn every_member_is_sent_its_share() {
    let given = sent(assignor("range").as_ref(), Eager, &members());
    assert_eq!(given, Ok(table("a=t:0 b=t:1,u:0")));
}

#[test]
fn a_member_that_the_assignor_left_out_is_sent_an_empty_share() {
    assert_eq!(sent(&Says(Ok("b=t:0")), Eager, &members()), Ok(table("a= b=t:0")));
}

#[test]
fn what_an_assignor_fails_with_is_the_leaders_error() {
    assert_eq!(sent(&Says(Err("no luck")), Eager, &members()), Err("no luck".to_owned()));
}

#[test]
fn an_assignment_that_cannot_be_is_not_sent() {
    for (says, words) in [
        ("a=t:0 b=t:0", "gives t-0 to \"a\" and to \"b\""),
        ("a=t:0,t:0", "gives t-0 to \"a\" and to \"a\""),
        ("a=t:2", "gives t-2, which does not exist, to \"a\""),
        ("b=missing:0", "gives missing-0, which does not exist, to \"b\""),
        ("a=u:0", "gives u-0 to \"a\", which does not subscribe to it"),
        ("c=t:0", "names \"c\", which is no member"),
    ] {
        let error = sent(&Says(Ok(says)), Eager, &members()).unwrap_err();
        assert!(error.starts_with("the assignor says "), "{error}");
        assert!(error.contains(words), "{words} is missing in: {error}");
    }
}

#[test]
fn in_a_cooperative_group_nobody_is_sent_what_another_still_has() {
    let [a, b] = members();
    let group = [a.with_owned(partitions("t:0,t:1")), b];
    let moved = Says(Ok("a=t:0 b=t:1"));
    let error = sent(&moved, Cooperative, &group).unwrap_err();
    assert!(error.contains("gives t-1 to \"b\"") && error.contains("\"a\""), "{error}");
    assert!(sent(&moved, Eager, &group).is_ok());
    assert!(sent(&Says(Ok("a=t:0 b=")), Cooperative, &group).is_ok());

    let [a, b] = group;
    let both = [a, b.with_owned(partitions("t:1"))];
    assert!(sent(&moved, Cooperative, &both).is_ok(), "it has it, too");
    assert!(sent(assignor("cooperative-sticky").as_ref(), Cooperative, &both).is_ok());
}
