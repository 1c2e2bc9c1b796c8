use super::*;

mod fit;

const CHUNKS: usize = 100;
const MS: Duration = Duration::from_millis(1);

/// A one-way path with this share of loss.
fn path(loss: f64) -> PathEstimate {
    PathEstimate {
        loss: Some(LossModel::new(loss, 1.0)),
        ..PathEstimate::default()
    }
}

/// Parity packets per chunk that the viewers of one destination get.
fn share_over(paths: &[PathEstimate], fec: Fec, chunks: usize, blocks: usize) -> f64 {
    let (mut planner, mut carry) = (Planner::new(fec), Carry::default());
    let parity: usize = (0..blocks)
        .map(|_| planner.parity(chunks, 1, paths, Duration::ZERO, &mut carry))
        .sum();
    parity as f64 / (blocks * chunks) as f64
}

fn share(losses: &[f64]) -> f64 {
    let paths: Vec<_> = losses.iter().map(|loss| path(*loss)).collect();
    share_over(&paths, Fec::Auto, CHUNKS, 20)
}

#[test]
fn one_viewer_of_a_group_gets_no_more_parity_than_its_bound() {
    let (alone, good) = (share(&[0.4]), share(&[0.01]));
    assert!(alone > 0.7 && good < 0.2, "{alone}, {good}");
    for losses in [&[0.01, 0.4][..], &[0.4, 0.01], &[0.01, 0.4, 0.02]] {
        let group = share(losses);
        assert!((group - MAX_FOR_ONE).abs() < 0.01, "{losses:?}: {group}");
    }
    // If two viewers need it, the limit for one does not apply.
    let two = share(&[0.4, 0.01, 0.4]);
    assert!((two - alone).abs() < 0.01, "{two}, {alone} alone");
    // A viewer that needs less than the limit gets it, as if it were alone.
    let (less, group) = (share(&[0.1]), share(&[0.01, 0.1]));
    assert!(less < MAX_FOR_ONE && (group - less).abs() < 0.01, "{group}");
}

#[test]
fn more_loss_and_longer_bursts_take_more_parity_and_rounds_take_less() {
    let losses = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];
    let shares = losses.map(|loss| share(&[loss]));
    assert!(shares.is_sorted(), "{shares:?}");
    let bursty = |burst| PathEstimate {
        loss: Some(LossModel::new(0.05, burst)),
        ..PathEstimate::default()
    };
    let by_burst = [1.0, 2.0, 5.0, 10.0].map(|burst| {
        let paths = [bursty(burst)];
        share_over(&paths, Fec::Auto, CHUNKS, 20)
    });
    assert!(by_burst.is_sorted(), "{by_burst:?}");
    let by_rtt = [200, 40, 20, 5].map(|rtt| {
        let path = PathEstimate {
            rtt: Some(rtt * MS),
            nack: true,
            ..path(0.05)
        };
        (
            path.rounds(Duration::ZERO),
            share_over(&[path], Fec::Auto, CHUNKS, 20),
        )
    });
    assert_eq!(by_rtt.map(|(rounds, _)| rounds), [0, 1, 2, 3]);
    assert!(by_rtt.is_sorted_by(|a, b| a.1 >= b.1), "{by_rtt:?}");
    assert!(by_rtt[0].1 > 3.0 * by_rtt[3].1, "{by_rtt:?}");
}

#[test]
fn parity_against_unseen_loss_is_sent_only_where_there_is_no_time_for_all_rounds() {
    let share_at = |rtt: u32| {
        let path = PathEstimate {
            rtt: Some(rtt * MS),
            nack: true,
            ..path(0.0)
        };
        share_over(&[path], Fec::Auto, CHUNKS, 20)
    };
    assert_eq!(share_at(5), 0.0);
    assert!(share_at(20) > 0.0);
    assert!(share(&[0.0]) > 0.0);
}

#[test]
fn one_packet_more_costs_as_much_as_it_saves_and_few_frames_fail() {
    for (loss, burst) in [(0.005, 1.0), (0.05, 1.0), (0.05, 5.0), (0.2, 1.0)] {
        for chunks in [1, 2, 10, 30, 150] {
            for rounds in 0..3 {
                let key = Key::new(chunks, 1, Some(LossModel::new(loss, burst)), rounds);
                let [loss, burst] = [key.loss, key.burst].map(f64::from_bits);
                let model = LossModel::new(loss, burst);
                let answers = AnswerPlan::new(&model, rounds as usize);
                let step = |parity| key.step(parity, &model.run(key.chunks + parity), &answers);
                let best = key.best(&answers);
                let parity = best.share * key.chunks as f64;
                let case = (loss, burst, chunks, rounds, parity);
                let (few, many) = (step(parity.floor() as usize), step(parity.ceil() as usize));
                let fails = many.fails + (parity.ceil() - parity) * (few.fails - many.fails);
                let past_help = step(key.chunks + MAX_BEYOND).fails > MAX_FAILS;
                assert!(fails <= MAX_FAILS * 1.001 || past_help, "{case:?}: {fails}");
                // Parity exceeds the cheapest amount only if too many frames
                // failed.
                let all = (0..=key.chunks + MAX_BEYOND).map(step);
                let cheapest = all.min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap();
                let floor = FLOOR * key.chunks as f64;
                let pays = parity <= cheapest.parity.max(floor) + 1e-9;
                assert!(pays || fails > MAX_FAILS * 0.999, "{case:?}: {cheapest:?}");
            }
        }
    }
}

#[test]
fn a_share_is_met_on_average_for_blocks_of_any_length() {
    for chunks in [1, 2, 3, 7, 40] {
        for share in [0.05, 0.25, 1.0, 1.6] {
            let fixed = share_over(&[path(0.1)], Fec::Fixed(share), chunks, 400);
            let one = 1.0 / (400.0 * chunks as f64);
            assert!((fixed - share).abs() <= one + 1e-9, "{fixed} for {share}");
        }
    }
    assert_eq!(share_over(&[path(0.1)], Fec::Off, CHUNKS, 10), 0.0);
}

#[test]
fn parity_spans_as_many_small_frames_as_there_is_time_for_and_no_large_ones() {
    let mut planner = Planner::new(Fec::Auto);
    let path = path(0.05);
    let mut span = |chunks, interval| planner.span(chunks, interval, interval / 4, &path);
    assert_eq!(span(1, 33 * MS), 2);
    assert_eq!(span(1, 16 * MS), 4);
    assert_eq!(span(1, 100 * MS), 1);
    assert_eq!(span(MAX_SPANNED_CHUNKS, 16 * MS), 1);
    assert_eq!(Planner::new(Fec::Off).span(1, 16 * MS, MS, &path), 1);
}

#[test]
fn viewers_with_changing_reports_delay_no_block() {
    let mut planner = Planner::new(Fec::Auto);
    let mut carry = Carry::default();
    for block in 0..50 {
        let paths: Vec<_> = (0..64)
            .map(|viewer| path(0.001 + f64::from(block * 64 + viewer) * 1e-4))
            .collect();
        planner.begin_block();
        planner.parity(512, 1, &paths, Duration::ZERO, &mut carry);
        assert!(planner.worked_out <= MAX_WORKED_OUT);
        assert!(planner.known.len() <= MAX_KNOWN);
    }
}
