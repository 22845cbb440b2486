//! The situations, each in a group of its own.

use kafka_blocking::protocol::{
    join_group::JoinGroupRequest, offset_commit::OffsetCommitRequest, sync_group::SyncGroupRequest,
};

use crate::member::{Member, Place, pass, say};

type Situation = fn(&Place);

/// What makes a request differ from a good one.
type Change = fn(&mut SyncGroupRequest);

/// All of them with their names.
pub(crate) const ALL: [(&str, Situation); 20] = [
    ("first join", first_join),
    ("refused joins", refused_joins),
    ("two members", two_members),
    ("vote", vote),
    ("rejoins", rejoins),
    ("full", full),
    ("late for the rebalance", late),
    ("leader is away", leader_away),
    ("nobody syncs", nobody_syncs),
    ("refused syncs", refused_syncs),
    ("static follower", static_follower),
    ("static leader", static_leader),
    ("static leader of old", static_leader_old),
    ("static waits", static_waits),
    ("static sync waits", static_sync_waits),
    ("static away", static_away),
    ("leaving", leaving),
    ("commits", commits),
    ("commits of nobody", simple_commits),
    ("pending", pending),
];

fn first_join(place: &Place) {
    for version in [2, 3, 4, 5, 6, 7, 8, 9] {
        let mut member = place.member();
        member.say_join(&format!("join v{version}"), version);
        if version >= 4 {
            member.say_join(&format!("join v{version} again"), version);
        }
        let id = member.id.clone();
        member.say_sync("sync", &[(&id, "all")]);
        say("beat", member.beat());
        say("leave", member.leave());
        say("beat", member.beat());
    }
}

fn refused_joins(place: &Place) {
    let mut member = place.member();
    member.id = "x".to_owned();
    member.say_join("unknown id, no group", 9);
    let mut member = place.member();
    member.session_ms = 499;
    member.say_join("short session", 9);
    member.session_ms = 1_800_001;
    member.say_join("long session", 9);
    let mut member = place.member();
    member.protocols = vec![];
    member.say_join("no protocols", 9);
    let mut member = place.member();
    member.group = String::new();
    member.say_join("no name", 9);
    member.say_join("no name, old version", 6);
    place.pair();
    let mut member = place.member();
    member.id = "x".to_owned();
    member.say_join("unknown id", 9);
    let mut member = place.member();
    member.protocols = vec!["other"];
    member.say_join("other protocol", 9);
    let request =
        JoinGroupRequest { protocol_type: "connect".to_owned(), ..place.member().join_request() };
    let answer = member.ask(9, &request);
    say("other type", member.told(Some(answer)));
}

fn two_members(place: &Place) {
    let (mut first, mut second) = (place.member(), place.member());
    first.enter();
    first.say_joined("first");
    first.say_sync("first syncs", &[]);
    second.say_join("second asks", 9);
    say("first beats", first.beat());
    second.say_join("second joins", 9);
    say("first beats", first.beat());
    say("first commits", first.commit());
    first.say_join("first joins", 9);
    second.say_joined("second has joined");
    say("first beats", first.beat());
    say("second commits", second.commit());
    second.say_sync("second syncs", &[]);
    let (a, b) = (first.id.clone(), second.id.clone());
    first.say_sync("first syncs", &[(&a, "a"), (&b, "b")]);
    second.say_synced("second has synced");
    second.say_sync("second syncs again", &[]);
    say("second commits", second.commit());
    say("second leaves", second.leave());
    say("second commits", second.commit());
    say("first beats", first.beat());
    say("first commits", first.commit());
    first.say_join("first joins", 9);
}

fn vote(place: &Place) {
    let mut members = [place.member(), place.member(), place.member()];
    members[0].protocols = vec!["mine", "range", "sticky"];
    members[1].protocols = vec!["sticky", "range"];
    members[2].protocols = vec!["sticky", "other", "range"];
    members[0].enter();
    members[0].say_joined("alone");
    for n in [1, 2] {
        members[n].enter();
    }
    members[0].say_join("with the others", 9);
    members[1].say_joined("second");
    members[2].say_joined("third");
}

fn rejoins(place: &Place) {
    let [mut first, mut second] = place.pair();
    second.say_join("follower with nothing new", 9);
    second.say_sync("and syncs", &[]);
    first.say_join("leader with nothing new", 9);
    say("follower beats", second.beat());
    second.say_join("follower joins", 9);
    first.say_joined("leader has joined");
    second.say_join("follower, again, before the assignment", 9);
    first.say_join("leader, again, before the assignment", 9);
    second.topics = "u";
    second.say_join("follower with other topics, before the assignment", 9);
    first.say_sync("leader syncs", &[]);
    first.say_join("leader joins", 9);
    second.say_joined("follower has joined");
    first.sync(&[]);
    second.sync(&[]);
    second.topics = "t";
    second.say_join("follower with other topics", 9);
    say("leader beats", first.beat());
}

fn full(place: &Place) {
    place.pair();
    let mut third = place.member();
    third.enter();
    third.say_joined("third");
    let mut fourth = place.member();
    fourth.say_join("fourth asks", 9);
    fourth.say_join("fourth joins", 9);
    let mut fifth = place.member();
    fifth.say_join("fifth asks", 9);
}

fn late(place: &Place) {
    let (mut a, mut b) = (place.member(), place.member());
    (a.rebalance_ms, b.rebalance_ms) = (1_500, 1_500);
    let [mut first, mut second] = place.pair_of(a, b);
    first.say_join("first joins", 9);
    pass(1_000, &[&second]);
    say("second beats", second.beat());
    pass(800, &[]);
    first.say_joined("first has joined");
    say("second beats", second.beat());
    say("second commits", second.commit());
    second.say_sync("second syncs", &[]);
    second.say_join("second joins", 9);
}

fn leader_away(place: &Place) {
    let (mut a, mut b) = (place.member(), place.member());
    (a.session_ms, b.session_ms) = (1_000, 1_000);
    let [first, mut second] = place.pair_of(a, b);
    second.topics = "u";
    second.say_join("second joins", 9);
    pass(1_200, &[]);
    second.say_joined("second has joined");
    say("first beats", first.beat());
}

fn nobody_syncs(place: &Place) {
    let (mut a, mut b) = (place.member(), place.member());
    (a.rebalance_ms, b.rebalance_ms) = (1_500, 1_500);
    let [mut first, mut second] = place.pair_of(a, b);
    first.say_join("first joins", 9);
    second.say_join("second joins", 9);
    first.say_joined("first has joined");
    second.say_sync("second syncs", &[]);
    pass(2_000, &[&first]);
    second.say_synced("second has synced");
    say("first beats", first.beat());
    say("second beats", second.beat());
}

fn refused_syncs(place: &Place) {
    let [mut first, mut second] = place.pair();
    first.say_join("first joins", 9);
    second.say_join("second joins", 9);
    first.say_joined("first has joined");
    let changes: [(&str, Change); 7] = [
        ("generation", |r| r.generation_id += 1),
        ("member", |r| r.member_id.push('x')),
        ("group", |r| r.group_id.push('x')),
        ("no group", |r| r.group_id.clear()),
        ("name", |r| r.protocol_name = Some("x".into())),
        ("type", |r| r.protocol_type = Some("x".into())),
        ("no name", |r| r.protocol_name = None),
    ];
    for (what, change) in changes {
        let mut request = first.sync_request(&[]);
        change(&mut request);
        first.send(5, &request);
        first.say_synced(what);
    }
    let nobody = Member { id: "x".to_owned(), ..place.member() };
    say("unknown member beats", nobody.beat());
    let late = Member { generation: first.generation - 1, ..first };
    say("old generation beats", late.beat());
    say("old generation commits", late.commit());
}

fn static_follower(place: &Place) {
    let [first, mut old] = place.pair_of(place.named("a"), place.named("b"));
    let mut new = place.named("b");
    new.say_join("comes back", 9);
    new.say_sync("and syncs", &[]);
    say("leader beats", first.beat());
    say("old beats", old.beat());
    say("old commits", old.commit());
    old.say_sync("old syncs", &[]);
    say("old leaves", old.leave_as(5, &[(&old.id, Some("b"))]));
    old.say_join("old joins", 9);
    old.instance_id = None;
    say("old beats without its instance id", old.beat());
    let stranger = Member { instance_id: Some("c".to_owned()), ..new };
    say("stranger beats", stranger.beat());
    say("administrator", stranger.leave_as(5, &[("", Some("b")), ("", Some("c"))]));
    say("leader beats", first.beat());
}

fn static_leader(place: &Place) {
    place.pair_of(place.named("a"), place.named("b"));
    let mut new = place.named("a");
    new.say_join("comes back", 9);
    new.say_sync("and syncs", &[]);
    let mut other = place.named("a");
    other.protocols = vec!["other", "range"];
    other.say_join("with one protocol more", 9);
    let mut other = place.named("a");
    other.topics = "u";
    other.say_join("with other topics", 9);
}

fn static_leader_old(place: &Place) {
    place.pair_of(place.named("a"), place.named("b"));
    let mut new = place.named("a");
    new.say_join("comes back", 8);
    new.say_sync("and syncs", &[]);
}

fn static_waits(place: &Place) {
    let [mut first, mut second] = place.pair_of(place.named("a"), place.named("b"));
    first.say_join("joins", 9);
    let mut new = place.named("a");
    new.say_join("comes back", 9);
    first.say_joined("the old one");
    second.say_join("the other one joins", 9);
    new.say_joined("the new one");
}

fn static_sync_waits(place: &Place) {
    let [mut first, mut second] = place.pair_of(place.named("a"), place.named("b"));
    first.say_join("leader joins", 9);
    second.say_join("follower joins", 9);
    first.say_joined("leader has joined");
    second.say_sync("follower syncs", &[]);
    let mut new = place.named("b");
    new.say_join("follower comes back", 9);
    second.say_synced("the old one");
    say("leader beats", first.beat());
    first.say_join("leader joins", 9);
    new.say_joined("the new one");
}

fn static_away(place: &Place) {
    let (mut a, mut b) = (place.named("a"), place.named("b"));
    (a.rebalance_ms, b.rebalance_ms) = (1_500, 1_500);
    let [mut first, second] = place.pair_of(a, b);
    first.say_join("first joins", 9);
    pass(1_800, &[]);
    first.say_joined("first has joined");
    first.say_sync("first syncs", &[]);
    say("second beats", second.beat());
    pass(2_000, &[&first]);
    say("second beats", second.beat());
    say("first beats", first.beat());
}

fn leaving(place: &Place) {
    let stranger = Member { id: "x".to_owned(), ..place.member() };
    for version in 0..=5 {
        say(&format!("no group v{version}"), stranger.leave_as(version, &[("x", None)]));
    }
    let [mut first, second] = place.pair();
    for version in 0..=5 {
        say(&format!("stranger v{version}"), stranger.leave_as(version, &[("x", None)]));
    }
    first.say_join("first joins", 9);
    say("second leaves", second.leave());
    first.say_joined("first has joined");
    first.sync(&[]);
    let mut third = place.member();
    third.join(9);
    first.say_join("first joins", 9);
    say("third leaves before it has joined", third.leave());
    first.say_joined("first has joined");
    say("first leaves", first.leave_as(5, &[(&first.id, None), ("x", None)]));
    let nameless = Member { group: String::new(), ..place.member() };
    say("no name", nameless.leave_as(5, &[("x", None)]));
}

fn commits(place: &Place) {
    let [mut first, mut second] = place.pair();
    say("member", first.commit());
    say("next generation", first.commit_as(9, |r| r.generation_id_or_member_epoch += 1));
    say("last generation", first.commit_as(9, |r| r.generation_id_or_member_epoch -= 1));
    say("no generation", first.commit_as(9, |r| r.generation_id_or_member_epoch = -1));
    say("unknown", first.commit_as(9, |r| r.member_id.push('x')));
    let nobody = |r: &mut OffsetCommitRequest| {
        r.member_id.clear();
        r.generation_id_or_member_epoch = -1;
    };
    say("nobody", first.commit_as(9, nobody));
    let neither = |r: &mut OffsetCommitRequest| {
        r.topics[0].name = "none".to_owned();
        r.generation_id_or_member_epoch += 1;
    };
    say("unknown topic in the next generation", first.commit_as(9, neither));
    say("unknown topic", first.commit_as(9, |r| r.topics[0].name = "none".to_owned()));
    let long = |n| {
        move |r: &mut OffsetCommitRequest| {
            r.topics[0].partitions[0].committed_metadata = Some("x".repeat(n));
        }
    };
    say("long text", first.commit_as(9, long(4097)));
    say("text", first.commit_as(9, long(3)));
    say("fetched", first.fetch(7, 0));
    say("epoch", first.commit_as(9, |r| r.topics[0].partitions[0].committed_leader_epoch = 0));
    say("fetched", first.fetch(7, 0));
    say("nothing", first.fetch(7, 1));
    say("no partition", first.fetch(7, 99));
    first.say_join("first joins", 9);
    say("second commits", second.commit());
    second.say_join("second joins", 9);
    first.joined(9);
    say("second commits", second.commit());
    say("nobody", second.commit_as(9, nobody));
}

fn simple_commits(place: &Place) {
    let nobody = place.member();
    say("fetched", nobody.fetch(7, 0));
    say("member of no group", nobody.commit_as(8, |r| r.generation_id_or_member_epoch = 3));
    say("member of no group, v9", nobody.commit_as(9, |r| r.generation_id_or_member_epoch = 3));
    for version in 2..=9 {
        say(&format!("v{version}"), nobody.commit_as(version, |_| {}));
    }
    say("fetched", nobody.fetch(7, 0));
    say("named", nobody.commit_as(9, |r| r.member_id = "x".to_owned()));
    say("generation", nobody.commit_as(9, |r| r.generation_id_or_member_epoch = 0));
    let mut member = place.member();
    member.enter();
    member.joined(9);
    member.sync(&[]);
    say("nobody", nobody.commit());
    member.leave();
    say("nobody", nobody.commit());
    say("member", member.commit());
}

fn pending(place: &Place) {
    let mut first = place.member();
    first.enter();
    first.joined(9);
    first.sync(&[]);
    let mut second = place.member();
    second.session_ms = 1_000;
    second.say_join("second asks", 9);
    first.say_join("first joins", 9);
    pass(1_200, &[]);
    first.say_joined("first has joined");
    second.say_join("second joins", 9);
    let mut third = place.member();
    third.join(9);
    third.instance_id = Some("i".to_owned());
    third.say_join("third joins as a static member", 9);
}
