//! Viewers that request more than they need.

use super::*;

#[test]
fn a_viewer_that_requests_everything_again_does_not_delay_the_others() {
    for bitrate in [2_000_000, 4_000_000] {
        let config = || Config {
            bitrate: Some(bitrate),
            ..Config::default()
        };
        let lossy = || honest("loss=2%,delay=10ms,seed=3");
        let alone = Scene::new(config(), 60_000, vec![lossy()]).play(20);
        let bad = [
            ("asks", Guest::Asks(report(0.0, MS, 60 * MS))),
            ("asks and lies", Guest::Asks(report(1.0, MS, 60 * MS))),
            ("lies", liar(1.0, Duration::from_secs(1), 60 * MS)),
        ];
        let told = |scene: &Scene| {
            format!(
                "left after {:?} (50 %), {:?} (95 %), {:.3} intact, {} bytes a frame",
                scene.age(0, 0.5),
                scene.age(0, 0.95),
                scene.intact(0),
                scene.length()
            )
        };
        println!("{bitrate}: alone: {}", told(&alone));
        for (name, guest) in bad {
            let scene = Scene::new(config(), 60_000, vec![lossy(), guest]).play(20);
            println!("{bitrate}: beside one that {name}: {}", told(&scene));
            let (with, without) = (scene.age(0, 0.95), alone.age(0, 0.95));
            assert!(
                with <= without + 10 * MS,
                "{name} at {bitrate}: {}; alone: {}",
                told(&scene),
                told(&alone)
            );
            assert!(
                scene.intact(0) + 0.01 >= alone.intact(0),
                "{name}: {}",
                told(&scene)
            );
            assert!(
                scene.length() * 100 >= alone.length() * 75,
                "{name}: {}",
                told(&scene)
            );
        }
    }
}

#[test]
fn a_stream_of_fixed_size_is_not_starved_by_an_adaptive_one() {
    let config = || Config {
        bitrate: Some(2_000_000),
        ..Config::default()
    };
    // Seven tenths of the rate.
    let play = |guests| {
        let mut scene = Scene::new(config(), 5_800, guests);
        scene.stubborn = true;
        scene.play(20)
    };
    let lossy = || honest("loss=2%,delay=10ms,seed=3");
    let alone = play(vec![lossy()]);
    for guest in [
        Guest::Asks(report(0.0, MS, 60 * MS)),
        Guest::Asks(report(1.0, MS, 60 * MS)),
        liar(1.0, Duration::from_secs(1), 60 * MS),
    ] {
        let scene = play(vec![lossy(), guest]);
        let (with, without) = (scene.age(0, 0.95), alone.age(0, 0.95));
        println!(
            "95 % left after {with:?}, {without:?} alone; intact {:.3}",
            scene.intact(0)
        );
        assert!(with <= without + 10 * MS, "{with:?}, alone {without:?}");
        let (with, without) = (scene.intact(0), alone.intact(0));
        assert!(with + 0.01 >= without, "{with}, alone {without}");
    }
}

#[test]
fn every_viewer_that_asks_is_given_spare_parity() {
    let asks = || Guest::Asks(report(0.3, 20 * MS, 60 * MS));
    let config = Config {
        fec: Fec::Off,
        ..Config::default()
    };
    let scene = Scene::new(config, 30_000, (0..8).map(|_| asks()).collect()).play(2);
    let shards: Vec<_> = scene
        .places
        .iter()
        .map(|place| place.repair.len())
        .collect();
    let (least, most) = (*shards.iter().min().unwrap(), *shards.iter().max().unwrap());
    assert!(least > 0 && least * 10 >= most * 9, "{shards:?}");
    assert!(scene.bytes(0, Channel::Media) > 0);
}
