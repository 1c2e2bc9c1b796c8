//! The halves of a JPEG with restart markers, each a JPEG of its own, so that two threads can work
//! on one frame: nothing from before a restart marker is needed behind it (ITU-T T.81,
//! <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, E.2.4).

use super::markers::{ALONE, END, Markers, RST0, RST7, SOS, is_start_of_frame, restart_marker};
use super::{JpegHeader, Segments, slice_starts};

/// A half has at least one part in this many of the rows: less is not worth a thread.
const LEAST_SHARE: u32 = 4;

/// The first row of minimum coded units (MCUs) of the lower half: the row next to the middle where
/// a slice begins. `grid` is the number of MCUs in a row and in a column, `interval` the restart
/// interval. `None` if no slice begins near the middle.
pub fn middle_row(grid: (u32, u32), interval: u16) -> Option<u32> {
    let (columns, rows) = grid;
    let interval = Some(u32::from(interval)).filter(|interval| *interval > 0)?;
    let step = interval / common_divisor(interval, columns);
    let row = (rows / 2 + step / 2) / step * step;
    let least = rows.div_ceil(LEAST_SHARE).max(1);
    (least..=rows.saturating_sub(least))
        .contains(&row)
        .then_some(row)
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Cuts a JPEG at its [`middle_row`] into `halves`, whose memory is reused. Returns their heights in
/// pixels; `None` if it cannot be cut there, because it has no slices or not all of them.
pub fn halve(jpeg: &[u8], halves: &mut [Vec<u8>; 2]) -> Option<[u16; 2]> {
    let header = JpegHeader::parse(jpeg).ok()?;
    let interval = header.restart_interval;
    let row = Some(header.mcu_grid()).filter(|_| header.has_slices());
    let row = middle_row(row?, interval)?;
    let starts = slice_starts(jpeg, header.len);
    (starts.len() == header.slice_count()).then_some(())?;
    let first = (row * header.mcu_grid().0 / u32::from(interval)) as usize;
    let (_, lower_starts) = starts.split_at_checked(first)?;
    let (start, starts) = lower_starts.split_first()?;
    let start = *start as usize;
    // The marker between the halves goes, and whether it is the right one is not seen later.
    let marker = jpeg.get(start.checked_sub(1)?)?;
    (first > 0 && *marker == restart_marker(first - 1)).then_some(())?;
    let height = u16::try_from(row * header.mcu_size().1).ok()?;
    let heights = [height, header.height.checked_sub(height)?];

    let [upper, lower] = halves;
    upper.clear();
    upper.extend_from_slice(jpeg.get(..start.checked_sub(ALONE)?)?);
    upper.extend_from_slice(&END);
    set_height(upper, heights[0])?;
    lower.clear();
    lower.extend_from_slice(jpeg.get(..header.len)?);
    lower.extend_from_slice(jpeg.get(start..)?);
    set_height(lower, heights[1])?;
    let back = start - header.len;
    for behind in starts {
        let code = lower.get_mut((*behind as usize).checked_sub(back + 1)?)?;
        // One that is out of place stays so.
        *code = restart_marker(usize::from(code.wrapping_sub(RST0)) + 8 - first % 8);
    }
    Some(heights)
}

/// Joins two halves that were encoded with the same tables and restart interval. `frame` begins
/// with the upper one, `len` bytes long, and has room behind it. Returns the length of the joined
/// JPEG; `None` if there is no room, or if the upper half does not end with a slice.
pub fn join(frame: &mut [u8], len: usize, lower: &[u8]) -> Option<usize> {
    let upper = JpegHeader::parse(frame.get(..len)?).ok()?;
    let header = JpegHeader::parse(lower).ok()?;
    let count = upper.slice_count();
    let full = u32::from(upper.height).is_multiple_of(upper.mcu_size().1);
    let whole = upper
        .mcu_count()
        .checked_rem(upper.restart_interval.into())?
        == 0;
    let same = (upper.width, upper.restart_interval) == (header.width, header.restart_interval);
    (full && whole && same && upper.has_slices()).then_some(())?;

    let end = len.checked_sub(END.len())?;
    (frame.get(end..len)? == END).then_some(())?;
    let scan = lower.get(header.len..)?;
    let joined = end + ALONE + scan.len();
    let behind = frame.get_mut(end..joined)?;
    let (marker, copied) = behind.split_at_mut(ALONE);
    marker.copy_from_slice(&[0xff, restart_marker(count - 1)]);
    copied.copy_from_slice(scan);
    if !count.is_multiple_of(8) {
        let mut markers = Markers::default();
        for number in 0..header.slice_count().saturating_sub(1) {
            let marker = markers.next(copied)?;
            matches!(marker.code, RST0..=RST7).then_some(())?;
            *copied.get_mut(marker.end - 1)? = restart_marker(count + number);
        }
    }
    let height = upper.height.checked_add(header.height)?;
    set_height(frame.get_mut(..len)?, height)?;
    Some(joined)
}

/// Sets the height in the only start of frame.
fn set_height(jpeg: &mut [u8], height: u16) -> Option<()> {
    let segments = Segments::new(jpeg).ok()?.map_while(Result::ok);
    let header = segments.take_while(|segment| segment.code() != SOS);
    let mut frames = header.filter(|segment| is_start_of_frame(segment.code()));
    // After the precision.
    let at = frames.next()?.marker.payload + 1;
    frames.next().is_none().then_some(())?;
    let field = jpeg.get_mut(at..at + 2)?;
    field.copy_from_slice(&height.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turbojpeg::Subsamp;

    use super::*;
    use crate::slices::encoder::{Settings, encode};

    fn noise(width: usize, height: usize, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let pixels = std::iter::repeat_with(|| random.u8(..));
        pixels.take(3 * width * height).collect()
    }

    fn settings(width: usize, height: usize, subsamp: Subsamp, interval: u16) -> Settings {
        Settings {
            width,
            height,
            subsamp,
            quality: 80,
            interval,
            optimize: false,
        }
    }

    const KINDS: [Subsamp; 5] = [
        Subsamp::Sub2x2,
        Subsamp::Sub2x1,
        Subsamp::None,
        Subsamp::Sub4x1,
        Subsamp::Gray,
    ];

    proptest! {
        #[test]
        fn the_middle_is_where_a_slice_begins(
            columns in 1_u32..300,
            rows in 1_u32..300,
            interval in prop_oneof![0_u16..50, any::<u16>()],
        ) {
            match middle_row((columns, rows), interval) {
                Some(row) => {
                    prop_assert_eq!(row * columns % u32::from(interval), 0);
                    prop_assert!(4 * row >= rows && 4 * (rows - row) >= rows && row < rows);
                }
                None if interval > 0 => {
                    let begins = |row: &u32| (row * columns).is_multiple_of(interval.into());
                    let near = rows.div_ceil(2).saturating_sub(rows / 8).max(1)..rows / 2 + rows / 8;
                    prop_assert_eq!(near.into_iter().find(begins), None);
                }
                None => {}
            }
        }

        #[test]
        fn halves_are_jpegs_and_joined_they_are_the_whole(
            (width, height) in (1_usize..150, 1_usize..150),
            kind in 0..KINDS.len(),
            interval in 1_u16..40,
            seed: u64,
        ) {
            let pixels = noise(width, height, seed);
            let jpeg = encode(&pixels, &settings(width, height, KINDS[kind], interval));
            let header = JpegHeader::parse(&jpeg).unwrap();
            let mut halves = [Vec::new(), Vec::new()];
            let Some(heights) = halve(&jpeg, &mut halves) else {
                prop_assert_eq!(middle_row(header.mcu_grid(), interval), None);
                return Ok(());
            };
            prop_assert_eq!(u32::from(heights[0]) % header.mcu_size().1, 0);
            // Each half is what the encoder makes of its pixels.
            let middle = 3 * width * usize::from(heights[0]);
            for (at, pixels) in [&pixels[..middle], &pixels[middle..]].iter().enumerate() {
                let rows = usize::from(heights[at]);
                let own = encode(pixels, &settings(width, rows, KINDS[kind], interval));
                prop_assert!(own == halves[at], "half {}", at);
            }
            let mut frame = halves[0].clone();
            let len = frame.len();
            prop_assert_eq!(join(&mut frame.clone(), len, &halves[1]), None);
            frame.resize(jpeg.len(), 0);
            prop_assert_eq!(join(&mut frame, len, &halves[1]), Some(jpeg.len()));
            prop_assert!(frame == jpeg);
        }
    }

    #[test]
    fn a_jpeg_that_lacks_a_slice_is_not_halved() {
        let jpeg = encode(&noise(64, 64, 1), &settings(64, 64, Subsamp::Sub2x2, 2));
        let mut halves = [Vec::new(), Vec::new()];
        assert_eq!(halve(&jpeg, &mut halves), Some([32, 32]));
        let header = JpegHeader::parse(&jpeg).unwrap();
        let starts = slice_starts(&jpeg, header.len);
        for slice in starts.windows(2) {
            let mut lacking = jpeg.clone();
            lacking.drain(slice[0] as usize..slice[1] as usize);
            assert_eq!(halve(&lacking, &mut halves), None);
        }
        let plain = encode(&noise(64, 64, 1), &settings(64, 64, Subsamp::Sub2x2, 0));
        assert_eq!(halve(&plain, &mut halves), None);
    }

    #[test]
    fn damaged_jpegs_are_halved_and_joined_or_not_but_harm_nothing() {
        let jpeg = encode(&noise(64, 64, 2), &settings(64, 64, Subsamp::Sub2x2, 2));
        let mut random = fastrand::Rng::with_seed(3);
        let mut halves = [Vec::new(), Vec::new()];
        for _ in 0..5_000 {
            let mut damaged = jpeg[..random.usize(..=jpeg.len())].to_vec();
            for _ in 0..random.usize(..6) {
                if let Some(at) = (!damaged.is_empty()).then(|| random.usize(..damaged.len())) {
                    damaged[at] = random.u8(..);
                }
            }
            let _ = halve(&damaged, &mut halves);
            let mut frame = damaged.clone();
            frame.resize(3 * jpeg.len(), 0);
            let _ = join(&mut frame, damaged.len(), &jpeg);
            frame[..jpeg.len()].copy_from_slice(&jpeg);
            let _ = join(&mut frame, jpeg.len(), &damaged);
        }
    }
}
