use proptest::prelude::*;

use super::*;
use crate::encode::DEFAULT_MIN_QUALITY;

fn steady(limit: usize) -> Fit {
    let mut fit = Fit::new(limit, 80, DEFAULT_MIN_QUALITY);
    fit.keep_steady();
    fit
}

/// A picture whose bytes fall with quality and area; `power` is the slope.
fn size(full: f64, power: f64, attempt: Try) -> usize {
    let area = (SCALES[attempt.step] as f64 / 64.0).powi(2);
    (OVERHEAD + full * area * (quantisation(attempt.quality) / 2.0).powf(-power)) as usize
}

fn play(fit: &mut Fit, full: f64, power: f64) -> (QualitySearch, Option<usize>, u32) {
    let mut search = fit.search();
    let mut best = None;
    for tries in 1.. {
        let made = size(full, power, search.current());
        let verdict = search.judge(made);
        if made <= fit.limit {
            best = Some(made);
        }
        if !matches!(verdict, FitVerdict::Next(_)) {
            fit.remember(&search);
            return (search, best, tries);
        }
    }
    unreachable!("the loop ends by its verdict");
}

proptest! {
    #[test]
    fn always_fits_and_in_few_tries(
        limit in 1024_usize..2_000_000,
        asked in 1_u8..=100,
        fulls in proptest::collection::vec(1_000.0..20_000_000.0_f64, 1..20),
        power in 0.5..1.2_f64,
    ) {
        let mut fit = Fit::new(limit, asked, DEFAULT_MIN_QUALITY);
        for full in fulls {
            let (search, best, tries) = play(&mut fit, full, power);
            prop_assert!(tries <= 20);
            // What does not fit at all does not fit at the smallest scale.
            let smallest = Try { quality: 1, step: SCALES.len() - 1 };
            match best {
                Some(best) => prop_assert!(best <= limit),
                None => prop_assert!(size(full, power, smallest) > limit),
            }
            if let Some((fitted, _)) = search.fitted {
                prop_assert!(fitted.quality <= asked);
            }
        }
    }
}

#[test]
fn needs_one_try_a_frame_once_it_has_settled() {
    let mut fit = Fit::new(50_000, 80, DEFAULT_MIN_QUALITY);
    let (search, _, first) = play(&mut fit, 2_000_000.0, SHRINK);
    assert!(search.fitted.unwrap().0.quality < 80);
    assert!(first <= ENOUGH_TRIES, "{first} tries");
    for _ in 0..50 {
        let (_, best, tries) = play(&mut fit, 2_000_000.0, SHRINK);
        assert_eq!(tries, 1);
        assert!(best.unwrap() >= 40_000);
    }
}

#[test]
fn scales_only_when_quality_is_not_enough_and_recovers() {
    let mut fit = Fit::new(10_000, 80, DEFAULT_MIN_QUALITY);
    let (search, _, _) = play(&mut fit, 10_000_000.0, SHRINK);
    let (fitted, _) = search.fitted.unwrap();
    assert!(fitted.is_scaled());
    let mut last = fitted;
    for _ in 0..20 {
        last = play(&mut fit, 20_000.0, SHRINK).0.fitted.unwrap().0;
    }
    assert_eq!(
        last,
        Try {
            quality: 80,
            step: 0
        }
    );
}

#[test]
fn leaves_the_requested_quality_of_a_frame_that_fits() {
    let mut fit = Fit::new(1_000_000, 80, DEFAULT_MIN_QUALITY);
    for _ in 0..3 {
        let (search, _, tries) = play(&mut fit, 2_000_000.0, SHRINK);
        assert_eq!(
            search.fitted.unwrap().0,
            Try {
                quality: 80,
                step: 0
            }
        );
        assert_eq!(tries, 1);
    }
}

#[test]
fn does_not_pump_where_pictures_flicker() {
    let mut fit = steady(50_000);
    let mut qualities = Vec::new();
    for frame in 0..300 {
        let full = if frame % 10 == 0 {
            1_500_000.0
        } else {
            900_000.0
        };
        let (search, _, _) = play(&mut fit, full, SHRINK);
        qualities.push(search.fitted.unwrap().0.quality);
    }
    qualities.dedup();
    assert!(qualities.len() <= 3, "{qualities:?}");
}

#[test]
fn quality_rises_after_a_delay() {
    let mut fit = steady(50_000);
    play(&mut fit, 2_000_000.0, SHRINK);
    let low = fit.start;
    // The previous frame already allowed better, and counts as the first.
    for _ in 1..PATIENCE {
        play(&mut fit, 100_000.0, SHRINK);
        assert_eq!(fit.start, low);
    }
    for _ in 0..3 * PATIENCE {
        play(&mut fit, 100_000.0, SHRINK);
    }
    assert_eq!((fit.start.quality, fit.start.step), (80, 0));
}

#[test]
fn quality_rises_soon_where_the_path_comes_to_carry_more() {
    const FULL: f64 = 5_000_000.0;
    let mut fit = steady(50_000);
    for _ in 0..PATIENCE {
        play(&mut fit, FULL, SHRINK);
    }
    let frames = |fit: &mut Fit, limit| {
        fit.set_limit(limit);
        let full = |best: usize| percent(best, limit) >= FULL_ENOUGH;
        let within = 2 * PATIENCE as usize;
        (1..within).find(|_| play(fit, FULL, SHRINK).1.is_some_and(full))
    };
    let soon = PATIENCE_GROWN as usize + 2;
    for limit in [100_000, 200_000, 400_000] {
        let rises = frames(&mut fit, limit);
        assert!(
            rises.is_some_and(|after| after <= soon),
            "{limit}: {rises:?}"
        );
    }
    // A limit that moves a little is no reason.
    let rises = frames(&mut fit, 440_000);
    assert!(
        rises.is_some_and(|after| after > PATIENCE as usize),
        "{rises:?}"
    );
}

#[test]
fn a_limit_that_falls_at_once_and_rises_slowly_is_used() {
    // As that of a path after each hiccup of the sender. Sizes fall by other exponents than
    // guessed, too.
    for power in [0.6, SHRINK, 1.0] {
        let mut fit = steady(80_000);
        let (mut made, mut limits) = (0, 0);
        for frame in 0..600 {
            let limit = 50_000 + 1_000 * (frame % 40);
            fit.set_limit(limit);
            let (_, best, _) = play(&mut fit, 5_000_000.0, power);
            made += best.unwrap();
            limits += limit;
        }
        println!("{power}: {} %", percent(made, limits));
        assert!(percent(made, limits) >= 84, "{power}: {made} of {limits}");
    }
}

#[test]
fn a_frame_begun_before_a_change_does_not_revert_it() {
    let mut fit = Fit::new(50_000, 80, DEFAULT_MIN_QUALITY);
    play(&mut fit, 2_000_000.0, SHRINK);
    let mut old = fit.search();
    play(&mut fit, 100_000.0, SHRINK);
    let raised = fit.start;
    assert!(raised.quality > old.current().quality);
    let made = size(100_000.0, SHRINK, old.current());
    assert_eq!(old.judge(made), FitVerdict::Done);
    fit.remember(&old);
    assert_eq!(fit.start, raised);
}

#[test]
fn own_jpegs_pass_again_after_a_delay() {
    let mut fit = steady(50_000);
    assert!(fit.passes(50_000) && !fit.passes(50_001));
    for _ in 0..PATIENCE {
        assert!(!fit.passes(30_000));
    }
    assert!(fit.passes(30_000) && fit.passes(45_000));
    let mut fit = Fit::new(50_000, 80, DEFAULT_MIN_QUALITY);
    assert!(!fit.passes(50_001) && fit.passes(50_000));
}
