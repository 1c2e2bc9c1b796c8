use super::*;

const MS: Duration = Duration::from_millis(1);

/// Sends frames of packets at the pace over a path with a `capacity` in bytes per second, and
/// reports each frame at its end. Returns the rate after each.
fn play(control: &mut RateController, frames: u64, packets: u64, capacity: f64) -> Vec<f64> {
    play_from(control, 0, (frames, packets), capacity)
}

/// The same from the frame `first` on.
fn play_from(
    control: &mut RateController,
    first: u64,
    (frames, packets): (u64, u64),
    capacity: f64,
) -> Vec<f64> {
    let (mut free, mut number) = (0.0_f64, first * 1_000);
    let mut rates = Vec::new();
    for frame in first..first + frames {
        let start = MS * 33 * frame as u32;
        let mut arrivals = Vec::new();
        let mut end = start;
        for packet in 0..packets {
            let pace = control.pace(start).unwrap_or(1e6);
            let now = start + Duration::from_secs_f64(1_400.0 * packet as f64 / pace);
            control.handle_sent(Channel::Media, number, 1_400, frame, now);
            free = free.max(now.as_secs_f64()) + 1_400.0 / capacity;
            let arrival = Duration::from_secs_f64(free + 0.010);
            arrivals.push(Arrival {
                channel: Channel::Media,
                number,
                at: micros(arrival),
            });
            number += 1;
            end = arrival;
        }
        control.handle_arrivals(&arrivals, end + MS * 10);
        rates.extend(control.rate(end + MS * 10));
    }
    rates
}

#[test]
fn the_first_trains_reveal_the_capacity_of_a_path() {
    let mut control = RateController::new(None, 1e9, Duration::ZERO);
    assert_eq!(control.rate(Duration::ZERO), None);
    let rates = play(&mut control, 1, 20, 500_000.0);
    assert!((450_000.0..=550_000.0).contains(&rates[0]), "{rates:?}");
}

#[test]
fn a_stream_that_sends_little_is_not_limited_to_that_rate() {
    let mut control = RateController::new(Some(100_000.0), 2e6, Duration::ZERO);
    // 42,000 bytes per second on a path that carries a gigabit.
    let rates = play(&mut control, 200, 1, 125e6);
    let rate = *rates.last().unwrap();
    assert!((80_000.0..=90_000.0 * STEP_UP).contains(&rate), "{rate}");
    // A train is as long as the rate says, of a source that comes to need more.
    let mut steps = 0;
    while control.rate(Duration::ZERO).unwrap() < 2e6 {
        steps += 1;
        assert!(steps < 12, "{:?}", control.rate(Duration::ZERO));
        let packets = control.rate(Duration::ZERO).unwrap() / 30.0 / 1_400.0;
        play_from(&mut control, 200 * steps, (2, packets as u64), 125e6);
    }
}

#[test]
fn silence_halves_the_rate_repeatedly_down_to_a_minimum() {
    let mut control = RateController::new(Some(1e6), 1e6, Duration::ZERO);
    play(&mut control, 20, 10, 125e6);
    control.handle_sent(Channel::Media, 200, 1_400, 20, MS * 700);
    let rate = |seconds| control.rate(Duration::from_secs(seconds)).unwrap();
    assert!(rate(1) >= 500_000.0 && rate(2) < 500_000.0 && rate(3) < 130_000.0);
    assert_eq!(rate(1_000), LEAST);
}

#[test]
fn a_stream_that_pauses_is_not_silent() {
    let mut control = RateController::new(Some(1e6), 1e6, Duration::ZERO);
    play(&mut control, 20, 10, 125e6);
    assert_eq!(control.rate(Duration::from_secs(1_000)), Some(1e6));
}

#[test]
fn a_path_that_was_never_seen_to_queue_stays_open_whatever_comes() {
    let mut control = RateController::new(None, 1e9, Duration::ZERO);
    assert_eq!(play(&mut control, 100, 20, 125e6), [0.0; 0]);
    assert!(control.pace(Duration::ZERO).unwrap() > 50e6, "{control:?}");
    // Frames thirty times as long: a fifth of what the path carries.
    assert_eq!(play_from(&mut control, 100, (10, 600), 125e6), [0.0; 0]);
    assert!(control.is_open());
}

#[test]
fn a_path_that_carries_less_than_may_be_needed_is_no_longer_open() {
    let mut control = RateController::new(None, 1e9, Duration::ZERO);
    // Trains of three packets show little, but a queue that stands does.
    let rates = play(&mut control, 30, 3, 100_000.0);
    assert!((20..28).contains(&rates.len()), "{rates:?}");
    assert!((80_000.0..120_000.0).contains(&rates[0]), "{rates:?}");
}

/// Reports trains of thirty packets of an open path, which arrive at these times after
/// the frame began, in milliseconds, by frame and packet.
fn arriving(mut at: impl FnMut(u64, u64) -> f64) -> RateController {
    let mut control = RateController::new(None, 1e9, Duration::ZERO);
    for frame in 0..100 {
        let start = MS * 33 * frame as u32;
        let mut arrivals = Vec::new();
        for packet in 0..30 {
            let (number, channel) = (frame * 30 + packet, Channel::Media);
            let now = start + MS / 10 * packet as u32;
            control.handle_sent(channel, number, 1_400, frame, now);
            let at = micros(start + Duration::from_secs_f64(at(frame, packet) / 1e3));
            arrivals.push(Arrival {
                channel,
                number,
                at,
            });
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        control.handle_arrivals(&arrivals, start + MS * 32);
    }
    control
}

#[test]
fn neither_a_program_that_pauses_nor_jitter_is_a_limit() {
    let left = |packet: u64| packet as f64 / 10.0;
    let mut rng = fastrand::Rng::with_seed(1);
    let paused = arriving(|frame, packet| match frame % 4 {
        3 if packet >= 15 => 25.0 + left(packet) / 20.0,
        _ => 5.0 + left(packet),
    });
    assert!(paused.is_open(), "{paused:?}");
    let jitter = arriving(|_, packet| 5.0 + left(packet) + 20.0 * rng.f64());
    assert!(jitter.is_open(), "{jitter:?}");
    // The same packets one behind the other, as a link carries them.
    let queued = arriving(|_, packet| 5.0 + 0.9 * packet as f64);
    assert!(!queued.is_open(), "{queued:?}");
}

#[test]
fn silence_limits_an_open_path_too() {
    let mut control = RateController::new(None, 1e6, Duration::ZERO);
    play(&mut control, 20, 10, 125e6);
    control.handle_sent(Channel::Media, 200, 1_400, 20, MS * 700);
    let rate = |seconds| control.rate(Duration::from_secs(seconds));
    assert_eq!(rate(2), None);
    assert!(rate(4).unwrap() < 300_000.0);
    assert_eq!(rate(1_000), Some(LEAST));
}

#[test]
fn reports_about_unsent_packets_have_no_effect() {
    let mut control = RateController::new(Some(1e6), 1e6, Duration::ZERO);
    let channels = [Channel::Media, Channel::Repair, Channel::Control];
    let arrivals = channels.into_iter().flat_map(|channel| {
        let ends = [0, 1, u64::MAX / 2, u64::MAX];
        ends.map(|number| Arrival {
            channel,
            number,
            at: number,
        })
    });
    let arrivals: Vec<_> = arrivals.collect();
    control.handle_arrivals(&arrivals, MS);
    assert!(control.rtt().is_none());
    // Nor do impossible times cause a panic.
    for number in 0..1_000 {
        control.handle_sent(Channel::Media, number, 1_400, number / 3, MS);
        let at = if number % 2 == 0 { u64::MAX } else { 0 };
        let arrival = Arrival {
            channel: Channel::Media,
            number,
            at,
        };
        control.handle_arrivals(&[arrival], MS * number as u32);
        let rate = control.rate(MS * number as u32).unwrap();
        assert!((LEAST..=1e6).contains(&rate), "{rate}");
    }
}
