//! What viewers request, when, and what is sent in answer.

use super::*;

/// A sender and a viewer, and no network between them except for what `lost` takes. Returns what
/// the viewer sent, and when it got which frames.
fn connect(
    config: Config,
    viewing: receiver::Config,
    frames: u32,
    lost: impl Fn(&Packet<'_>) -> bool,
) -> (Vec<Sent>, Vec<(u64, Duration)>) {
    let mut transmitter = transmitter(config);
    let mut receiver = Receiver::new(viewing, VIEWER, (1, 2), Duration::ZERO);
    let from = SocketAddr::from(([192, 0, 2, 1], 5_005));
    let (mut said, mut shown, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for tick in 0..frames * 33 + 200 {
        let now = MILLISECOND * tick;
        if tick % 33 == 0 && tick / 33 < frames {
            transmitter.handle_frame(frame(3), now, None, now).unwrap();
        }
        // Twice, so that answers arrive within the millisecond.
        for _ in 0..2 {
            while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
                for datagram in out.chunks(transmit.segment) {
                    if !lost(&Packet::decode(datagram).unwrap().1) {
                        receiver.handle_datagram(from, datagram, now);
                    }
                }
            }
            receiver.handle_timeout(now);
            loop {
                match receiver.poll_output(now) {
                    Output::Frame(frame) => {
                        shown.push((frame.id.number.0, now));
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    }
                    Output::Transmit(transmit) => {
                        transmitter.handle_datagram(0, &transmit.datagram, now);
                        said.push((now, transmit.datagram));
                    }
                    Output::Event(_) | Output::Record(_) => {}
                    Output::Timeout(_) => break,
                }
            }
        }
    }
    (said, shown)
}

/// The NACKs, and when they were sent.
fn requests(said: &[Sent]) -> Vec<(Duration, Packet<'_>)> {
    let all = said.iter().map(|sent| (sent.0, packet(sent)));
    all.filter(|(_, packet)| matches!(packet, Packet::Nack(_)))
        .collect()
}

/// Loses every chunk of frame 20 in its first transmission, and all parity.
fn loses_frame_20(packet: &Packet<'_>) -> bool {
    is_parity(packet) || matches!(packet, Packet::Chunk(chunk) if chunk.frame.bits() == 20)
}

#[test]
fn a_frame_of_which_nothing_arrives_is_requested_before_the_next_frame() {
    let (said, shown) = connect(config(), receiver::Config::default(), 40, loses_frame_20);
    let due = INTERVAL * 20;
    let asked = requests(&said);
    let first = asked.first().expect("it is asked for");
    assert!(
        (due..due + INTERVAL / 2).contains(&first.0),
        "{:?}",
        first.0
    );
    let (_, at) = shown.iter().find(|(number, _)| *number == 20).unwrap();
    assert!(*at < due + INTERVAL, "{at:?}");
    assert_eq!(shown.len(), 40);
}

#[test]
fn without_retransmission_there_are_no_nacks_and_no_answers() {
    let viewing = receiver::Config {
        nack: false,
        ..receiver::Config::default()
    };
    let (said, shown) = connect(config(), viewing, 40, loses_frame_20);
    assert_eq!((requests(&said).len(), shown.len()), (0, 39));
    let sending = Config {
        retransmit: false,
        ..config()
    };
    let (said, shown) = connect(sending, receiver::Config::default(), 40, loses_frame_20);
    // The sender's report that it keeps nothing has arrived before frame 20.
    assert_eq!((requests(&said).len(), shown.len()), (0, 39));
}

/// A hundred frames over this link in both directions. Returns the frames shown, and the packets of
/// the forward link that arrived out of order and that were retransmitted.
fn over(link: &Impairment, pace: bool) -> (usize, u64, usize) {
    let [forward, backward] = [1, 2].map(|seed| Impairment {
        seed,
        ..link.clone()
    });
    let mut scenario = Scenario {
        forward,
        backward,
        ..Scenario::default()
    };
    scenario.transmitter.pace = pace;
    let frames: Vec<_> = (0..100).map(|_| frame(40)).collect();
    let results = run(&scenario, &frames);
    let sent_again = |((channel, _), chunk): &(&(Channel, u64), &Option<_>)| {
        *channel == Channel::Repair && chunk.is_some()
    };
    let again = results.truths[0].sent.iter().filter(sent_again).count();
    let reordered = results.viewer.packets.reordered.unwrap();
    (results.shown.len(), reordered, again)
}

#[test]
fn reordered_packets_are_not_requested() {
    let link = Impairment {
        delay: 10 * MILLISECOND,
        reorder: 0.05,
        ..Impairment::default()
    };
    let (shown, reordered, again) = over(&link, true);
    assert_eq!(shown, 100);
    assert!(reordered > 100, "{reordered}");
    assert!(again as u64 * 20 < reordered, "{again} of {reordered}");
}

#[test]
fn reordered_packets_of_one_batch_are_not_requested() {
    let link = Impairment {
        delay: 20 * MILLISECOND,
        jitter: 4 * MILLISECOND,
        ..Impairment::default()
    };
    let (shown, reordered, again) = over(&link, false);
    assert_eq!(shown, 100);
    assert!(reordered > 2_000, "{reordered}");
    assert!(again as u64 * 8 < reordered, "{again} of {reordered}");
}

#[test]
fn the_way_through_the_network_is_no_part_of_the_budget() {
    let link = Impairment {
        delay: 700 * MILLISECOND,
        loss: 0.01,
        ..Impairment::default()
    };
    let (shown, ..) = over(&link, true);
    assert!(shown >= 99, "{shown}");
}

/// When a NACK was sent, and the ranges of chunks that it requests.
type Asked = (Duration, Vec<(u16, u16)>);

/// Forty chunks a frame from a sender to a viewer ten milliseconds away. `lost` takes packets on
/// the way there, `held` holds packets on the way back. Returns the NACKs for frame 30, each once,
/// and the frames that were shown.
fn ten_milliseconds_apart(
    mut lost: impl FnMut(&Packet<'_>) -> bool,
    held: impl Fn(&Packet<'_>) -> Duration,
) -> (Vec<Asked>, Vec<u64>) {
    let mut transmitter = transmitter(Config {
        fec: Fec::Off,
        ..config()
    });
    let mut receiver = Receiver::new(receiver::Config::default(), VIEWER, (1, 2), Duration::ZERO);
    let from = SocketAddr::from(([192, 0, 2, 1], 5_005));
    let (mut there, mut back) = (Vec::<Sent>::new(), Vec::<Sent>::new());
    let (mut asked, mut shown, mut out) = (BTreeMap::new(), Vec::new(), Vec::new());
    let (step, path, frames) = (MILLISECOND / 10, MILLISECOND * 10, 32);
    for tick in 0..frames * 330 + 2_000 {
        let now = step * tick;
        if tick % 330 == 0 && tick / 330 < frames {
            transmitter.handle_frame(frame(40), now, None, now).unwrap();
        }
        for (_, datagram) in back.extract_if(.., |(due, _)| *due <= now) {
            transmitter.handle_datagram(0, &datagram, now);
        }
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
            for datagram in out.chunks(transmit.segment) {
                if !lost(&Packet::decode(datagram).unwrap().1) {
                    there.push((now + path, datagram.to_vec()));
                }
            }
        }
        for (_, datagram) in there.extract_if(.., |(due, _)| *due <= now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        receiver.handle_timeout(now);
        loop {
            let datagram = match receiver.poll_output(now) {
                Output::Frame(frame) => {
                    shown.push(frame.id.number.0);
                    continue;
                }
                Output::Transmit(transmit) => transmit.datagram,
                Output::Event(_) | Output::Record(_) => continue,
                Output::Timeout(_) => break,
            };
            let packet = Packet::decode(&datagram).unwrap().1;
            let held = held(&packet);
            if let Packet::Nack(request) = packet {
                let want = request
                    .frames
                    .into_iter()
                    .find(|want| want.frame.bits() == 30);
                if let Some(want) = want {
                    asked.entry(request.number).or_insert((now, want.gaps));
                }
            }
            back.push((now + path + held, datagram));
        }
    }
    (asked.into_values().collect(), shown)
}

/// Loses chunks 5 to 14 of frame 30, and the first retransmission of chunk 7.
fn loses_some_and_one_again() -> impl FnMut(&Packet<'_>) -> bool {
    let mut again = 0;
    move |packet| match packet {
        Packet::Chunk(chunk) => chunk.frame.bits() == 30 && (5..15).contains(&chunk.index),
        Packet::Retransmission(chunk) if (chunk.frame.bits(), chunk.index) == (30, 7) => {
            again += 1;
            again == 1
        }
        _ => false,
    }
}

#[test]
fn chunks_missing_from_an_answer_are_requested_once_later_ones_arrive() {
    let (asked, shown) = ten_milliseconds_apart(loses_some_and_one_again(), |_| Duration::ZERO);
    let [(first, all), (second, rest)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((&all[..], &rest[..]), (&[(5, 10)][..], &[(7, 1)][..]));
    // One RTT, and the position of the third chunk behind it.
    let after = *second - *first;
    let soonest = MILLISECOND * 20 + MILLISECOND * 18 / 10;
    assert!(
        (soonest..soonest + MILLISECOND / 2).contains(&after),
        "{after:?}"
    );
    assert_eq!(shown.len(), 32);
}

#[test]
fn a_late_retransmission_does_not_delay_the_next_request() {
    let mut first = None;
    let first = std::cell::RefCell::new(&mut first);
    let held = |packet: &Packet<'_>| match packet {
        Packet::Nack(request) if request.frames.iter().any(|want| want.frame.bits() == 30) => {
            // All copies of the first NACK.
            let mut first = first.borrow_mut();
            let held = first.get_or_insert(request.number) == &request.number;
            MILLISECOND * if held { 8 } else { 0 }
        }
        _ => Duration::ZERO,
    };
    let (asked, shown) = ten_milliseconds_apart(loses_some_and_one_again(), held);
    assert!(shown.contains(&30), "{asked:?}");
}

#[test]
fn a_retransmission_does_not_wait_for_earlier_ones() {
    let mut transmitter = transmitter(Config {
        fec: Fec::Off,
        ..config()
    });
    send(&mut transmitter, 1, 40);
    let mut left = BTreeMap::new();
    for tick in 0..20_u16 {
        let now = INTERVAL + MILLISECOND * tick.into();
        if tick < 3 {
            let want = FrameNack {
                frame: FrameSeq::new(0),
                extra: 0,
                gaps: vec![(tick * 10, 10)],
            };
            let request = Packet::Nack(Nack {
                viewer: VIEWER,
                number: tick.into(),
                frames: vec![want],
            });
            transmitter.handle_datagram(0, &said(tick.into(), &request), now);
        }
        for sent in drain(&mut transmitter, now, now + MILLISECOND) {
            if let Packet::Retransmission(chunk) = packet(&sent) {
                left.insert(chunk.index, sent.0 - INTERVAL);
            }
        }
    }
    assert_eq!(left.len(), 30);
    for (index, at) in left {
        let asked = MILLISECOND * u32::from(index / 10);
        assert!(at <= asked + MILLISECOND * 4, "{index}: {at:?}");
    }
}
