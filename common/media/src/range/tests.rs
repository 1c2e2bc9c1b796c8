use super::*;

/// Padding behind each row of a source.
const PADDING: usize = 3;

/// Copies planes as from a decoder.
fn copied(conversion: ToJpeg, planes: &[u8], kind: Subsampling, size: (usize, usize)) -> Vec<u8> {
    let padded: Vec<_> = kind
        .split(size.0, size.1, planes)
        .map(|(plane, width, _)| {
            let rows = plane.chunks_exact(width);
            let rows = rows.flat_map(|row| row.iter().copied().chain([77; PADDING]));
            (rows.collect::<Vec<u8>>(), width + PADDING)
        })
        .collect();
    let from: Vec<_> = padded
        .iter()
        .map(|(samples, pitch)| SourcePlane {
            samples,
            pitch: *pitch,
        })
        .collect();
    let mut to = vec![0; planes.len()];
    conversion.copy(&from, kind, size, &mut to);
    to
}

#[test]
fn converting_the_matrix_keeps_colours() {
    for matrix in [Matrix::BT709, Matrix::BT2020, Matrix::SMPTE240M] {
        for colour in [[200.0, 90.0, 40.0], [30.0, 120.0, 220.0], [128.0; 3]] {
            let [luma, blue, red] = matrix.encode(colour);
            let sample = |value: f64| value.round() as u8;
            let mut planes = vec![sample(luma); 7 * 3];
            planes.extend([sample(blue + 128.0); 8]);
            planes.extend([sample(red + 128.0); 8]);
            let conversion = ToJpeg::new(true, Some(matrix));
            let planes = copied(conversion, &planes, Subsampling::Yuv420, (7, 3));
            let [luma, blue, red] = Matrix::BT601.encode(colour);
            let right = [luma, blue + 128.0, red + 128.0];
            for (index, expected) in [(0, 0), (20, 0), (21, 1), (28, 1), (29, 2), (36, 2)] {
                let off = f64::from(planes[index]) - right[expected];
                assert!(off.abs() <= 2.0, "{matrix:?}, {colour:?}, {index}: {off}");
            }
        }
    }
}

#[test]
fn range_and_matrix_together_give_every_sample_its_nearest_value() {
    let mut rng = fastrand::Rng::with_seed(7);
    let size = (21, 9);
    for (is_full, kind) in [
        (true, Subsampling::Yuv420),
        (true, Subsampling::Yuv422),
        (true, Subsampling::Yuv444),
        (true, Subsampling::Yuv411),
        (false, Subsampling::Yuv420),
        (false, Subsampling::Yuv444),
    ] {
        let before: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
            .take(kind.bytes(size.0, size.1))
            .collect();
        let conversion = ToJpeg::new(is_full, Some(Matrix::BT709));
        let after = copied(conversion, &before, kind, size);
        let (columns, rows) = kind.chroma(size.0, size.1).unwrap();
        let (across, down) = kind.step();
        let (luma, chroma) = (size.0 * size.1, columns * rows);
        let range = |sample: u8, low: f64, high: f64, zero: f64| match is_full {
            true => f64::from(sample) - zero,
            false => (f64::from(sample).clamp(low, high) - zero) * 255.0 / (high - low),
        };
        let exact = |place: usize, sample: u8| {
            let [blue, red] =
                [0, 1].map(|at| range(before[luma + at * chroma + place], 16.0, 240.0, 128.0));
            let black = if is_full { 0.0 } else { 16.0 };
            let sample = [range(sample, 16.0, 235.0, black), blue, red];
            let [luma, blue, red] = Matrix::BT601.encode(Matrix::BT709.decode(sample));
            [luma, blue + 128.0, red + 128.0].map(|value| value.clamp(0.0, 255.0))
        };
        #[track_caller]
        fn assert_near(got: u8, exact: f64) {
            assert!((f64::from(got) - exact).abs() <= 0.6, "{got}, not {exact}");
        }
        for at in 0..luma {
            let place = at / size.0 / down * columns + at % size.0 / across;
            assert_near(after[at], exact(place, before[at])[0]);
        }
        for place in 0..chroma {
            let [_, blue, red] = exact(place, 0);
            assert_near(after[luma + place], blue);
            assert_near(after[luma + chroma + place], red);
        }
    }
}

#[test]
fn samples_of_ten_bits_are_converted_like_those_of_eight() {
    let mut rng = fastrand::Rng::with_seed(8);
    let (kind, size) = (Subsampling::Yuv420, (21, 9));
    let planes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
        .take(kind.bytes(size.0, size.1))
        .collect();
    let deep: Vec<u8> = planes
        .iter()
        .flat_map(|value| (u16::from(*value) * 4).to_le_bytes())
        .collect();
    let ends = kind.split(size.0, size.1, &planes);
    let mut rest = &deep[..];
    let from: Vec<_> = ends
        .map(|(plane, width, _)| SourcePlane {
            samples: rest.split_off(..2 * plane.len()).unwrap(),
            pitch: 2 * width,
        })
        .collect();
    for is_full in [true, false] {
        for (matrix, most) in [(None, 0), (Some(Matrix::BT709), 1)] {
            let conversion = ToJpeg::new(is_full, matrix);
            let expected = copied(conversion, &planes, kind, size);
            let mut got = vec![0; planes.len()];
            conversion.copy_deep(&from, 10, kind, size, &mut got);
            let off = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
            assert!(off.max() <= Some(most), "{is_full}, {matrix:?}");
        }
    }
}

#[test]
fn a_source_with_too_few_rows_or_planes_leaves_the_rest_as_it_was() {
    let plane = SourcePlane {
        samples: &[9; 10],
        pitch: 8,
    };
    for matrix in [None, Some(Matrix::BT709)] {
        let mut to = [5; 8 * 4 + 2 * 8];
        let conversion = ToJpeg::new(true, matrix);
        conversion.copy(&[plane], Subsampling::Yuv420, (8, 4), &mut to);
        assert_eq!((to[7], to[8], to[47]), (9, 5, 5));
        conversion.copy(&[], Subsampling::Yuv420, (8, 4), &mut to);
    }
}

#[test]
fn expands_limited_range_to_the_nearest_value() {
    let all: Vec<u8> = (0..=255).collect();
    let (mut luma, mut chroma) = (all.clone(), all.clone());
    copy_luma_wide(&all, &mut luma);
    copy_chroma_wide(&all, &mut chroma);
    for value in 0..=255_u8 {
        let exact = |zero: f64, span: f64, to: f64| {
            ((f64::from(value) - zero) * 255.0 / span + to).clamp(0.0, 255.0)
        };
        let error = |got: u8, exact: f64| (f64::from(got) - exact).abs();
        assert!(error(luma[usize::from(value)], exact(16.0, 219.0, 0.0)) <= 0.5);
        assert!(error(chroma[usize::from(value)], exact(128.0, 224.0, 128.0)) <= 0.5);
    }
    assert_eq!((chroma[0], chroma[128], chroma[255]), (0, 128, 255));
}
