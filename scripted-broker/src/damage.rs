//! What becomes of bytes on their way: [`damage`].

/// Changes one thing somewhere: a bit, a byte, the end, or the length.
pub fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    let at = random.usize(..=bytes.len());
    match (random.u8(..6), bytes.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << random.u8(..8),
        (1, Some(byte)) => *byte = random.u8(..),
        (2, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
        (3, Some(_)) => bytes.truncate(at),
        (4, Some(_)) => drop(bytes.remove(at)),
        _ => bytes.insert(at, random.u8(..)),
    }
}
