//! Makes mutated inputs from others. The same seed makes the same inputs.

/// Longer inputs are cut to this size.
const BYTES_MAX: usize = 16 * 1024;
/// The maximum number of changes of one input.
const CHANGES_MAX: usize = 6;

/// Tokens of the formats.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-",
    b"0",
    b"1e3",
    b"9223372036854775807",
    b"9999999.999",
    b"-0",
    b"0.375",
    b"\"\"",
    b"\"command_id\":",
    b"\"item_id\":\"cola\"",
    b"\"type\":\"sell\"",
    b"\"quantity\":\"1\"",
    b"\"occurred_at\":\"2026-01-31T08:15:00Z\"",
    b"\"v\":2,",
    b"\"alg\":",
    b"\"RS256\"",
    b"\"kid\":\"first\"",
    b"\"crit\":[]",
    b".",
    b"=",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\x00",
    b"\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"2026-12-31T23:59:60Z",
    b"+24:00",
];

/// Makes mutated inputs.
#[derive(Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number (SplitMix64).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Returns a new input made from one or two of these.
    pub fn input(&mut self, from: &[Vec<u8>]) -> Vec<u8> {
        let mut input = from[self.below(from.len())].clone();
        // Half of them get one change only, because inputs far from any valid one are refused at their first byte.
        let changes = if self.next() & 1 == 0 { 1 } else { 1 + self.below(CHANGES_MAX) };
        for _ in 0..changes {
            self.change(&mut input, from);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, from: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let until = (at + 1 + self.below(16)).min(input.len());
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.next() as u8,
            2 if at < until => drop(input.drain(at..until)),
            3 if at < until => {
                let again = input[at..until].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, again);
            }
            4 => input.truncate(at),
            5 => {
                let other = &from[self.below(from.len())];
                let start = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[start..]);
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let replaced = if self.next() & 1 == 0 { at } else { until.max(at) };
                input.splice(at..replaced, word.iter().copied());
            }
        }
    }
}
