//! Values for tests of the protocol: the same as integration/vectors/vectors.py makes.

/// Makes values for tests: numbers that differ from each other and from every default.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// The version of the message that is made.
    pub version: i16,
    /// Whether what can be null is null.
    pub nulls: bool,
    made: i8,
}

impl Sampler {
    /// Makes values for a message of this version.
    #[must_use]
    pub fn new(version: i16, nulls: bool) -> Self {
        Self { version, nulls, made: 0 }
    }

    /// The next number: from 1 to 124, in turn odd and even.
    pub fn number(&mut self) -> i8 {
        self.made = self.made % 124 + 1;
        self.made
    }
}
