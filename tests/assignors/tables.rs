//! Who gets what, exactly: the tables of kafka-python's tests, and those that other clients make.

use kafka_blocking::GroupMember;

use crate::support::{ALL, Topics, assign, having, member, partitions, table, topics};

#[test]
fn behaviour_70_range_gives_runs_of_each_topic() {
    let two = [member("c0", &["t0", "t1"]), member("c1", &["t0", "t1"])];
    let given = assign("range", &topics(&[("t0", 3), ("t1", 3)]), &two);
    assert_eq!(given, table("c0=t0:0,t0:1,t1:0,t1:1 c1=t0:2,t1:2"));
}

#[test]
fn behaviour_70_roundrobin_deals_all_topics_in_turn() {
    let two = [member("c0", &["t0", "t1"]), member("c1", &["t0", "t1"])];
    let given = assign("roundrobin", &topics(&[("t0", 3), ("t1", 3)]), &two);
    assert_eq!(given, table("c0=t0:0,t0:2,t1:1 c1=t0:1,t1:0,t1:2"));

    let unlike =
        [member("c0", &["t0"]), member("c1", &["t0", "t1"]), member("c2", &["t0", "t1", "t2"])];
    let given = assign("roundrobin", &topics(&[("t0", 1), ("t1", 2), ("t2", 3)]), &unlike);
    assert_eq!(given, table("c0=t0:0 c1=t1:0 c2=t1:1,t2:0,t2:1,t2:2"));
}

#[test]
fn behaviour_70_sticky_keeps_what_is_left_of_a_balanced_group() {
    let four = topics(&[("t0", 2), ("t1", 2), ("t2", 2), ("t3", 2)]);
    let all = ["t0", "t1", "t2", "t3"];
    let members = ["c0", "c1", "c2"].map(|id| member(id, &all));
    let first = assign("sticky", &four, &members);
    let expected = table("c0=t0:0,t1:1,t3:0 c1=t0:1,t2:0,t3:1 c2=t1:0,t2:1");
    assert_eq!(first, expected);

    let left = ["c0", "c2"].map(|id| having("sticky", member(id, &all), &first[id], 1));
    let second = assign("sticky", &four, &left);
    assert_eq!(second, table("c0=t0:0,t1:1,t2:0,t3:0 c2=t0:1,t1:0,t2:1,t3:1"));
}

#[test]
fn behaviour_70_sticky_balances_members_that_subscribe_to_different_topics() {
    let three = topics(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let unlike =
        [member("c0", &["t0"]), member("c1", &["t0", "t1"]), member("c2", &["t0", "t1", "t2"])];
    let first = assign("sticky", &three, &unlike);
    assert_eq!(first, table("c0=t0:0 c1=t1:0,t1:1 c2=t2:0,t2:1,t2:2"));

    let left = [
        having("sticky", member("c1", &["t0", "t1"]), &first["c1"], 1),
        having("sticky", member("c2", &["t0", "t1", "t2"]), &first["c2"], 1),
    ];
    let second = assign("sticky", &three, &left);
    assert_eq!(second, table("c1=t0:0,t1:0,t1:1 c2=t2:0,t2:1,t2:2"));
}

#[test]
fn behaviour_70_static_members_come_first_by_their_instance_ids() {
    let members = [
        member("b", &["t"]),
        member("z", &["t"]).with_group_instance_id("i-1"),
        member("a", &["t"]),
        member("y", &["t"]).with_group_instance_id("i-2"),
    ];
    for name in ALL {
        let given = assign(name, &topics(&[("t", 4)]), &members);
        assert_eq!(given, table("z=t:0 y=t:1 a=t:2 b=t:3"), "{name}");
    }
}

#[test]
fn behaviour_70_cooperative_sticky_holds_back_what_moves_for_one_round() {
    let six = topics(&[("t", 6)]);
    let name = "cooperative-sticky";
    let old = having(name, member("a", &["t"]), &partitions("t:0,t:1,t:2,t:3,t:4,t:5"), 1);
    let first = assign(name, &six, &[old, member("b", &["t"])]);
    assert_eq!(first, table("a=t:0,t:1,t:2 b="));

    let again = [
        having(name, member("a", &["t"]), &first["a"], 2),
        having(name, member("b", &["t"]), &first["b"], 2),
    ];
    assert_eq!(assign(name, &six, &again), table("a=t:0,t:1,t:2 b=t:3,t:4,t:5"));
}

#[test]
fn behaviour_70_every_member_gets_an_entry() {
    let members = [member("a", &["t"]), member("b", &["missing"]), member("c", &[])];
    for name in ALL {
        let given = assign(name, &topics(&[("t", 1)]), &members);
        assert_eq!(given, table("a=t:0 b= c="), "{name}");
    }
    for name in ALL {
        assert!(assign(name, &topics(&[("t", 1)]), &[]).is_empty(), "{name}");
        let given = assign(name, &topics(&[]), &members);
        assert_eq!(given, table("a= b= c="), "{name}");
    }
}

#[test]
fn a_topic_without_partitions_gives_nothing() {
    let odd = topics(&[("t", 1), ("none", 0), ("wrong", -3)]);
    let members = [member("a", &["t", "none", "wrong"]), member("b", &["none", "wrong"])];
    for name in ALL {
        assert_eq!(assign(name, &odd, &members), table("a=t:0 b="), "{name}");
    }
}

#[test]
fn topics_with_as_many_partitions_are_divided_alike_by_range() {
    let members = ["a", "b", "c"].map(|id| member(id, &["orders", "returns"]));
    let given = assign("range", &topics(&[("orders", 7), ("returns", 7)]), &members);
    for share in given.values() {
        let numbers = |topic| {
            let of_topic = share.iter().filter(move |p| p.topic() == topic);
            of_topic.map(|p| p.partition()).collect::<Vec<_>>()
        };
        assert_eq!(numbers("orders"), numbers("returns"));
    }
}

/// The tables of other clients.
const VECTORS: &str = include_str!("../vectors/assignors.txt");

#[test]
fn behaviour_70_groups_are_divided_as_by_kafkas_own_client() {
    let (mut groups, mut tables) = (0, 0);
    for group in VECTORS.split("\n\n").map(lines).filter(|lines| !lines.is_empty()) {
        groups += 1;
        for (name, expected) in group.iter().filter(|(name, _)| ALL.contains(name)) {
            let (topics, members) = read(&group, name);
            assert_eq!(assign(name, &topics, &members), table(expected), "{name}: {group:?}");
            tables += 1;
        }
    }
    assert_eq!((groups, tables), (7, 28));
}

/// The lines that are no comment: the first word, and the others.
fn lines(group: &str) -> Vec<(&str, &str)> {
    let lines = group.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
}

/// The topics and the members of a group, as an assignor of this name sees them.
fn read(group: &[(&str, &str)], name: &str) -> (Topics, Vec<GroupMember>) {
    let (mut topics, mut members) = (Topics::new(), Vec::new());
    for (word, rest) in group {
        let words: Vec<&str> = rest.split(' ').collect();
        match *word {
            "topics" => topics.extend(words.iter().map(|topic| {
                let (topic, count) = topic.split_once('=').expect("topic=partitions");
                (topic.into(), count.parse::<i32>().expect("a number"))
            })),
            "member" => members.push(read_member(&words, name)),
            _ => {}
        }
    }
    (topics, members)
}

fn read_member(words: &[&str], name: &str) -> GroupMember {
    let (id, instance) =
        words[0].split_once('@').map_or((words[0], None), |(id, instance)| (id, Some(instance)));
    let mut member = GroupMember::new(id, words[1].split(','));
    if let Some(instance) = instance {
        member = member.with_group_instance_id(instance);
    }
    let Some(generation) = words.get(2) else { return member };
    let had = if words[3] == "none" { Vec::new() } else { partitions(words[3]) };
    having(name, member, &had, generation.parse().expect("a generation"))
}
