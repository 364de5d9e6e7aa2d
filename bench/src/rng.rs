//! Random numbers for the load generators.

use uuid::Uuid;

/// A small, fast random number generator (xorshift). It picks items and makes ids; security does not depend on it.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Returns the same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Seeds itself at random: a store that was measured before must meet new ids.
    #[expect(clippy::disallowed_methods, reason = "a client makes its own ids")]
    pub(crate) fn fresh() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0 | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Returns a random id, as a client without UUIDv7 makes it.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
