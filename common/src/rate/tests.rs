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
