use super::*;

const CHUNKS: usize = 100;

/// A way with nothing but parity against this share of loss.
fn path(loss: f64) -> PathEstimate {
    PathEstimate {
        loss: Some(LossModel::new(loss, 1.0)),
        ..PathEstimate::default()
    }
}

/// The parity that these viewers of one destination get, as a share of chunks.
fn share(losses: &[f64]) -> f64 {
    let paths: Vec<_> = losses.iter().map(|loss| path(*loss)).collect();
    let (mut plan, mut owed) = (Planner::new(Fec::Auto), Carry::default());
    let blocks = 20;
    let parity: usize = (0..blocks)
        .map(|_| plan.parity(CHUNKS, 1, &paths, Duration::ZERO, &mut owed))
        .sum();
    parity as f64 / (blocks * CHUNKS) as f64
}

#[test]
fn one_viewer_of_a_group_draws_no_more_than_its_bound_however_much_it_loses() {
    let (alone, good) = (share(&[0.6]), share(&[0.01]));
    assert!(alone > 1.0 && good < 0.2, "{alone}, {good}");
    for losses in [&[0.01, 0.6][..], &[0.6, 0.01], &[0.01, 0.6, 0.02]] {
        let group = share(losses);
        assert!((group - MAX_FOR_ONE).abs() < 0.01, "{losses:?}: {group}");
    }
    // What two of them need is no single one's claim.
    let two = share(&[0.6, 0.01, 0.6]);
    assert!((two - alone).abs() < 0.01, "{two}, {alone} alone");
    // One that needs less than the bound gets it, as if it were alone.
    let (less, group) = (share(&[0.1]), share(&[0.01, 0.1]));
    assert!(less < MAX_FOR_ONE && (group - less).abs() < 0.01, "{group}");
}
