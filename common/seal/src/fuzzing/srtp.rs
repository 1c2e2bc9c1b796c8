//! The fuzz target of SRTP. It knows the key.

use std::time::Duration;

use framegram_common::wire::sdp;

use crate::{Secret, Srtp, SrtpKey, SrtpSuite, key_text};

/// Any key.
const KEY: (u64, u64) = (3, 4);

/// An operation on some of the bytes.
struct Step<'a> {
    /// Direction, and whether to seal the packet and then to change it.
    choice: u8,
    /// The bit to change.
    bit: usize,
    now: Duration,
    data: &'a [u8],
}

/// Calls `step` with parts of the bytes. A choice, a bit, a time step in milliseconds and the
/// length precede each.
fn each(mut bytes: &[u8], mut step: impl FnMut(&Step<'_>)) {
    let mut now = Duration::ZERO;
    while let [choice, bit, time, high, low, rest @ ..] = bytes {
        now += Duration::from_millis(u64::from(*time) * 10);
        let len = usize::from(u16::from_be_bytes([*high, *low]) % 1_500);
        let (data, rest) = rest.split_at(len.min(rest.len()));
        bytes = rest;
        step(&Step {
            choice: *choice,
            bit: usize::from(*bit),
            now,
            data,
        });
    }
}

impl Step<'_> {
    /// The data as they are, or sealed by `seal` and possibly changed; and whether the result is
    /// authentic.
    fn datagram(&self, seal: impl FnOnce(&mut Vec<u8>) -> bool) -> (Vec<u8>, bool) {
        if self.choice & 2 == 0 {
            return (self.data.to_vec(), false);
        }
        let mut out = Vec::new();
        let is_sealed = seal(&mut out);
        let is_changed = self.choice & 4 != 0 && !out.is_empty();
        if is_changed {
            let bit = self.bit * 8 % (out.len() * 8) + self.bit % 8;
            out[bit / 8] ^= 1 << (bit % 8);
        }
        (out, is_sealed && !is_changed)
    }

    fn comes_from_viewer(&self) -> bool {
        self.choice & 1 != 0
    }
}

/// Runs both sides of SRTP. The bytes choose the suite, what is sealed, and what is changed on the
/// way.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn run(bytes: &[u8]) {
    let (first, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let suite = SrtpSuite::ALL[usize::from(*first) % SrtpSuite::ALL.len()];
    let secret = Secret::from_key(&key_text(KEY)).expect("a key");
    let key = SrtpKey::derive(&secret, &[7; 16], suite).expect("a key");
    let mut sides = [(); 2].map(|()| Srtp::new(&key).expect("a cipher"));
    let mut out = Vec::new();
    each(bytes, |step| {
        if let Ok(text) = std::str::from_utf8(step.data) {
            let _ = sdp::size(text);
            for attribute in sdp::cryptos(text).chain([text]) {
                let _ = SrtpKey::of_attribute(attribute);
            }
        }
        let [a, b] = &mut sides;
        let (from, to) = if step.comes_from_viewer() {
            (a, b)
        } else {
            (b, a)
        };
        let (datagram, is_authentic) = step.datagram(|out| from.seal_one(step.data, out));
        if to.open(&datagram, step.now, &mut out).is_ok() {
            assert!(is_authentic, "{datagram:02x?}");
            assert_eq!(out, step.data);
            assert!(to.open(&datagram, step.now, &mut out).is_err());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::run;

    /// The corpus, relative to this crate's folder.
    const CORPUS: &str = "../fuzz/corpus";

    include!("../../../fuzz/corpus.rs");

    #[test]
    fn srtp() {
        try_all("srtp", run);
    }
}
