//! A member of a stage of a chain of groups: it reads a topic, writes each record to the next with librdkafka, and commits
//! when that is acknowledged.
#![doc = include_str!("../README.md")]
mod outlet;
mod settings;
mod stage;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use kafka_blocking::Result;

use crate::stage::Stage;
pub use crate::{
    outlet::{Keyed, Outlet},
    settings::Settings,
};

/// A member's life: some polls that give records, or only a look. It also leaves when its standard input ends.
pub fn run(settings: &Settings) -> Result<()> {
    let ended = input_ended();
    let outlet = Outlet::new(&settings.servers, &settings.to);
    let stage = Stage::new(settings)?;
    if settings.rounds == 0 {
        stage.glance(settings.glance)?;
    }
    let mut rounds = 0;
    while rounds < settings.rounds && !ended.load(Ordering::SeqCst) || stage.is_behind() {
        rounds += u32::from(stage.round(&outlet, POLL)? > 0);
    }
    stage.close()
}

fn input_ended() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    thread::spawn(move || {
        // Nothing is written to it, so all that can come is its end.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        flag.store(true, Ordering::SeqCst);
    });
    ended
}

const POLL: Duration = Duration::from_millis(200);
