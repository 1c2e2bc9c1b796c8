use bytes::Bytes;

use super::*;
use crate::sender::Config;
use crate::sender::packet::PacketContent;
use crate::sender::plan::Plan;

const MS: Duration = Duration::from_millis(1);

fn packet(frame: u64, len: usize, begins: bool, ends: bool) -> QueuedPacket {
    let content = PacketContent::Datagram {
        bytes: Bytes::from(vec![0; len]),
        frame: FrameNumber(frame),
        begins,
        ends,
    };
    QueuedPacket::new(content, To::All)
}

fn in_bursts(time: Duration) -> FrameSpread {
    FrameSpread {
        time,
        in_bursts: true,
    }
}

/// A frame of this many packets of 1,000 bytes and a shorter one.
fn frame(number: u64, count: usize) -> Vec<QueuedPacket> {
    let packets = (0..count).map(|at| {
        let last = at + 1 == count;
        packet(number, if last { 400 } else { 1_000 }, at == 0, last)
    });
    packets.collect()
}

fn destinations(count: u16, bitrate: Option<u64>) -> Vec<DestinationState> {
    let config = Config {
        bitrate,
        ..Config::default()
    };
    let plan = Plan::new(&config, Vec::new());
    (0..count)
        .map(|index| DestinationState::new(index, &plan, None, Duration::ZERO))
        .collect()
}

fn room(destinations: &[DestinationState]) -> Room<'_> {
    Room {
        destinations,
        is_shared: false,
    }
}

/// What is sent now: destinations, and the number of packets and bytes.
fn poll(
    pacer: &mut Pacer,
    destinations: &mut [DestinationState],
    now: Duration,
) -> Vec<(usize, usize, usize)> {
    let mut left = Vec::new();
    let mut out = Vec::new();
    for to in &mut *destinations {
        to.forget_sent(now);
    }
    loop {
        let Some((packets, to)) = pacer.poll(now, room(destinations)) else {
            return left;
        };
        let bytes: usize = packets.iter().map(QueuedPacket::len).sum();
        left.push((to, packets.len(), bytes));
        destinations[to].copy(&vec![0; bytes], now, &mut out);
    }
}

fn due(pacer: &Pacer, destinations: &[DestinationState]) -> Option<Duration> {
    pacer.due(room(destinations))
}

#[test]
fn a_frame_is_spread_evenly_in_bursts_and_no_later_than_it_may() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(1, None));
    let (start, spread) = (100 * MS, 10 * MS);
    pacer.push_frame(frame(0, 100), start, in_bursts(spread));
    let mut sent = 0;
    let mut last = start;
    while let Some(at) = due(&pacer, &to) {
        assert!(at >= last && (at - start).as_micros() % STEP.as_micros() == 0);
        last = at;
        let left = poll(&mut pacer, &mut to, at);
        sent += left.iter().map(|(_, packets, _)| packets).sum::<usize>();
        // Its share by now and a burst, which may be up to a step early.
        let share = 100.0 * (at - start).as_secs_f64() / spread.as_secs_f64();
        let ahead = sent as f64 - share;
        assert!(
            (15.9..=20.1).contains(&ahead) || sent == 100,
            "{sent} at {at:?}"
        );
        assert!(sent % BURST_DATAGRAMS == 0 || sent == 100, "{sent}");
    }
    assert_eq!(sent, 100);
    assert!(last - start < spread && last - start >= 9 * MS, "{last:?}");
    assert!(pacer.is_empty());
}

#[test]
fn where_viewers_report_a_frame_is_spread_in_steps() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(1, None));
    let spread = FrameSpread {
        time: 10 * MS,
        in_bursts: false,
    };
    pacer.push_frame(frame(0, 100), Duration::ZERO, spread);
    let mut sent = 0;
    while let Some(at) = due(&pacer, &to) {
        let left = poll(&mut pacer, &mut to, at);
        sent += left.iter().map(|(_, packets, _)| packets).sum::<usize>();
        // Its share by now, within a step.
        let share = 10.0 * at.as_secs_f64() * 1e3;
        assert!((sent as f64 - share).abs() <= 6.0, "{sent} at {at:?}");
    }
    assert_eq!(sent, 100);
}

#[test]
fn a_new_frame_makes_the_rest_of_the_one_before_leave_at_once() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(1, None));
    pacer.push_frame(frame(0, 40), Duration::ZERO, in_bursts(10 * MS));
    poll(&mut pacer, &mut to, 2 * MS);
    pacer.push_frame(frame(1, 20), 3 * MS, in_bursts(10 * MS));
    let left = poll(&mut pacer, &mut to, 3 * MS);
    // Two batches, since a frame's last packet is shorter.
    assert_eq!(left, [(0, 24, 23_400), (0, 16, 16_000)]);
    assert_eq!(due(&pacer, &to), Some(11 * MS));
}

#[test]
fn long_datagrams_leave_in_shorter_bursts() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(1, None));
    let large = (0..5).map(|at| packet(1, 60_000, at == 0, at == 4));
    pacer.push_frame(large.collect(), Duration::ZERO, in_bursts(10 * MS));
    let left = poll(&mut pacer, &mut to, Duration::ZERO);
    assert_eq!(left, [(0, 1, 60_000), (0, 1, 60_000)]);
    assert_eq!(due(&pacer, &to), Some(4 * MS));
}

#[test]
fn a_batch_has_datagrams_of_one_length_and_no_more_than_a_call_takes() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(2, None));
    pacer.push_frame(frame(0, 130), Duration::ZERO, in_bursts(Duration::ZERO));
    let batch = |to, packets| (to, packets, 1_000 * packets);
    assert_eq!(
        poll(&mut pacer, &mut to, Duration::ZERO),
        [
            batch(0, 64),
            batch(1, 64),
            batch(0, 64),
            batch(1, 64),
            (0, 2, 1_400),
            (1, 2, 1_400)
        ]
    );
    let large = (0..3).map(|at| packet(1, 30_000, at == 0, at == 2));
    pacer.push_frame(large.collect(), MS, in_bursts(Duration::ZERO));
    let left = poll(&mut pacer, &mut to[..1], MS);
    assert_eq!(left, [(0, 2, 60_000), (0, 1, 30_000)]);
}

#[test]
fn closed_destinations_are_skipped() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(3, None));
    to[1].close();
    pacer.push_frame(frame(0, 2), Duration::ZERO, in_bursts(Duration::ZERO));
    let left = poll(&mut pacer, &mut to, Duration::ZERO);
    assert_eq!(left, [(0, 2, 1_400), (2, 2, 1_400)]);
    to.iter_mut().for_each(DestinationState::close);
    pacer.push_frame(frame(1, 2), MS, in_bursts(Duration::ZERO));
    assert_eq!(poll(&mut pacer, &mut to, MS), []);
    assert!(pacer.is_empty() && !pacer.is_full());
}

#[test]
fn datagrams_above_the_rate_wait_until_there_is_room() {
    // 10,000 bytes per second in addition to those reserved for control packets.
    let bitrate = 8 * (10_000 + crate::sender::CONTROL_RESERVE);
    let (mut pacer, mut to) = (Pacer::default(), destinations(1, Some(bitrate)));
    pacer.push_frame(frame(0, 16), Duration::ZERO, in_bursts(Duration::ZERO));
    let left = poll(&mut pacer, &mut to, Duration::ZERO);
    assert_eq!(left, [(0, 10, 10_000)]);
    assert!(pacer.is_held_back(Duration::ZERO, room(&to)));
    let again = due(&pacer, &to).unwrap();
    assert!((1_000 * MS..1_002 * MS).contains(&again), "{again:?}");
    to[0].forget_sent(again);
    assert!(!pacer.is_held_back(again, room(&to)));
    assert_eq!(poll(&mut pacer, &mut to, again), [(0, 6, 5_400)]);
}

#[test]
fn no_more_frames_and_bytes_wait_than_may() {
    let mut pacer = Pacer::default();
    for number in 0..MAX_WAITING_FRAMES as u64 {
        assert!(!pacer.is_full());
        pacer.push_frame(frame(number, 2), Duration::ZERO, in_bursts(Duration::ZERO));
    }
    assert!(pacer.is_full());
    pacer.clear();
    let huge = (0..4).map(|_| packet(0, MAX_FRAME_BYTES, false, false));
    pacer.push_frame(huge.collect(), Duration::ZERO, in_bursts(Duration::ZERO));
    assert!(pacer.is_full(), "by bytes");
    let mut to = destinations(1, None);
    assert_eq!(poll(&mut pacer, &mut to, Duration::ZERO).len(), 4);
    assert!(!pacer.is_full());
}

#[test]
fn a_lane_has_its_own_pace_and_delays_no_other() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(2, None));
    let (rate, burst) = (100_000.0, 5_000.0);
    let own = |count| {
        let packets = frame(0, count).into_iter();
        packets.map(|packet| packet.for_one(0)).collect::<Vec<_>>()
    };
    pacer.push_paced(
        own(10),
        0,
        Pace {
            rate,
            burst,
            carried: f64::INFINITY,
            queue: 0.0,
        },
        Duration::ZERO,
    );
    pacer.push_frame(frame(0, 10), Duration::ZERO, in_bursts(Duration::ZERO));
    let left = poll(&mut pacer, &mut to, Duration::ZERO);
    assert_eq!(left, [(0, 10, 9_400), (1, 10, 9_400), (0, 5, 5_000)]);
    assert_eq!(due(&pacer, &to), Some(50 * MS));
    let room = room(&to);
    assert!(pacer.is_behind(0, 50 * MS, room) && !pacer.is_behind(1, 50 * MS, room));
    assert!(!pacer.is_behind(0, 80 * MS, room));
    assert_eq!(poll(&mut pacer, &mut to, 50 * MS), [(0, 5, 4_400)]);
    // A lane that is not polled fills up, and is dropped with its viewer.
    for _ in 0..MAX_WAITING_FRAMES {
        assert!(!pacer.is_lane_full(0));
        pacer.push_paced(
            own(2),
            0,
            Pace {
                rate,
                burst,
                carried: f64::INFINITY,
                queue: 0.0,
            },
            90 * MS,
        );
    }
    assert!(pacer.is_lane_full(0) && !pacer.is_lane_full(1));
    pacer.forget(0);
    assert!(pacer.is_empty());
}

#[test]
fn answers_go_first_a_little_spread_and_do_not_hold_up_others() {
    let (mut pacer, mut to) = (Pacer::default(), destinations(2, None));
    let answer = |len| {
        let content = PacketContent::Datagram {
            bytes: Bytes::from(vec![0; len]),
            frame: FrameNumber(0),
            begins: false,
            ends: false,
        };
        QueuedPacket::new(content, To::One(1))
    };
    pacer.push_frame(frame(1, 2), Duration::ZERO, in_bursts(Duration::ZERO));
    pacer.push_answer(
        vec![answer(700), answer(700), answer(700)],
        1,
        Duration::ZERO,
    );
    assert_eq!(pacer.answers_waiting(1), 2_100);
    let left = poll(&mut pacer, &mut to, Duration::ZERO);
    assert_eq!(left, [(1, 1, 700), (0, 2, 1_400), (1, 2, 1_400)]);
    let gap = retransmit_gap(3);
    assert_eq!(due(&pacer, &to), Some(gap));
    // A second answer is interleaved with the rest of the first.
    pacer.push_answer(vec![answer(300)], 1, gap / 2);
    assert_eq!(poll(&mut pacer, &mut to, gap / 2), [(1, 1, 300)]);
    pacer.forget(1);
    assert_eq!(due(&pacer, &to), None);
    for _ in 0..2 {
        pacer.push_answer(vec![answer(1); MAX_ANSWERS], 1, MS);
    }
    assert_eq!(pacer.answers_waiting(1), MAX_ANSWERS as u64);
}
