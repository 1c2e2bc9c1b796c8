//! Frames that two threads decode.

use super::*;

/// A JPEG of noise with restart markers.
fn sliced(size: (usize, usize), subsampling: Subsampling, interval: u16, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let planes = std::iter::repeat_with(|| random.u8(..));
    let planes: Vec<u8> = planes.take(subsampling.bytes(size.0, size.1)).collect();
    let image = Image::yuv(size.0, size.1, subsampling, planes.into()).unwrap();
    let mut compressor = crate::Compressor::new().unwrap();
    compressor.set_restart_interval(interval);
    compressor.compress(&image, 80).unwrap().to_vec()
}

#[test]
fn two_threads_decode_to_the_same_planes_as_one() {
    let (mut one, mut two) = (Decoder::new().unwrap(), Decoder::new().unwrap());
    let thread = std::thread::Builder::new()
        .spawn(two.second_thread(no_time).unwrap())
        .unwrap();
    let mut second = two.second.take().unwrap();
    let mut random = fastrand::Rng::with_seed(6);
    let (mut expected, mut planes, mut by_two) = (Planes::default(), Planes::default(), 0);
    for case in 0..200 {
        let subsampling = [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Yuv411,
            Subsampling::Gray,
        ][case % 5];
        let size = (random.usize(1..150), random.usize(1..150));
        let jpeg = sliced(size, subsampling, random.u16(0..12), case as u64);
        one.decode_planes(&jpeg, &mut expected).unwrap();
        if two.decode_halves(&jpeg, &mut planes, &mut second) {
            assert!(planes.is_like(&expected), "{size:?}, {subsampling:?}");
            assert!(
                planes.samples == expected.samples,
                "{size:?}, {subsampling:?}"
            );
            by_two += 1;
        }
    }
    assert!(by_two > 100, "{by_two}");
    drop(second);
    thread.join().unwrap();
}

#[test]
fn two_threads_take_no_damaged_jpeg_that_one_refuses() {
    let (mut one, mut two) = (Decoder::new().unwrap(), Decoder::new().unwrap());
    let thread = std::thread::Builder::new()
        .spawn(two.second_thread(no_time).unwrap())
        .unwrap();
    let mut second = two.second.take().unwrap();
    let whole = sliced((256, 256), Subsampling::Gray, 16, 7);
    let mut random = fastrand::Rng::with_seed(8);
    let (mut expected, mut planes, mut refused) = (Planes::default(), Planes::default(), 0);
    for _ in 0..500 {
        let mut damaged = whole.clone();
        for _ in 0..random.usize(0..3) {
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
        }
        let is_done = two.decode_halves(&damaged, &mut planes, &mut second);
        let outcome = one.decode_planes(&damaged, &mut expected);
        if is_done {
            assert_eq!(outcome, Ok(()));
            assert!(planes.samples == expected.samples);
        }
        refused += u32::from(!is_done);
        // They go on after damage.
        assert!(two.decode_halves(&whole, &mut planes, &mut second));
    }
    assert!((50..450).contains(&refused), "{refused}");
    drop(second);
    thread.join().unwrap();
}

#[test]
fn a_stream_is_decoded_alike_by_however_many_threads_are_faster() {
    let (mut one, mut two) = (Decoder::new().unwrap(), Decoder::new().unwrap());
    let thread = std::thread::Builder::new()
        .spawn(two.second_thread(no_time).unwrap())
        .unwrap();
    let (mut expected, mut planes) = (Planes::default(), Planes::default());
    for frame in 0..24 {
        // Some have no restart markers.
        let interval = if frame < 16 { 16 } else { 0 };
        let jpeg = sliced((1024, 512), Subsampling::Gray, interval, frame);
        one.decode_planes(&jpeg, &mut expected).unwrap();
        two.decode_planes(&jpeg, &mut planes).unwrap();
        assert!(planes.samples == expected.samples, "{frame}");
    }
    drop(two);
    thread.join().unwrap();
}

/// A clock by which everything takes the same time.
fn no_time() -> std::time::Duration {
    std::time::Duration::ZERO
}
