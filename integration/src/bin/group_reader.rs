//! Reads a topic in a group as its argument says, and prints how many records it read, or the error: `group_reader SETTINGS`.
//!
//! A process of its own, for what is read from the environment, as Kerberos is.

use std::env;

use kafka_blocking_integration::Login;

fn main() {
    let settings = env::args().nth(1).expect("settings in JSON");
    println!("{}", Login::read_as_told(&settings));
}
