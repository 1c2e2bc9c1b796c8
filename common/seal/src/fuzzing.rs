//! Fuzz targets for sealing and opening, with a key that the fuzzer knows. Tests run
//! them over the stored corpus and its mutations; `common/fuzz` runs them with
//! libFuzzer.

use std::time::Duration;

use crate::{Secret, SenderSeal, Srtp, SrtpKey, SrtpSuite, Suite, ViewerSeal, key_text};

/// Any key but that of the vectors, which are in the corpus.
const KEY: (u64, u64) = (3, 4);

/// The number of the viewer in the corpus.
const VIEWER: u64 = 0x1122_3344_5566_7788;

/// Runs the target with this name.
///
/// # Panics
/// If there is no such target, or the bytes reveal a bug.
pub fn run(name: &str, bytes: &[u8]) {
    match name {
        "sealed" => sealed(bytes),
        "srtp" => srtp(bytes),
        _ => panic!("no target is called {name}"),
    }
}

/// What is done with some of the bytes.
struct Step<'a> {
    /// Which direction, and whether a packet is sealed, and then changed.
    choice: u8,
    /// Which bit is changed.
    bit: usize,
    now: Duration,
    data: &'a [u8],
}

/// Calls `step` with parts of the bytes. Before each of them there are a choice, a
/// bit, a time step in milliseconds and the length.
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
    /// The data as it comes: as it is, or sealed by `seal` and perhaps changed. Also
    /// whether it is authentic.
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

fn sealed(bytes: &[u8]) {
    let secret = Secret::from_key(&key_text(KEY)).expect("a key");
    let mut sender = SenderSeal::new(secret.clone(), [7; 16], Suite::Aes128Gcm);
    let mut viewer = ViewerSeal::new(secret, VIEWER, [8; 16], Suite::ChaCha20Poly1305);
    let mut out = Vec::new();
    each(bytes, |step| {
        let now = step.now;
        let is_from_viewer = step.comes_from_viewer();
        let (datagram, is_authentic) = step.datagram(|out| {
            if is_from_viewer {
                viewer.seal(step.data, now, out)
            } else {
                sender.seal_one(step.data, now, out)
            }
        });
        let mut open = || {
            if is_from_viewer {
                sender.open(&datagram, now, &mut out).is_ok()
            } else {
                viewer.open(&datagram, now, &mut out).is_ok()
            }
        };
        if open() {
            assert!(is_authentic, "{datagram:02x?}");
            // Nothing is kept of a request.
            assert!(!open() || is_from_viewer);
        }
    });
}

fn srtp(bytes: &[u8]) {
    let (first, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let suite = SrtpSuite::ALL[usize::from(*first) % SrtpSuite::ALL.len()];
    let secret = Secret::from_key(&key_text(KEY)).expect("a key");
    let key = SrtpKey::derive(&secret, &[7; 16], suite).expect("a key");
    let mut sides = [(); 2].map(|()| Srtp::new(&key).expect("a cipher"));
    let mut out = Vec::new();
    each(bytes, |step| {
        if let Ok(text) = std::str::from_utf8(step.data) {
            let _ = SrtpKey::of_attribute(text);
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

    include!("../../fuzz/corpus.rs");

    #[test]
    fn sealed() {
        try_all("sealed", |bytes| run("sealed", bytes));
    }

    #[test]
    fn srtp() {
        try_all("srtp", |bytes| run("srtp", bytes));
    }
}
