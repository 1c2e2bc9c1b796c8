//! Faults of networks, and attacks by strangers.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_frame_has_one_outcome_whatever_the_network_does(
        seed: u64, loss in 0.0..0.3_f64, twice in 0.0..0.2_f64, reach in 0_usize..12,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut receiver = strict();
        let mut arrivals: Vec<_> = packets(5, 65_520, 12).into_iter().enumerate().collect();
        arrivals.sort_by_cached_key(|(index, _)| index + random.usize(..=reach));
        let mut begun = std::collections::BTreeSet::new();
        let mut shown = 0;
        for (_, (frame, datagram)) in arrivals {
            let times = if random.f64() < loss { 0 } else { 1 + u32::from(random.f64() < twice) };
            for _ in 0..times {
                begun.insert(frame);
                receiver.handle_datagram(address(9), &datagram, at(frame));
                shown += show(&mut receiver, at(frame));
            }
        }
        receiver.handle_timeout(at(100));
        shown += show(&mut receiver, at(100));
        let Statistics {
            frames,
            outcomes,
            packets,
            ..
        } = receiver.statistics();
        if begun.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(frames.intact, Some(shown));
        let ended = shown + frames.incomplete.unwrap() + outcomes[Outcome::Late].unwrap();
        prop_assert!(ended <= begun.len() as u64);
        // The viewer may have joined in the middle of one of these, and reordering may show a frame
        // before anything of an older one arrived.
        prop_assert!(ended + 2 >= begun.len() as u64);
        prop_assert!(packets.lost.unwrap() < 200);
    }

    #[test]
    fn hostile_datagrams_never_panic(
        datagrams in prop::collection::vec(
            (0_u16..3, 0_u8..5, prop::collection::vec(any::<u8>(), 0..80)), 1..60,
        ),
    ) {
        let mut receiver = receiver();
        let mut out = Vec::new();
        for (index, (port, kind, mut bytes)) in datagrams.into_iter().enumerate() {
            let head: &[u8] = match kind {
                0 => &[0x80, 26],
                1 => &[0x80, 154, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 65, 80, 9, 9],
                2 => &[0x81, 200, 0, 6],
                3 => &[0xff, 0xd8, 0xff, 0xda, 0, 2],
                _ => b"F\x01",
            };
            bytes.splice(..0, head.iter().copied());
            let now = Duration::from_millis(index as u64 * 7);
            receiver.handle_datagram(address(port), &bytes, now);
            while let Some(frame) = receiver.poll_frame() {
                receiver.handle_outcome(frame.id, SinkOutcome::Undecodable);
            }
            while receiver.poll_event().is_some() {}
            receiver.poll_transmit(now, &mut out);
            let _ = (receiver.poll_timeout(Duration::ZERO), receiver.statistics());
        }
    }
}

#[test]
fn malformed_rtcp_is_counted() {
    let mut receiver = receiver();
    let mut random = fastrand::Rng::with_seed(5);
    for kind in 200..=206 {
        for _ in 0..20 {
            // The length is right, and nothing else.
            let words = random.u8(1..20);
            let mut datagram = vec![0x80 | random.u8(20..32), kind, 0, words - 1];
            datagram.resize(4 * usize::from(words), 0xFF);
            receiver.handle_datagram(address(1), &datagram, at(0));
        }
    }
    let malformed = receiver.statistics().packets.malformed;
    assert!(malformed >= Some(60), "{malformed:?}");
}
