//! What members of a sticky group keep, and what becomes of claims that cannot be true.

use kafka_blocking::{GroupMember, TopicPartition};

use crate::support::{assign, assignor, having, member, partitions, table, topics};

/// A member of `t` that had this in a generation.
fn had(id: &str, share: &str, generation: i32) -> GroupMember {
    having("sticky", member(id, &["t"]), &partitions(share), generation)
}

fn shared(partitions: i32, members: &[GroupMember]) -> crate::support::Assignment {
    assign("sticky", &topics(&[("t", partitions)]), members)
}

#[test]
fn a_member_that_joins_gets_its_share_and_the_others_keep_the_rest() {
    let members = [had("a", "t:0,t:2,t:4", 1), had("b", "t:1,t:3,t:5", 1), member("c", &["t"])];
    let given = shared(6, &members);
    assert_eq!(given["a"], partitions("t:0,t:2"));
    assert_eq!(given["b"], partitions("t:1,t:3"));
    assert_eq!(given["c"], partitions("t:4,t:5"));
}

#[test]
fn new_partitions_go_to_those_who_have_the_least() {
    let given = shared(6, &[had("a", "t:0,t:1", 1), had("b", "t:2", 1)]);
    assert_eq!(given, table("a=t:0,t:1,t:4 b=t:2,t:3,t:5"));
}

#[test]
fn what_a_member_no_longer_subscribes_to_goes_to_others() {
    let both = topics(&[("t", 2), ("u", 2)]);
    let change = having("sticky", member("a", &["u"]), &partitions("t:0,u:0"), 1);
    let stay = having("sticky", member("b", &["t", "u"]), &partitions("t:1,u:1"), 1);
    assert_eq!(assign("sticky", &both, &[change, stay]), table("a=u:0,u:1 b=t:0,t:1"));
}

#[test]
fn what_no_longer_exists_is_not_kept() {
    let given = shared(2, &[had("a", "t:0,t:7,gone:0", 1), had("b", "t:1", 1)]);
    assert_eq!(given, table("a=t:0 b=t:1"));
}

#[test]
fn what_nobody_had_moves_on_rather_than_what_somebody_had() {
    // t2:3 is nobody's, and goes to b first, who has less. c takes so much from a then that b has one too many.
    let members = [
        having(
            "sticky",
            member("a", &["t0", "t1", "t2", "t3"]),
            &partitions("t0:1,t0:5,t0:6,t0:7,t0:8,t0:9,t1:1,t2:1,t2:4,t3:0,t3:5,t3:6"),
            1,
        ),
        having(
            "sticky",
            member("b", &["t1", "t2", "t3"]),
            &partitions("t1:0,t1:2,t1:3,t2:0,t2:2,t2:5,t3:1,t3:2,t3:3,t3:4"),
            1,
        ),
        having("sticky", member("c", &["t0"]), &partitions("t0:0,t0:2,t0:3,t0:4,t0:10"), 1),
    ];
    let cluster = topics(&[("t0", 11), ("t1", 4), ("t2", 6), ("t3", 7)]);
    let given = assign("sticky", &cluster, &members);
    assert_eq!(given["b"], partitions("t1:0,t1:2,t1:3,t2:0,t2:2,t2:5,t3:1,t3:2,t3:3,t3:4"));
    assert!(given["a"].contains(&TopicPartition::new("t2", 3)), "{given:?}");
    assert_eq!(given.values().map(Vec::len).collect::<Vec<_>>(), [9, 10, 9]);
}

#[test]
fn fault_104_the_claim_of_the_later_generation_counts() {
    for (old, new) in [("a", "b"), ("b", "a")] {
        let given = shared(4, &[had(old, "t:0,t:1", 3), had(new, "t:0,t:1", 4)]);
        assert_eq!(given[new], partitions("t:0,t:1"), "{new} had it last");
        assert_eq!(given[old], partitions("t:2,t:3"));
    }
    // One that does not tell its generation was there before all that do.
    let unknown = GroupMember::new("a", ["t"]).with_user_data(VERSION_0);
    let given = shared(2, &[unknown, had("b", "t:0", 0)]);
    assert_eq!(given, table("a=t:1 b=t:0"));
}

#[test]
fn fault_104_of_two_claims_of_one_generation_there_is_one_owner_in_the_end() {
    let claims = [had("a", "t:0,t:1", 3), had("b", "t:1,t:2", 3)];
    let given = shared(4, &claims);
    assert_eq!(given["a"].len() + given["b"].len(), 4);
    assert!(given["a"].contains(&TopicPartition::new("t", 0)), "{given:?}");
    assert!(given["b"].contains(&TopicPartition::new("t", 2)), "{given:?}");
    let mut turned = claims;
    turned.reverse();
    assert_eq!(shared(4, &turned), given, "whatever the order");
}

#[test]
fn a_claim_that_names_a_partition_twice_is_one_claim() {
    let twice = GroupMember::new("a", ["t"]).with_user_data(hex(
        "00000002 000174 00000001 00000001 000174 00000002 00000001 00000001 00000005",
    ));
    assert_eq!(shared(2, &[twice, member("b", &["t"])]), table("a=t:1 b=t:0"));
}

#[test]
fn fault_102_user_data_that_make_no_sense_are_no_claim() {
    let whole = hex(JAVA);
    let mut nonsense: Vec<Vec<u8>> = vec![
        vec![],
        vec![0xff; 40],
        vec![0x7f; 40],
        b"{\"previous\": []}".to_vec(),
        hex("7fffffff"),
        hex("00000001 7fff"),
        hex("00000001 0001ff 00000001 00000000"),
        hex("00000001 000174 7fffffff"),
    ];
    nonsense.extend((0..whole.len()).map(|len| whole[..len].to_vec()));
    for bytes in nonsense {
        for name in ["sticky", "cooperative-sticky"] {
            let members =
                [member("a", &["t"]), GroupMember::new("b", ["t"]).with_user_data(bytes.clone())];
            let given = assign(name, &topics(&[("t", 4)]), &members);
            assert_eq!(given, table("a=t:0,t:2 b=t:1,t:3"), "{name}: {bytes:?}");
        }
    }
}

#[test]
fn fault_102_partitions_that_cannot_be_are_no_claim() {
    let bytes = hex("00000001 000174 00000003 ffffffff 80000000 7fffffff 00000005");
    let members = [member("a", &["t"]), GroupMember::new("b", ["t"]).with_user_data(bytes)];
    assert_eq!(shared(2, &members), table("a=t:0 b=t:1"));
}

/// What the assignor of Kafka's own client tells after it got these in generation 5.
const JAVA: &str = "00000002 0007 72657475726e73 00000001 00000001 \
    0006 6f7264657273 00000002 00000002 00000000 00000005";

/// What that of kafka-python 3.0 tells: the same in another order, with its version before it.
const PYTHON: &str = "0001 00000002 0006 6f7264657273 00000002 00000002 00000000 \
    0007 72657475726e73 00000001 00000001 00000005";

/// `t-0` without a generation, as Kafka's client told before 2.3.
const VERSION_0: &[u8] = &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0];

#[test]
fn what_other_clients_tell_of_what_they_had_counts() {
    let both = topics(&[("orders", 3), ("returns", 2)]);
    for bytes in [hex(JAVA), hex(PYTHON)] {
        let theirs = GroupMember::new("b", ["orders", "returns"]).with_user_data(bytes);
        let given = assign("sticky", &both, &[member("a", &["orders", "returns"]), theirs]);
        assert_eq!(given, table("a=orders:1,returns:0 b=orders:0,orders:2,returns:1"));
    }
    // The claim of a generation before 5 gives way to it, one after it does not.
    for (generation, keeps) in [(4, false), (6, true)] {
        let mine = having("sticky", member("a", &["orders"]), &partitions("orders:0"), generation);
        let theirs = GroupMember::new("b", ["orders"]).with_user_data(hex(JAVA));
        let given = assign("sticky", &topics(&[("orders", 3)]), &[mine, theirs]);
        assert_eq!(given["a"].contains(&TopicPartition::new("orders", 0)), keeps, "{generation}");
    }
    let given = shared(2, &[member("a", &["t"]), member("b", &["t"]).with_user_data(VERSION_0)]);
    assert_eq!(given, table("a=t:1 b=t:0"));
}

#[test]
fn what_a_member_had_is_told_in_the_bytes_of_kafkas_own_client() {
    let topics = ["orders".into(), "returns".into()].into();
    let mut assignor = assignor("sticky");
    assert_eq!(assignor.user_data(&topics), None, "nothing is known at first");
    assignor.on_assignment(&partitions("orders:2,returns:1,orders:0"), 5);
    let told = "00000002 0006 6f7264657273 00000002 00000000 00000002 \
        0007 72657475726e73 00000001 00000001 00000005";
    assert_eq!(assignor.user_data(&topics), Some(hex(told)));
    assignor.on_assignment(&[], 6);
    assert_eq!(assignor.user_data(&topics), Some(hex("00000000 00000006")));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("two digits");
        u8::from_str_radix(pair, 16).expect("a byte")
    };
    digits.chunks(2).map(byte).collect()
}
