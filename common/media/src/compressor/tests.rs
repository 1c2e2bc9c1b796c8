use framegram_common::jpeg::scan::SymbolCounts;

use super::*;
use crate::decoder::Decoder;
use crate::planes::Planes;

#[test]
fn keeps_planes_of_every_subsampling_at_odd_sizes() {
    let mut compressor = Compressor::new().unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut decoded = Planes::default();
    for subsampling in [
        Subsampling::Yuv420,
        Subsampling::Yuv422,
        Subsampling::Yuv444,
        Subsampling::Yuv411,
        Subsampling::Gray,
    ] {
        let mut planes = vec![90; 33 * 19];
        planes.resize(subsampling.bytes(33, 19), 140);
        let image = Image::yuv(33, 19, subsampling, planes.clone().into()).unwrap();
        let jpeg = compressor.compress(&image, 100).unwrap();
        decoder.decode_planes(&jpeg, &mut decoded).unwrap();
        assert_eq!(decoded.subsampling, subsampling);
        assert_eq!(
            decoded.rows().flatten().copied().collect::<Vec<_>>(),
            planes
        );
    }
}

#[test]
fn noise_of_every_size_survives() {
    let mut compressor = Compressor::new().unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut decoded = Planes::default();
    let mut random = fastrand::Rng::with_seed(1);
    for case in 0..60 {
        let (width, height) = (random.usize(1..70), random.usize(1..70));
        let subsampling = [
            Subsampling::Yuv420,
            Subsampling::Yuv422,
            Subsampling::Yuv444,
            Subsampling::Yuv411,
            Subsampling::Gray,
        ][case % 5];
        let planes: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(subsampling.bytes(width, height))
            .collect();
        compressor.set_restart_interval(random.u16(0..4));
        let image = Image::yuv(width, height, subsampling, planes.clone().into()).unwrap();
        let jpeg = compressor.compress(&image, 100).unwrap();
        decoder.decode_planes(&jpeg, &mut decoded).unwrap();
        // At steps of 1, only the transform and its inverse round.
        for (own, original) in decoded.rows().flatten().zip(&planes) {
            let off = own.abs_diff(*original);
            assert!(off <= 2, "{width}x{height} {subsampling:?}: off by {off}");
        }
        assert_eq!(decoder.take_remark(), None);
    }
}

#[test]
fn refuses_an_image_that_does_not_fit_and_encodes_the_next_one() {
    let mut compressor = Compressor::new().unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    let noise: Vec<u8> = std::iter::repeat_with(move || random.u8(..))
        .take(64 * 64)
        .collect();
    let image = Image::yuv(64, 64, Subsampling::Gray, noise.into()).unwrap();
    let jpeg = compressor.compress(&image, 90).unwrap();
    let rows = [(image_planes(&image), 64)];
    let native = NativeImage::planes((64, 64), Subsampling::Gray, &rows);
    for len in [0, 1, 300, jpeg.len() - 1] {
        let mut short = vec![0; len];
        let written = compressor
            .part
            .native
            .compress(&native, &compressor.tables, &mut short);
        assert!(matches!(written, Err(CompressError::Full)), "{len}");
    }
    assert_eq!(compressor.compress(&image, 90).unwrap(), jpeg);
}

fn image_planes(image: &Image) -> &[u8] {
    match image.pixels() {
        Pixels::Yuv(_, planes) => planes,
        Pixels::Bgr(pixels) => pixels,
    }
}

#[test]
fn two_threads_make_the_same_jpeg_as_one() {
    let (mut one, mut two) = (Compressor::new().unwrap(), Compressor::new().unwrap());
    let thread = std::thread::Builder::new()
        .spawn(two.second_thread(no_time).unwrap())
        .unwrap();
    let mut random = fastrand::Rng::with_seed(4);
    let mut joined = 0;
    for case in 0..200 {
        let (width, height) = (random.usize(1..150), random.usize(1..150));
        let kind = [
            Some(Subsampling::Yuv420),
            Some(Subsampling::Yuv422),
            Some(Subsampling::Yuv444),
            Some(Subsampling::Yuv411),
            Some(Subsampling::Gray),
            None,
        ][case % 6];
        let len = kind.map_or(3 * width * height, |kind| kind.bytes(width, height));
        let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        let image = match kind {
            Some(kind) => Image::yuv(width, height, kind, pixels.into()),
            None => Image::bgr(width, height, pixels.into()),
        };
        let image = image.unwrap();
        let interval = random.u16(0..12);
        one.set_restart_interval(interval);
        two.set_restart_interval(interval);
        let expected = one.compress(&image, 80).unwrap();
        // Small, so by one thread; the tables are those of this image then.
        assert_eq!(two.compress(&image, 80).unwrap(), expected);
        let mut buffer = Buffer::default();
        buffer.make_room(room((width, height), coded_subsampling(&image), interval));
        if let Some(len) = two.halves(&image, &mut buffer) {
            assert_eq!(
                buffer.memory[..len],
                expected,
                "{width}x{height}, {kind:?}, {interval}"
            );
            joined += 1;
        }
    }
    assert!(joined > 100, "{joined}");
    // Without the thread, and of a size that two work on, all goes on.
    drop(two.second.take());
    thread.join().unwrap();
    drop(two.second_thread(no_time).unwrap());
    let planes = vec![77; Subsampling::Gray.bytes(1024, 512)];
    let image = Image::yuv(1024, 512, Subsampling::Gray, planes.into()).unwrap();
    let expected = one.compress(&image, 80).unwrap();
    two.set_restart_interval(one.tables.restart_interval);
    for _ in 0..20 {
        assert_eq!(two.compress(&image, 80).unwrap(), expected);
    }
}

/// Bytes and squared errors at a rounding.
fn rounded_at(rounding: u32, image: &Image) -> (usize, u64) {
    let mut compressor = Compressor::new().unwrap();
    compressor.tables.rounding = rounding;
    let jpeg = compressor.compress(image, 80).unwrap();
    let mut decoded = Planes::default();
    Decoder::new()
        .unwrap()
        .decode_planes(&jpeg, &mut decoded)
        .unwrap();
    let pairs = decoded.rows().flatten().zip(image_planes(image));
    let squares = pairs.map(|(own, original)| u64::from(own.abs_diff(*original)).pow(2));
    (jpeg.len(), squares.sum())
}

#[test]
fn libjpeg_uses_the_rounding_that_is_set() {
    let mut random = fastrand::Rng::with_seed(3);
    for subsampling in [Subsampling::Yuv420, Subsampling::Gray] {
        let planes: Vec<u8> = (0..subsampling.bytes(320, 192))
            .map(|_| 120 + random.u8(..16))
            .collect();
        let image = Image::yuv(320, 192, subsampling, planes.into()).unwrap();
        let [nearest, later, much_later] =
            [50, 39, 25].map(|rounding| rounded_at(rounding, &image));
        assert!(later.0 * 100 < nearest.0 * 92, "{later:?}, {nearest:?}");
        assert!(
            much_later.0 * 100 < later.0 * 85,
            "{much_later:?}, {later:?}"
        );
        assert!(nearest.1 < later.1 && later.1 < much_later.1);
    }
}

#[test]
fn rounds_up_at_the_same_part_of_every_step() {
    // Each block is one basis function (T.81, A.3.3) with an amplitude. Its coefficient is 8 times
    // the amplitude.
    const NUMBERS: std::ops::Range<u8> = 0..128;
    let signs = [1, -1, -1, 1, 1, -1, -1, 1];
    let row: Vec<u8> = NUMBERS
        .flat_map(|number| signs.map(|sign| 128_u8.wrapping_add_signed(sign * number as i8)))
        .collect();
    let width = row.len();
    let image = Image::yuv(width, 8, Subsampling::Gray, row.repeat(8).into()).unwrap();
    let mut compressor = Compressor::new().unwrap();
    compressor.steps_of = Some((80, Subsampling::Gray));
    for step in 2..=255_u16 {
        for rounding in [50, ROUNDING] {
            compressor.tables.steps = [[step; 64]; 2];
            compressor.tables.rounding = rounding;
            let jpeg = compressor.compress(&image, 80).unwrap();
            let [symbols, _] = SymbolCounts::of(&jpeg).unwrap().ac;
            let levels = symbols.iter().sum::<u32>() - symbols[0];
            // In hundredths.
            let limit = u32::from(step) * (100 - rounding);
            let below = |number: &u8| u32::from(*number) * 800 < limit;
            let zeros = NUMBERS.filter(below).count();
            assert_eq!(levels as usize, NUMBERS.len() - zeros, "{step}, {rounding}");
        }
    }
}

/// A clock by which everything takes the same time.
fn no_time() -> std::time::Duration {
    std::time::Duration::ZERO
}
