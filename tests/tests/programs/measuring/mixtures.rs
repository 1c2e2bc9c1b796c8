//! Every kind of impairment and mixtures of them, on either side.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fastrand::Rng;
use framegram_tests::program::{Ended, address};
use serde_json::Value;

use super::{listening, sender};
use framegram_tests::measuring::{LOG, assert_equal, check, recorded};

/// How many mixtures are tried.
const SEEDS: usize = 20;

/// How many of these run at the same time, each with two programs.
const AT_ONCE: usize = 2;

/// Every kind, each of them alone with some seed. About half of the frames have chunks that fit the
/// MTU: no stream begins when none does.
const KINDS: [&str; 10] = [
    "loss=8%",
    "ge=p:0.02,r:0.3",
    "ge=p:0.01,r:0.1,step:1ms",
    "delay=20ms±5ms",
    "delay=40ms",
    "reorder=5%",
    "dup=5%",
    "corrupt=4%",
    "rate=2M,queue=30ms",
    "mtu=1345",
];

/// Figures of a report. A change of any of them must be noticed.
const FIGURES: [&str; 26] = [
    "/packets/sent",
    "/packets/received",
    "/packets/lost",
    "/packets/corrupt",
    "/packets/duplicate",
    "/packets/reordered",
    "/outcomes/intact_unrepaired",
    "/outcomes/intact_parity",
    "/outcomes/lost_network",
    "/accounts/0/lost",
    "/accounts/0/corrupt",
    "/accounts/0/end_frame",
    "/accounts/0/channels/0/received",
    "/accounts/0/channels/0/missing",
    "/accounts/0/channels/0/end",
    "/accounts/0/channels/1/duplicate",
    "/accounts/0/channels/1/reordered",
    "/accounts/0/channels/2/received",
    "/accounts/0/channels/2/missing",
    "/timeline/lossy_frames/0/chunks_lost",
    "/timeline/outcomes",
    "/frames/shown",
    "/frames/sent",
    "/frames/incomplete",
    "/loss_pattern/packets",
    "/loss_pattern/lost",
];

/// The impairment on either side.
fn mixture(seed: usize) -> [Option<String>; 2] {
    let mut rng = Rng::with_seed(seed as u64);
    let mut spec = |kind: Option<&str>| {
        let mut terms: Vec<_> = kind.into_iter().collect();
        // The first seeds have one impairment each.
        let name = |term: &str| term.split('=').next().unwrap_or_default().to_owned();
        for term in KINDS {
            let known = terms.iter().any(|known| name(known) == name(term));
            if (seed >= KINDS.len() || kind.is_none()) && !known && rng.u8(..4) == 0 {
                terms.push(term);
            }
        }
        format!("{},seed={seed}", terms.join(","))
            .trim_start_matches(',')
            .to_owned()
    };
    let first = spec(Some(KINDS[seed % KINDS.len()]));
    match seed % 3 {
        0 => [Some(first), None],
        1 => [None, Some(first)],
        _ => [Some(first), Some(spec(None))],
    }
}

/// One run. Returns the ended viewer and sender.
fn measure(viewers: Option<&str>, senders: Option<&str>) -> (Ended, Ended) {
    let address = address();
    let viewer = listening(address, &recorded(viewers));
    let arguments = format!("--duration 1s {}", recorded(senders));
    let sender = sender("pattern:320x180@90", address, &arguments).run();
    let sender = sender.end().well();
    (viewer.end().well(), sender)
}

fn try_seed(seed: usize) {
    let [viewers, senders] = mixture(seed);
    let what = format!("seed {seed}: viewer {viewers:?}, sender {senders:?}");
    let (viewer, sender) = measure(viewers.as_deref(), senders.as_deref());
    let paths = [(viewers, viewer.path(LOG)), (senders, sender.path(LOG))];
    let logs = paths.iter().filter(|(spec, _)| spec.is_some());
    let logs: Vec<&Path> = logs.map(|(_, path)| path.as_path()).collect();
    let table = assert_equal(&what, &viewer, &logs);
    assert!(table.contains("packets sent"), "{what}:\n{table}");
    for figure in [FIGURES[seed], FIGURES[(seed + 7) % FIGURES.len()]] {
        assert_notices(&what, figure, &viewer, &logs);
    }
}

/// Asserts that a report with one changed figure does not agree with the logs.
fn assert_notices(what: &str, figure: &str, viewer: &Ended, logs: &[&Path]) {
    let mut report = viewer.report.clone();
    let Some(value) = report.pointer_mut(figure) else {
        // No frame was impaired.
        assert!(
            figure.starts_with("/timeline/lossy_frames"),
            "{what}: no {figure}"
        );
        return;
    };
    *value = match value.as_str() {
        Some(marks) => Value::from(format!("{marks}n")),
        None => Value::from(value.as_u64().unwrap_or(0) + 1),
    };
    let path = viewer.path("other.json");
    fs::write(&path, report.to_string()).expect("a place for a report");
    let checked = check(&path, logs);
    let table = String::from_utf8_lossy(&checked.output);
    assert_eq!(checked.code, Some(1), "{what}: {figure}\n{table}");
    assert!(
        checked.said.contains("not what was done"),
        "{}",
        checked.said
    );
}

#[test]
fn every_impairment_is_measured_as_injected() {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < SEEDS)
                {
                    try_seed(seed);
                }
            });
        }
    });
}

#[test]
fn every_changed_figure_is_detected() {
    let spec = "loss=5%,delay=5ms±5ms,dup=3%,corrupt=3%,seed=1";
    let (viewer, _) = measure(Some(spec), None);
    let log = viewer.path(LOG);
    assert_equal(spec, &viewer, &[&log]);
    for figure in FIGURES {
        assert_notices(spec, figure, &viewer, &[&log]);
    }
}
