//! Bytes that were read from a socket and not yet decoded.

/// A buffer between the socket and the decoders: bytes go in at the end and are consumed from the front.
#[derive(Debug)]
pub(crate) struct Staging {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Staging {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity], start: 0, end: 0 }
    }

    /// What is there to be decoded.
    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes `n` bytes off the front.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves as much as both sides allow into `target`; says how much that was.
    pub(crate) fn move_to(&mut self, target: &mut [u8]) -> usize {
        let n = target.len().min(self.data().len());
        target[..n].copy_from_slice(&self.data()[..n]);
        self.consume(n);
        n
    }

    /// Where the next bytes from the socket go. A decoder that needs more than the buffer holds makes it grow: it is
    /// full of bytes that have arrived, so it never exceeds twice what the peer has really sent.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// `n` bytes were put into [`space`](Self::space).
    pub(crate) fn advance(&mut self, n: usize) {
        self.end += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(staging: &mut Staging, bytes: &[u8]) {
        for byte in bytes {
            staging.space()[0] = *byte;
            staging.advance(1);
        }
    }

    #[test]
    fn bytes_come_out_in_the_order_in_which_they_went_in_while_the_buffer_wraps_and_grows() {
        let mut staging = Staging::new(4);
        put(&mut staging, b"abc");
        staging.consume(2);
        put(&mut staging, b"defghij");
        assert_eq!(staging.data(), b"cdefghij");
        let mut target = [0; 3];
        assert_eq!(staging.move_to(&mut target), 3);
        assert_eq!((&target, staging.data()), (b"cde", &b"fghij"[..]));
    }

    #[test]
    fn an_empty_buffer_is_reused_and_does_not_grow() {
        let mut staging = Staging::new(4);
        for _ in 0..100 {
            put(&mut staging, b"abcd");
            staging.consume(4);
        }
        assert_eq!(staging.buffer.len(), 4);
    }
}
