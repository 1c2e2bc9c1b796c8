//! The size of datagrams follows what the path carries.

use std::time::Duration;

use bytes::Bytes;
use framegram_common::sender::BASE_DATAGRAM;
use framegram_lab::impair::Impairment;
use framegram_tests::pair::{self, Results, START, Scenario};

const MS: Duration = Duration::from_millis(1);

/// Frames of 40,000 bytes at 30 a second, over a path with an RTT of 20 ms to a viewer that follows
/// them.
fn run(ceiling: usize, seconds: usize, change: impl FnOnce(&mut Scenario)) -> Results {
    let link = Impairment {
        delay: 10 * MS,
        ..Impairment::default()
    };
    let mut scenario = Scenario {
        forward: link.clone(),
        backward: link,
        ceiling: Some(ceiling),
        ..Scenario::default()
    };
    change(&mut scenario);
    pair::run(&scenario, &vec![Bytes::from(vec![7; 40_000]); 30 * seconds])
}

#[test]
fn a_path_carries_datagrams_of_its_interfaces_mtu() {
    for ceiling in [1_472, 8_972, 65_507] {
        let results = run(ceiling, 3, |_| {});
        let [found] = results.sender.path_mtu[..] else {
            panic!("{:?}", results.sender.path_mtu);
        };
        assert_eq!((found.datagram, found.too_large), (ceiling, None));
        // One probe was enough.
        assert_eq!((found.probes, found.black_holes), (1, 0));
        let stream = &results.viewer.stream;
        assert_eq!(stream.longest_datagram, Some(ceiling));
        assert_eq!(results.viewer.frames.intact, Some(90));
        // At 40,000 bytes each, few frames are sent in datagrams of the first size.
        let packets = results.viewer.packets.sent.expect("the bye came");
        let most = 90 * (40_000 / ceiling as u64 + 2) + 200;
        assert!(packets < most, "{packets} of {ceiling} bytes");
    }
}

#[test]
fn a_path_mtu_below_the_interfaces_is_found_without_loss() {
    for carries in [1_300, 1_452, 4_000] {
        let results = run(8_972, 30, |scenario| {
            scenario.narrows = Some((Duration::ZERO, carries));
        });
        let [found] = results.sender.path_mtu[..] else {
            panic!("{:?}", results.sender.path_mtu);
        };
        let size = found.datagram;
        assert!(
            size <= carries && size + 16 >= carries,
            "{size} of {carries}"
        );
        assert!(found.too_large.is_some_and(|size| size > carries));
        assert_eq!(results.viewer.frames.intact, Some(900));
        let pattern = results.viewer.loss_pattern.expect("packets came");
        assert_eq!(pattern.lost, 0, "only probes were lost");
    }
}

#[test]
fn the_picture_is_back_within_a_second_where_a_path_silently_carries_less() {
    for ceiling in [1_472, 8_972, 65_507] {
        for after in [3_000, 3_070, 3_140] {
            let narrows = after * MS;
            let results = run(ceiling, 20, |scenario| {
                scenario.narrows = Some((narrows, 1_300));
            });
            let times = results.shown.iter().map(|frame| frame.completed - START);
            let after = |time: &Duration| *time > narrows + 50 * MS;
            let back = times.clone().find(after).expect("it goes on");
            assert!(back < narrows + 1_000 * MS, "{ceiling}: {back:?}");
            let [found] = results.sender.path_mtu[..] else {
                panic!("{:?}", results.sender.path_mtu);
            };
            assert!((1_284..=1_300).contains(&found.datagram), "{found:?}");
            assert_eq!(found.black_holes, 1);
            // All frames that follow arrive.
            let shown = times.filter(|time| *time >= back).count();
            let sent = ((Duration::from_secs(20) - back).as_secs_f64() * 30.0) as usize;
            assert!(shown + 1 >= sent, "{shown} of {sent}");
        }
    }
}

#[test]
fn loss_by_chance_does_not_lower_the_path_mtu() {
    for seed in 0..10 {
        let results = run(1_472, 20, |scenario| {
            scenario.forward.loss = 0.2;
            scenario.forward.seed = seed;
        });
        let [found] = results.sender.path_mtu[..] else {
            panic!("{:?}", results.sender.path_mtu);
        };
        assert_eq!(found.black_holes, 0, "seed {seed}");
        assert!(found.datagram > BASE_DATAGRAM, "seed {seed}: {found:?}");
    }
}
