//! Scenes whose frames are many times as long as those before: no limit of the path is
//! seen here, so none applies.

use std::io::Write;

use framegram_tests::program::address;

use super::*;

const SIZE: (usize, usize) = (640, 360);

/// Frames of a scene.
const SCENE: usize = 45;

/// Y4M of flat scenes and ones of noise in turn, at 30 frames a second.
fn scenes(count: usize) -> Vec<u8> {
    let (width, height) = SIZE;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut stream = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n").into_bytes();
    for frame in 0..count * SCENE {
        stream.extend(b"FRAME\n");
        let is_noise = frame / SCENE % 2 == 1;
        let samples = width * height * 3 / 2;
        stream.extend((0..samples).map(|_| if is_noise { rng.u8(..) } else { 128 }));
    }
    stream
}

#[test]
fn every_frame_has_the_quality_asked_for_after_a_change_of_scene_too() {
    let frames = 4 * SCENE as u64;
    let address = address();
    let viewer = listening(address, "--once");
    let mut sender = sender("-", address, "").piped().run();
    let mut input = sender.input().expect("a pipe");
    input.write_all(&scenes(4)).expect("it reads");
    drop(input);
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_complete(&sender, &viewer, frames);
    for name in ["quality_lowered", "scaled_down"] {
        let name = format!("frames.{name}");
        assert_eq!(sender.count(&name), 0, "{name}: {}", sender.said);
    }
    assert_eq!(sender.count("stream.quality"), 80);
}
