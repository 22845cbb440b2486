//! Accepts the crate's interface as it is now: writes `docs/api.txt`.

use std::fs;

use api_guard::{Api, accepted, describe, difference};

fn main() -> std::io::Result<()> {
    let now = Api::read(&describe()).text;
    let before = fs::read_to_string(accepted()).unwrap_or_default();
    match difference(&before, &now) {
        Some(difference) => println!("{difference}"),
        None => println!("nothing changed"),
    }
    fs::write(accepted(), now)
}
