use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Impairment, SpecError> {
    text.parse()
}

#[test]
fn reads_every_term() {
    let all = "loss=5%,ge=p:0.01,r:20%,step:1ms,delay=20ms±5ms,reorder=1%,dup=0.5%,\
               corrupt=0.1%,rate=20M,queue=50ms,bucket=16k,mtu=1200,seed=18446744073709551615";
    let chain = GilbertElliott {
        p: 0.01,
        r: 0.2,
        step: Some(Duration::from_millis(1)),
    };
    let expected = Impairment {
        loss: 0.05,
        bursts: Some(chain),
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
        reorder: 0.01,
        duplicate: 0.005,
        corrupt: 0.001,
        rate: Some(20_000_000),
        queue: Duration::from_millis(50),
        bucket: 16_000,
        mtu: Some(1200),
        seed: u64::MAX,
    };
    assert_eq!(parse(all), Ok(expected.clone()));
    let plain = all.replace('±', "+-").replace(',', " , ");
    assert_eq!(parse(&plain), Ok(expected));
}

#[test]
fn a_rate_has_a_default_queue_and_a_mere_seed_impairs_nothing() {
    assert_eq!(parse("rate=64k").unwrap().queue, QUEUE);
    assert_eq!(parse("rate=1M,queue=0").unwrap().queue, Duration::ZERO);
    assert_eq!(parse("seed=0"), Ok(Impairment::default()));
}

#[test]
fn names_the_term_that_is_wrong_and_shows_an_example() {
    for (text, term) in [
        ("", "\"\""),
        ("loss=200%", "loss=200%"),
        ("loss=0.05", "loss=0.05"),
        ("loss=-1%", "loss=-1%"),
        ("loss=nan%", "loss=nan%"),
        ("loss=5%,,seed=1", "\"\""),
        ("loss=5%,loss=5%", "loss=5%"),
        ("ge=p:0.01", "ge=p:0.01"),
        ("ge=p:0.01,r:2", "ge=p:0.01,r:2"),
        ("ge=p:0.01,r:0.2,step:0ms", "step:0ms"),
        ("ge=p:0.01,r:0.2,step:1ns", "step:1ns"),
        ("delay=1h", "delay=1h"),
        ("delay=11s", "delay=11s"),
        ("delay=20", "delay=20"),
        ("delay=20ms±", "delay=20ms±"),
        ("rate=1", "rate=1"),
        ("queue=5ms", "queue"),
        ("bucket=16k", "bucket"),
        ("rate=1M,bucket=0", "bucket=0"),
        ("mtu=0", "mtu=0"),
        ("seed=18446744073709551616", "seed=18446744073709551616"),
        ("wobble=1%", "wobble=1%"),
        ("5%", "5%"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(term), "{text}: {error}");
        assert!(error.contains("an example: loss=5%"), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
    }
    let long = parse(&"x".repeat(10_000)).unwrap_err().to_string();
    assert!(long.len() < 400, "{long}");
}

fn chance() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0_f64, 0.0..1e-6_f64]
}

fn moment() -> impl Strategy<Value = Duration> {
    let longest = LONGEST.as_nanos() as u64;
    let units = prop_oneof![Just(1), Just(1_000), Just(1_000_000)];
    (0..=longest, units).prop_map(|(nanos, unit)| Duration::from_nanos(nanos / unit * unit))
}

prop_compose! {
    fn impairment()(
        shares in [chance(), chance(), chance(), chance()],
        bursts in prop::option::of((chance(), chance(), prop::option::of(moment()))),
        delay in moment(),
        jitter in moment(),
        rate in prop::option::of((64_000..=100_000_000_000_u64, moment(), 0..16_000_000_usize)),
        mtu in prop::option::of(1..=MAX_DATAGRAM),
        seed: u64,
    ) -> Impairment {
        let [loss, reorder, duplicate, corrupt] = shares;
        let bursts = bursts.map(|(p, r, step)| GilbertElliott {
            p,
            r,
            step: step.map(|step| step.max(LEAST_STEP)),
        });
        Impairment {
            loss, bursts, delay, jitter, reorder, duplicate, corrupt,
            rate: rate.map(|(rate, ..)| rate),
            queue: rate.map_or(Duration::ZERO, |(_, queue, _)| queue),
            bucket: rate.map_or(0, |(.., bucket)| bucket),
            mtu, seed,
        }
    }
}

proptest! {
    #[test]
    fn written_values_are_read_back(impairment in impairment()) {
        prop_assert_eq!(parse(&impairment.to_string()), Ok(impairment));
    }

    #[test]
    fn no_text_causes_a_panic(text in ".{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_text_like_a_spec_breaks_it(text in "((loss|ge|delay|rate|queue|bucket|mtu|seed|p|r|step)?[=:,±%.0-9eE+-]{0,6}){0,6}") {
        if let Ok(impairment) = parse(&text) {
            prop_assert_eq!(parse(&impairment.to_string()), Ok(impairment));
        }
    }
}
