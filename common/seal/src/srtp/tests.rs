use std::collections::BTreeSet;

use framegram_common::wire::rtp::{RtpPacket, SenderInfo, encode_sender};
use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};

use super::sources::MAX_SOURCES;
use super::*;
use crate::Secret;

const SECOND: Duration = Duration::from_secs(1);

const SOURCE: u32 = 0xcafe_babe;

fn secret() -> Secret {
    Secret::from_key("04hm asw9 nf6y zzpw qac7 cn1j 20mb").unwrap()
}

fn key(suite: SrtpSuite) -> SrtpKey {
    SrtpKey::derive(&secret(), &[7; 16], suite).unwrap()
}

fn side(suite: SrtpSuite) -> Srtp {
    Srtp::new(&key(suite)).unwrap()
}

fn media(source: u32, number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let packet = RtpPacket {
        sequence: number as u16,
        timestamp: number as u32,
        source,
        marker: number.is_multiple_of(3),
        payload_type: 26,
        payload: &[b"a part of a frame", &number.to_be_bytes()[..]].concat(),
    };
    packet.encode(&mut out);
    out
}

fn report(source: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let info = SenderInfo {
        source,
        ..SenderInfo::default()
    };
    encode_sender(&info, "a name", &mut out);
    out
}

fn sealed(seal: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(seal.seal_one(packet, &mut out));
    out
}

fn opened(seal: &mut Srtp, datagram: &[u8], now: Duration) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    seal.open(datagram, now, &mut out).map(|()| out)
}

#[test]
fn opens_what_is_sealed_in_both_directions_with_every_suite() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut viewer) = (side(suite), side(suite));
        for number in 30_000..30_100 {
            let packet = media(SOURCE, number);
            let datagram = sealed(&mut sender, &packet);
            assert_eq!(datagram.len(), packet.len() + sender.overhead());
            assert_eq!(datagram[..12], packet[..12], "the header stays");
            assert_ne!(datagram[12..20], packet[12..20]);
            assert_eq!(opened(&mut viewer, &datagram, SECOND).unwrap(), packet);
        }
        for _ in 0..2 {
            for source in [SOURCE, 9] {
                let packet = report(source);
                let datagram = sealed(&mut sender, &packet);
                assert_ne!(datagram[8..packet.len()], packet[8..]);
                assert_eq!(opened(&mut viewer, &datagram, SECOND).unwrap(), packet);
                std::mem::swap(&mut sender, &mut viewer);
            }
        }
        assert_eq!(viewer.refused(), Refused::default());
        assert_eq!(sender.refused(), Refused::default());
    }
}

#[test]
fn a_batch_is_sealed_like_its_packets() {
    let (mut one, mut all) = (side(SrtpSuite::ALL[0]), side(SrtpSuite::ALL[0]));
    let packets: Vec<_> = (0..3).map(|number| media(SOURCE, number)).collect();
    let each = packets.iter().map(|packet| sealed(&mut one, packet));
    let each: Vec<_> = each.collect();
    let mut out = Vec::new();
    let mut batch = packets.concat();
    batch.truncate(batch.len() - 2);
    let segment = all.seal(&batch, packets[0].len(), &mut out);
    assert_eq!(segment, each[0].len());
    assert_eq!(out[..2 * segment], each[..2].concat());
    assert_eq!(out.len(), 3 * segment - 2);
    // The next destination gets the same bytes.
    assert_eq!(sealed(&mut all, &packets[0]), each[0]);
}

#[test]
fn no_bit_can_be_changed_and_each_packet_is_taken_once() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut viewer) = (side(suite), side(suite));
        // Trials for a known source are not limited.
        let first = sealed(&mut sender, &media(SOURCE, 1));
        opened(&mut viewer, &first, SECOND).unwrap();
        for packet in [media(SOURCE, 2), report(SOURCE)] {
            let datagram = sealed(&mut sender, &packet);
            for bit in 0..datagram.len() * 8 {
                let mut changed = datagram.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let refused = opened(&mut viewer, &changed, SECOND).unwrap_err();
                assert_ne!(refused, Refusal::Early, "{suite:?}, bit {bit}");
            }
            assert_eq!(opened(&mut viewer, &datagram, SECOND).unwrap(), packet);
            let again = opened(&mut viewer, &datagram, SECOND);
            assert_eq!(again, Err(Refusal::Replayed));
            let short = &datagram[..datagram.len() - 1];
            assert!(opened(&mut viewer, short, SECOND).is_err());
        }
    }
}

#[test]
fn another_key_none_and_what_this_side_sent_are_refused() {
    for suite in SrtpSuite::ALL {
        let other = SrtpKey::derive(&secret(), &[8; 16], suite).unwrap();
        let mut other = Srtp::new(&other).unwrap();
        let mut viewer = side(suite);
        let own = sealed(&mut viewer, &report(5));
        let clear = [&media(SOURCE, 1), &report(SOURCE)].map(|it| [&it[..], &[0; 30]].concat());
        let unauthentic = [
            sealed(&mut other, &media(SOURCE, 1)),
            sealed(&mut other, &report(SOURCE)),
            own,
        ];
        for datagram in unauthentic.iter().chain(&clear) {
            let refused = opened(&mut viewer, datagram, SECOND);
            assert_eq!(refused, Err(Refusal::Unauthentic), "{suite:?}");
        }
        for datagram in [&b"F\x01 native"[..], b"", &[0x80], &[0xff, 0xd8, 0xff]] {
            assert_eq!(opened(&mut viewer, datagram, SECOND), Err(Refusal::Clear));
        }
        let expected = Refused {
            clear: 4,
            unauthentic: 5,
            ..Refused::default()
        };
        assert_eq!(viewer.refused(), expected);
    }
}

#[test]
fn numbers_wrap_and_late_packets_are_taken() {
    let (mut sender, mut viewer) = (side(SrtpSuite::ALL[0]), side(SrtpSuite::ALL[0]));
    let mut late = Vec::new();
    for number in 20_000..220_000_u64 {
        let packet = media(SOURCE, number);
        let datagram = sealed(&mut sender, &packet);
        // A third is lost, and one in a thousand arrives a hundred packets late.
        if number % 1_000 == 0 {
            late.push((number + 100, packet, datagram));
        } else if number % 3 != 0 {
            assert_eq!(opened(&mut viewer, &datagram, SECOND).unwrap(), packet);
        }
        if let Some((due, packet, datagram)) = late.pop() {
            if due > number {
                late.push((due, packet, datagram));
            } else {
                assert_eq!(opened(&mut viewer, &datagram, SECOND).unwrap(), packet);
            }
        }
    }
    assert_eq!(viewer.refused(), Refused::default());
}

/// The sealed packets of a stream from a number on.
fn from_number(sender: &mut Srtp, first: u64) -> impl FnMut() -> Vec<u8> {
    // The sender must count every packet.
    let mut out = Vec::new();
    for number in (0..first).step_by(30_000) {
        out.clear();
        assert!(sender.seal_one(&media(SOURCE, number), &mut out));
    }
    let mut number = first;
    move || {
        number += 1;
        sealed(sender, &media(SOURCE, number))
    }
}

#[test]
fn a_late_viewer_finds_the_rollover_counter() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut viewer) = (side(suite), side(suite));
        // Half an hour at 6,000 packets a second.
        let mut next = from_number(&mut sender, 1_800 * 6_000);
        let taken = (0..).find(|at| {
            let now = SECOND + Duration::from_micros(at * 160);
            opened(&mut viewer, &next(), now).is_ok()
        });
        let taken = taken.unwrap();
        assert!(taken < 20, "{suite:?}: after {taken} packets");
        for _ in 0..100 {
            assert!(opened(&mut viewer, &next(), SECOND).is_ok());
        }
    }
}

#[test]
fn a_viewer_recovers_after_missing_more_packets_than_16_bits_count() {
    let (mut sender, mut viewer) = (side(SrtpSuite::ALL[0]), side(SrtpSuite::ALL[0]));
    let recorded: Vec<_> = (0..10)
        .map(|number| sealed(&mut sender, &media(SOURCE, number)))
        .collect();
    for datagram in &recorded {
        opened(&mut viewer, datagram, SECOND).unwrap();
    }
    let mut next = from_number(&mut sender, 250_000);
    // The search waits: otherwise changed packets could cause it.
    assert!(opened(&mut viewer, &next(), SECOND).is_err());
    let later = SECOND + SILENCE;
    assert!(opened(&mut viewer, &next(), later).is_ok());
    assert!(opened(&mut viewer, &next(), later).is_ok());
    // Older packets are no longer authentic.
    for datagram in &recorded {
        assert!(opened(&mut viewer, datagram, later).is_err());
    }
}

#[test]
fn a_stream_that_pauses_continues_despite_forged_packets() {
    let (mut sender, mut viewer) = (side(SrtpSuite::ALL[0]), side(SrtpSuite::ALL[0]));
    let mut next = |number| sealed(&mut sender, &media(SOURCE, number));
    opened(&mut viewer, &next(1), SECOND).unwrap();
    let later = SECOND * 9;
    for number in 0..9 {
        let mut forged = media(SOURCE, number * 7_000);
        forged.extend([0; 10]);
        assert!(opened(&mut viewer, &forged, later).is_err());
    }
    assert!(opened(&mut viewer, &next(2), later).is_ok());
    assert!(opened(&mut viewer, &next(3), later).is_ok());
}

#[test]
fn strangers_cost_no_memory_and_few_keys() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut viewer) = (side(suite), side(suite));
        let first = sealed(&mut sender, &media(SOURCE, 1));
        opened(&mut viewer, &first, SECOND).unwrap();
        let stream = sealed(&mut sender, &media(SOURCE, 2));
        for source in 0..20_000 {
            for mut forged in [media(source, 1), report(source)] {
                forged.extend([0xff; 30]);
                assert!(opened(&mut viewer, &forged, SECOND).is_err());
            }
            assert!(viewer.incoming.get_roc(source).is_err(), "{source}");
        }
        assert!(opened(&mut viewer, &stream, SECOND).is_ok(), "{suite:?}");
        assert_eq!(viewer.refused().unauthentic, 40_000);
    }
}

#[test]
fn remembers_the_newest_sources() {
    let mut viewer = side(SrtpSuite::ALL[0]);
    for source in 0..MAX_SOURCES as u32 + 10 {
        let mut sender = side(SrtpSuite::ALL[0]);
        let datagram = sealed(&mut sender, &media(source, 1));
        let now = SECOND * (source + 1);
        assert!(opened(&mut viewer, &datagram, now).is_ok());
    }
    let is_known = |source| viewer.incoming.get_roc(source).is_ok();
    assert!(!is_known(9) && is_known(10));
}

/// Compares the session keys (<https://www.rfc-editor.org/rfc/rfc3711#appendix-B.3>) with those of
/// another implementation of AES and HMAC.
#[test]
fn keys_and_packets_are_those_of_rfc_3711() {
    let attribute = "1 AES_CM_128_HMAC_SHA1_80 \
         inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOqvm|2^20";
    let key = SrtpKey::of_attribute(attribute).unwrap();
    let (cipher_key, salt, auth_key) = (
        0xc61e_7a93_744f_39ee_1073_4afe_3ff7_a087_u128.to_be_bytes(),
        0x30cb_bc08_863d_8c85_d49d_b34a_9ae1_0000_u128,
        [
            0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b, 0x6f, 0xd4, 0xab, 0x49, 0xaf, 0x25,
            0x6a, 0x15, 0x6d, 0x38, 0xba, 0xa4,
        ],
    );
    let mut seal = Srtp::new(&key).unwrap();
    for number in [0x1234_u64, 0x9000, 0x1_0800, 0x1_0801] {
        let packet = media(SOURCE, number);
        let datagram = sealed(&mut seal, &packet);
        let (body, tag) = datagram.split_at(packet.len());
        let rollovers = (number >> 16) as u32;
        let authenticated = [body, &rollovers.to_be_bytes()].concat();
        let auth_key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth_key);
        assert_eq!(tag, &sign(&auth_key, &authenticated).as_ref()[..10]);
        // https://www.rfc-editor.org/rfc/rfc3711#section-4.1.1
        let counter = salt ^ u128::from(SOURCE) << 64 ^ u128::from(number) << 16;
        let aes = HeaderProtectionKey::new(&AES_128, &cipher_key).unwrap();
        for (block, (body, clear)) in body[12..]
            .chunks(16)
            .zip(packet[12..].chunks(16))
            .enumerate()
        {
            let counter = (counter + block as u128).to_be_bytes();
            let keystream = aes.new_mask(&counter).unwrap();
            let expected = clear.iter().zip(keystream).map(|(a, b)| a ^ b);
            let expected: Vec<_> = expected.collect();
            assert_eq!(body[..expected.len()], expected, "number {number:x}");
        }
    }
}

#[test]
fn keys_differ_by_salt_and_suite_and_survive_as_attributes() {
    let mut seen = BTreeSet::new();
    for suite in SrtpSuite::ALL {
        for salt in 0..4 {
            let key = SrtpKey::derive(&secret(), &[salt; 16], suite).unwrap();
            let attribute = key.attribute();
            let back = SrtpKey::of_attribute(&attribute).unwrap();
            assert_eq!((back.suite(), back.parts()), (suite, key.parts()));
            assert!(seen.insert(key.parts().0.to_vec()));
        }
    }
    assert_eq!(
        *key(SrtpSuite::AesCm128HmacSha1_80).attribute(),
        "1 AES_CM_128_HMAC_SHA1_80 inline:Vprg/jpjqfAl3+1nP4ei2NkTYGvqq+kjMzxFzQDU"
    );
    let shown = format!("{:?}", key(SrtpSuite::AeadAes128Gcm));
    assert_eq!(shown, "SrtpKey { suite: AeadAes128Gcm, .. }");
}

#[test]
fn refuses_unsupported_attributes_with_a_reason() {
    let key = "inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOqvm";
    let suite = "AES_CM_128_HMAC_SHA1_80";
    let read = |value: &str| SrtpKey::of_attribute(value).map(|_| ());
    for good in [
        format!("1 {suite} {key}"),
        format!("  22  AES_CM_128_HMAC_SHA1_32  {key}|2^48 "),
        format!("1 {suite} {key}|1048576 -EXTRA=1"),
        "3 AEAD_AES_128_GCM inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOg==".into(),
        "3 AEAD_AES_128_GCM inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOg|2^31".into(),
    ] {
        assert_eq!(read(&good), Ok(()), "{good}");
    }
    for (bad, error) in [
        (String::new(), CryptoError::Form),
        (format!("{suite} {key}"), CryptoError::Form),
        (format!("1 {suite}"), CryptoError::Form),
        (
            format!("1 {suite} uri:https://example.org"),
            CryptoError::Form,
        ),
        (
            format!("1 {suite} {key}{}", " ".repeat(2_000)),
            CryptoError::Form,
        ),
        (
            format!("1 F8_128_HMAC_SHA1_80 {key}"),
            CryptoError::Suite("F8_128_HMAC_SHA1_80".into()),
        ),
        (
            format!("1 {}\u{1b}[31m {key}", "X".repeat(99)),
            CryptoError::Suite("X".repeat(40)),
        ),
        (format!("1 {suite} {key}|2^20|1:4"), CryptoError::Numbered),
        (format!("1 {suite} {key};{key}"), CryptoError::Numbered),
        (
            format!("1 {suite} {key} UNENCRYPTED_SRTCP"),
            CryptoError::Parameter("UNENCRYPTED_SRTCP".into()),
        ),
        (
            format!("1 AEAD_AES_128_GCM {key}"),
            CryptoError::Length("AEAD_AES_128_GCM", 28),
        ),
        (
            format!("1 {suite} inline:???"),
            CryptoError::Length(suite, 30),
        ),
        (format!("1 {suite} inline:"), CryptoError::Length(suite, 30)),
    ] {
        assert_eq!(read(&bad), Err(error), "{bad}");
    }
}

proptest::proptest! {
    /// Any bytes: nothing panics, and nothing is taken.
    #[test]
    fn any_bytes_are_refused(
        mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        first in 0x80_u8..0xc0, second: u8, suite in 0_usize..3,
    ) {
        let suite = SrtpSuite::ALL[suite];
        let (mut sender, mut viewer) = (side(suite), side(suite));
        let known = sealed(&mut sender, &media(SOURCE, 1));
        proptest::prop_assert!(opened(&mut viewer, &known, SECOND).is_ok());
        proptest::prop_assert!(opened(&mut viewer, &bytes, SECOND).is_err());
        if let [a, b, ..] = &mut bytes[..] {
            (*a, *b) = (first, second);
        }
        proptest::prop_assert!(opened(&mut viewer, &bytes, SECOND).is_err());
        for at in [4, 8] {
            if let Some(source) = bytes.get_mut(at..at + 4) {
                source.copy_from_slice(&SOURCE.to_be_bytes());
            }
            proptest::prop_assert!(opened(&mut viewer, &bytes, SECOND * 3).is_err());
        }
        let mut out = Vec::new();
        viewer.seal_one(&bytes, &mut out);
    }
}
