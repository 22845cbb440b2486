//! What a seed makes happen: which members come and go, and what goes wrong.

use std::time::Duration;

use scripted_broker::Reach;

use crate::{
    chaos::{Chaos, NODES, TOPICS, Trouble},
    ledger::MemberId,
    operations::{Hindered, How, Operation, expellable},
    program::{Commits, Dice, End, Habits, SEEKS, pick},
};

const MOST_MEMBERS: usize = 5;

/// How often something happens before all is repaired.
const TURNS: usize = 40;

impl Chaos {
    /// Draws one operation after the other, and lets it happen.
    pub(crate) fn draw(&mut self) {
        let first = self.random.usize(1..4);
        (0..first).for_each(|_| self.draw_start(0));
        let stages = self.assignors.len();
        for turn in 0..TURNS {
            let stage = turn * stages / TURNS;
            if turn > 0 && stage > (turn - 1) * stages / TURNS {
                self.begin_stage(stage);
            }
            for _ in 0..self.random.u8(0..4) {
                self.draw_append();
            }
            if self.random.u8(0..4) == 0 {
                self.shuffle(stage);
            }
            if self.trouble == Trouble::All && self.random.u8(0..3) > 0 {
                self.disturb();
            }
            if self.whimsical && self.trouble == Trouble::All && self.whims.u8(0..8) == 0 {
                let operation = draw_refusal(&mut self.whims);
                self.happen(operation);
            }
            let pause = self.random.u64(0..2_000);
            self.happen(Operation::Pass(Duration::from_millis(pause)));
        }
    }

    pub(crate) fn draw_start(&mut self, stage: usize) {
        let stage = stage.min(self.assignors.len() - 1);
        let quiet = self.trouble == Trouble::Calm;
        let mut habits = Habits::of(&mut self.random, self.assignors[stage], quiet);
        let mut whims = self.whims.fork();
        if self.whimsical {
            habits.seeks = pick(&mut whims, &SEEKS);
            habits.hasty = whims.bool();
        }
        let dice = Dice { habits: self.random.fork(), whims };
        let member = self.sim.started();
        self.happen(Operation::Start { member, stage, habits: Box::new(habits), dice });
    }

    /// Goes on with a rolling change: the members of the stage before are replaced, and none is left of those before.
    fn begin_stage(&mut self, stage: usize) {
        for member in self.running() {
            if self.stages[member] + 1 < stage {
                self.happen(Operation::Kill { member, closing: true });
            } else if self.stages[member] < stage {
                self.happen(Operation::End(member, End::Closes));
                self.draw_start(stage);
            }
        }
    }

    fn any_running(&mut self) -> Option<MemberId> {
        let running = self.running();
        let n = self.random.usize(..running.len().max(1));
        running.get(n).copied()
    }

    /// A member comes or goes.
    fn shuffle(&mut self, stage: usize) {
        let Some(member) = self.any_running() else { return self.draw_start(stage) };
        let running = self.running().len();
        let calm = self.trouble == Trouble::Calm;
        match self.random.u8(0..10) {
            0..4 if running < MOST_MEMBERS => self.draw_start(stage),
            4..6 if running > 1 => self.happen(Operation::End(member, End::Closes)),
            6 if running > 1 && !calm => self.happen(Operation::End(member, End::IsDropped)),
            7 => self.happen(Operation::End(member, End::Returns)),
            8 if !calm => {
                let closing = self.random.bool();
                self.happen(Operation::Kill { member, closing });
            }
            9 if !calm => {
                let frozen = !self.sim.is_frozen(member);
                self.happen(Operation::Freeze(member, frozen));
            }
            _ => {}
        }
    }

    pub(crate) fn draw_append(&mut self) {
        let topic = TOPICS[self.random.usize(..TOPICS.len())];
        let partitions =
            self.sim.with_cluster(|cluster, _| cluster.state.topics[topic].partitions.len());
        let random = &mut self.random;
        let (partition, count) = (random.usize(..partitions), random.usize(1..6));
        let length = random.usize(1..120);
        self.happen(Operation::Append { topic, partition, count, length });
    }

    /// Something goes wrong, or right again.
    fn disturb(&mut self) {
        let node = self.random.u8(1..=NODES);
        let Some(member) = self.any_running() else { return };
        let random = &mut self.random;
        let what = random.u8(0..18);
        let topic = |random: &mut fastrand::Rng| TOPICS[random.usize(..TOPICS.len())];
        let operation = match what {
            0 => Operation::Stop(node),
            1..=3 => Operation::Restart(node),
            4 => Operation::Pause(node),
            5 | 6 => Operation::Coordinate(node),
            7 => Operation::CloseConnections(node),
            8 => Operation::Cut(member),
            9 => Operation::SetReach(member, node, Reach::Lost),
            10 => Operation::SetReach(member, node, Reach::Up),
            11 => Operation::SetLatency(member, node, Duration::from_millis(random.u64(0..200))),
            12 => Operation::Hold(member, node, Duration::from_millis(random.u64(100..8_000))),
            13 => Operation::AddPartition(topic(random)),
            14 => {
                let topic = topic(random);
                let leader = Some(node.into()).filter(|_| random.u8(..) < 220);
                Operation::MoveLeader(topic, leader)
            }
            15 => {
                let Some(members) = expellable(&mut self.sim) else { return };
                let nth = random.usize(..members.len());
                Operation::Expel { nth, removed: random.bool() }
            }
            _ => draw_hindrance(random),
        };
        self.sim.note(format!("{operation:?}"));
        self.happen(operation);
    }
}

/// The coordinator takes no commits for a while.
fn draw_refusal(random: &mut fastrand::Rng) -> Operation {
    let (times, code) = (random.usize(2..6), pick(random, &[7, 14]));
    Operation::Hinder { what: Hindered::Commit, times, how: How::Fail(code) }
}

/// Something happens to the next requests of the group.
fn draw_hindrance(random: &mut fastrand::Rng) -> Operation {
    let what = match random.u8(0..9) {
        0 => Hindered::Join,
        1 => Hindered::Sync,
        2 => Hindered::Heartbeat,
        3 | 4 => Hindered::Commit,
        5 => Hindered::Committed,
        6 => Hindered::FindCoordinator,
        7 => Hindered::Leave,
        8 if random.bool() => {
            return Operation::Hinder { what: Hindered::Metadata, times: 1, how: How::Swallow };
        }
        _ => {
            let how = How::CutAt(random.usize(0..2000));
            return Operation::Hinder { what: Hindered::Fetch, times: 1, how };
        }
    };
    let times = random.usize(1..3);
    let how = match random.u8(0..8) {
        0 => How::Close,
        1 => How::CloseAfter,
        2 => How::Delay(Duration::from_millis(random.u64(0..6_000))),
        3 => How::Swallow,
        _ => {
            let codes: &[i16] = match what {
                Hindered::FindCoordinator => &[14, 15, 7],
                Hindered::Committed => &[14, 15, 16, 7],
                _ => &[14, 15, 16, 7, 22, 25, 27],
            };
            How::Fail(codes[random.usize(..codes.len())])
        }
    };
    Operation::Hinder { what, times, how }
}

impl Habits {
    /// Whether it leaves it to the consumer when to commit.
    pub(crate) fn commits_by_itself(&self) -> bool {
        self.commits == Commits::Auto
    }
}
