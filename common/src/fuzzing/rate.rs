//! The rate controller.

use std::time::Duration;

use super::bounds::{MAX_OPERATIONS, START};
use super::input::Input;
use crate::rate::{Arrival, RateController};
use crate::wire::native::Channel;

/// Upper bound on bytes per second.
const MOST: f64 = 1.25e9;

/// Whatever is sent and reported, the rate stays a finite number within its bounds.
pub(super) fn rate(bytes: &[u8]) {
    let mut input = Input(bytes);
    let first = (input.u8() & 1 == 0).then(|| input.number() as f64);
    let mut control = RateController::new(first, MOST, START);
    let (mut now, mut sent, mut next) = (START, 0_u64, [0_u64; 3]);
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now += Duration::from_micros(input.u8().into()),
            2..=4 => {
                let channel = channel(&mut input);
                let number = &mut next[channel as usize];
                if input.u8() == 255 {
                    *number = input.number() >> 1;
                }
                for _ in 0..=input.u8() % 32 {
                    control.handle_sent(channel, *number, input.u16().into(), sent / 8, now);
                    (*number, sent) = (*number + 1, sent + 1);
                }
            }
            _ => {
                let micros = now.as_micros() as u64;
                let arrivals = (0..=input.u8() % 32).map(|_| {
                    let channel = channel(&mut input);
                    let back = u64::from(input.u8());
                    let number = match input.u8() {
                        255 => input.number(),
                        _ => next[channel as usize].saturating_sub(back),
                    };
                    let at = match input.u8() {
                        255 => input.number(),
                        late => micros + u64::from(late) * 100,
                    };
                    Arrival {
                        channel,
                        number,
                        at,
                    }
                });
                let arrivals: Vec<_> = arrivals.collect();
                control.handle_arrivals(&arrivals, now);
            }
        }
        let rates = [control.rate(now), control.pace(now)];
        for rate in rates.into_iter().flatten() {
            assert!((1.0..=2.0 * MOST).contains(&rate), "{rate}");
            assert!(RateController::burst(rate) >= 1.0);
        }
        assert!(
            control
                .capacity()
                .is_none_or(|it| it >= 0.0 && it.is_finite())
        );
    }
}

fn channel(input: &mut Input<'_>) -> Channel {
    Channel::ALL[input.below(Channel::ALL.len())]
}
