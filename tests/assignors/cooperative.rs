//! What members of a cooperative group may have while others still read it.

use kafka_blocking::{GroupMember, TopicPartition};

use crate::support::{Assignment, assign, assignor, member, partitions, table, topics};

const NAME: &str = "cooperative-sticky";

/// A member of `t` that has this in hand.
fn has(id: &str, share: &str, generation: i32) -> GroupMember {
    member(id, &["t"]).with_owned(partitions(share)).with_generation(generation)
}

fn shared(partitions: i32, members: &[GroupMember]) -> Assignment {
    assign(NAME, &topics(&[("t", partitions)]), members)
}

#[test]
fn what_nobody_has_is_given_at_once() {
    assert_eq!(shared(4, &[has("a", "t:0", 1), has("b", "t:1", 1)]), table("a=t:0,t:2 b=t:1,t:3"));
}

#[test]
fn a_member_that_left_holds_nothing_back() {
    assert_eq!(shared(4, &[has("a", "t:0,t:1", 1)]), table("a=t:0,t:1,t:2,t:3"));
}

#[test]
fn what_a_member_has_of_a_topic_that_it_left_is_held_back() {
    let both = topics(&[("t", 2), ("u", 1)]);
    let left = member("a", &["u"]).with_owned(partitions("t:0,u:0")).with_generation(1);
    let given = assign(NAME, &both, &[left, has("b", "t:1", 1)]);
    assert_eq!(given, table("a=u:0 b=t:1"));
}

#[test]
fn a_claim_of_one_that_does_not_subscribe_takes_nothing_from_one_that_does() {
    let both = topics(&[("t", 2), ("u", 1)]);
    for (stranger, owner) in [("a", "b"), ("b", "a")] {
        let strange = member(stranger, &["u"]).with_owned(partitions("t:0")).with_generation(9);
        let given = assign(NAME, &both, &[strange, has(owner, "t:0", 1)]);
        assert_eq!(given[owner], partitions("t:0,t:1"), "{given:?}");
    }
}

#[test]
fn fault_104_an_older_claim_gives_way_to_a_later_one() {
    for (old, new) in [("a", "b"), ("b", "a")] {
        let given = shared(3, &[has(old, "t:0,t:1", 3), has(new, "t:0,t:1", 4)]);
        assert_eq!(given[new], partitions("t:0,t:1"), "it has them last, and reads on");
        assert_eq!(given[old], partitions("t:2"));
    }
}

#[test]
fn fault_104_what_only_an_older_claim_names_is_held_back_all_the_same() {
    // a may not know yet that it was given up for lost, and reads on.
    let given = shared(4, &[has("a", "t:0,t:1,t:2,t:3", 1), has("b", "", 9)]);
    assert_eq!(given, table("a=t:0,t:1 b="));
}

#[test]
fn fault_104_of_two_claims_of_one_generation_both_give_up_before_one_gets_it() {
    let given = shared(4, &[has("a", "t:0,t:1", 3), has("b", "t:1,t:2", 3)]);
    assert_eq!(given, table("a=t:0 b=t:2,t:3"));
    let again = shared(4, &[has("a", "t:0", 4), has("b", "t:2,t:3", 4)]);
    assert_eq!(again, table("a=t:0,t:1 b=t:2,t:3"));
}

#[test]
fn the_generation_is_taken_from_user_data_where_the_subscription_has_none() {
    let old = |id: &str, generation: i32| {
        let member = member(id, &["t"]).with_owned(partitions("t:0,t:1"));
        member.with_user_data(generation.to_be_bytes())
    };
    assert_eq!(shared(3, &[old("a", 3), old("b", 4)]), table("a=t:2 b=t:0,t:1"));
    // -1 stands for none, and none is older than any.
    assert_eq!(shared(3, &[old("a", -1), old("b", 0)]), table("a=t:2 b=t:0,t:1"));
    // Nor is any that was never told.
    let silent = member("a", &["t"]).with_owned(partitions("t:0,t:1"));
    assert_eq!(shared(3, &[silent, old("b", 0)]), table("a=t:2 b=t:0,t:1"));
}

#[test]
fn a_member_tells_its_generation_in_the_bytes_of_kafkas_own_client() {
    let mut assignor = assignor(NAME);
    let topics = ["t".into()].into();
    assert_eq!(assignor.user_data(&topics), Some(vec![0xff, 0xff, 0xff, 0xff]));
    assignor.on_assignment(&[TopicPartition::new("t", 0)], 5);
    assert_eq!(assignor.user_data(&topics), Some(vec![0, 0, 0, 5]));
}

#[test]
fn in_an_eager_group_nothing_is_held_back() {
    // Members that gave everything up before they joined.
    let members = [has("a", "", 1), has("b", "", 1)];
    assert_eq!(shared(4, &members), table("a=t:0,t:2 b=t:1,t:3"));
}
