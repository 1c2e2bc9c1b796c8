//! JPEG in RTP as cameras send it.

use framegram_common::jpeg::JpegHeader;
use framegram_tests::odd_rtp::{Camera, Restarts};

use super::*;

#[test]
fn the_liberties_that_cameras_take_are_understood() {
    let usual = Camera::usual();
    for camera in [
        usual,
        Camera {
            tables: 3,
            q: 128,
            ..usual
        },
        Camera {
            is_wide: true,
            ..usual
        },
        Camera {
            q: 200,
            with_tables: (0, 1),
            ..usual
        },
        Camera {
            is_unmarked: true,
            ..usual
        },
        Camera {
            restarts: Restarts::Stated,
            ..usual
        },
        Camera {
            restarts: Restarts::OnlyStated,
            ..usual
        },
        Camera {
            restarts: Restarts::Zero,
            ..usual
        },
        Camera {
            has_fields: true,
            ..usual
        },
        Camera {
            is_whole: true,
            ..usual
        },
        Camera {
            is_timeless: true,
            ..usual
        },
    ] {
        let (viewer, address) = recording();
        camera.send(15, &[address]);
        let (ended, jpegs) = recorded(viewer);
        assert_eq!(ended.count("frames.intact"), 15, "{camera:?}");
        let scan = |jpeg: &[u8]| jpeg[JpegHeader::parse(jpeg).unwrap().len..].to_vec();
        for (number, jpeg) in (0..).zip(&jpegs) {
            assert_eq!(scan(jpeg), scan(&camera.jpeg(number)), "{camera:?}");
        }
    }
}

#[test]
fn a_camera_whose_tables_never_come_is_told_of_once() {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("--headless {address}")).run();
    viewer.wait_for("Waiting");
    let camera = Camera {
        with_tables: (0, 0),
        ..Camera::usual()
    };
    camera.send(20, &[address]);
    viewer.wait_for("None of these frames can be decoded");
    let said = viewer.said();
    assert_eq!(said.matches("None of these frames").count(), 1, "{said}");
}

#[test]
fn a_camera_that_comes_from_another_port_or_under_another_number_is_followed() {
    for (moves, renumbers) in [(true, false), (false, true), (true, true)] {
        let camera = Camera {
            moves,
            renumbers,
            ..Camera::usual()
        };
        let (viewer, address) = recording();
        camera.send(40, &[address]);
        let intact = recorded(viewer).0.count("frames.intact");
        // Of half a second in which the old one is waited for.
        assert!((28..=40).contains(&intact), "{intact}: {camera:?}");
    }
}
