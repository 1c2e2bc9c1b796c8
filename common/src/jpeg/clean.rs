//! Cleans JPEGs of cameras, scripts and folders so that every decoder accepts them. What decoders
//! tolerate anyway (missing Huffman tables, stray bytes, fill bytes, any application segment) stays
//! as it is.

use bytes::Bytes;

use super::markers::{
    ALONE, APP0, APP15, COM, DNL, DRI, END, EOI, Marker, Markers, RST0, RST7, SOI, SOS, START,
    is_reserved, is_start_of_frame, restart_marker,
};
use super::{JpegError, JpegHeader, scan};

/// One pass sets the height, the next the restart interval, and the last numbers the restart markers.
const MAX_PASSES: usize = 3;

/// Bytes of a restart interval.
const INTERVAL: usize = 2;

/// Offset of the height in a frame header, after its precision.
const HEIGHT: usize = 1;

/// One JPEG from start to end of image, of the bytes that begin with it: what
/// lies behind it is left out, as are doubled starts of image and markers
/// without meaning; a missing end is supplied, a height that stands in a DNL
/// segment put into the frame header, and restart markers that are complete but
/// counted otherwise are numbered as they should be. A restart interval is taken
/// back where no restart marker stands in the scan, and supplied where the
/// markers stand there without one, and the length of an
/// application segment where it leads behind the end. Nothing is copied where
/// nothing is wrong.
///
/// # Errors
/// If the bytes are no JPEG with a frame and a scan.
pub fn clean(jpeg: &Bytes) -> Result<Bytes, JpegError> {
    let mut cleaned = jpeg.clone();
    for _ in 0..MAX_PASSES {
        let before = cleaned.as_ptr();
        cleaned = clean_once(&cleaned)?;
        if cleaned.as_ptr() == before {
            break;
        }
    }
    JpegHeader::parse(&cleaned)?;
    Ok(cleaned)
}

fn clean_once(jpeg: &Bytes) -> Result<Bytes, JpegError> {
    if !jpeg.starts_with(&START[..ALONE]) {
        let start = jpeg.first_chunk().copied();
        return Err(start.map_or(JpegError::Short(jpeg.len()), JpegError::NoStart));
    }
    let mut edits = Edits::default();
    let mut markers = Markers::from(ALONE);
    let mut scan = None;
    let mut interval = None;
    let mut late_height = None;
    let end = loop {
        let at = markers.at();
        let Some(marker) = markers.next(jpeg) else {
            let at_segment = markers.at();
            if interval.is_none() && scan.is_none() && is_ornament(jpeg, at_segment) {
                edits.replace(at_segment, Vec::new(), SEGMENT_HEAD);
                markers = Markers::from(at_segment + SEGMENT_HEAD);
                continue;
            }
            // A segment that breaks off behind a scan is none of the picture.
            let cut = markers.is_within_segment(jpeg) && at > ALONE;
            break if cut { at_segment } else { jpeg.len() };
        };
        if !matches!(marker.code, RST0..=RST7) {
            finish_scan(jpeg, &mut scan, interval, &mut edits);
        }
        match marker.code {
            DRI => interval = Some(marker),
            EOI => break marker.end - ALONE,
            // Another JPEG begins, unless this one has only just begun.
            SOI if late_height.is_some() || has_frame(jpeg, marker.start) => {
                break marker.end - ALONE;
            }
            SOI => edits.drop(&marker),
            DNL => {
                late_height = marker.payload(jpeg).first_chunk::<2>().copied();
                edits.drop(&marker);
            }
            SOS => scan = Some((marker, Vec::new())),
            RST0..=RST7 => {
                if let Some((_, restarts)) = &mut scan {
                    restarts.push(marker);
                }
            }
            code if is_reserved(code) && scan.is_none() => edits.drop(&marker),
            _ => {}
        }
    };
    finish_scan(jpeg, &mut scan, interval, &mut edits);
    if let Some(height) = late_height {
        edits.set_height(jpeg, height);
    }
    let is_complete = jpeg.get(end..end + ALONE) == Some(&END);
    let cleaned = if edits.all.is_empty() && is_complete {
        jpeg.slice(..end + ALONE)
    } else {
        let mut cleaned = edits.apply(&jpeg[..end]);
        cleaned.extend(END);
        cleaned.into()
    };
    Ok(cleaned)
}

fn has_frame(jpeg: &[u8], until: usize) -> bool {
    let mut markers = Markers::from(ALONE);
    std::iter::from_fn(|| markers.next(&jpeg[..until]))
        .any(|marker| is_start_of_frame(marker.code) || marker.code == SOS)
}

/// Whether an application segment or a comment begins there, with its length, and
/// does not end.
fn is_ornament(jpeg: &[u8], at: usize) -> bool {
    let head = jpeg.get(at..at + SEGMENT_HEAD);
    head.is_some_and(|head| head[0] == 0xff && matches!(head[1], APP0..=APP15 | COM))
}

/// Bytes of a marker and of its segment's length.
const SEGMENT_HEAD: usize = 4;

/// Looks at the restart markers of a scan that has ended, and numbers
/// them where as many are there as should be. Some devices begin at another one,
/// and some announce restarts and make none.
fn finish_scan(
    jpeg: &[u8],
    scan: &mut Option<(Marker, Vec<Marker>)>,
    interval: Option<Marker>,
    edits: &mut Edits,
) {
    let Some((start, restarts)) = scan.take() else {
        return;
    };
    let is_stated = interval.is_some_and(|interval| interval.payload(jpeg) != [0; INTERVAL]);
    if !is_stated && !restarts.is_empty() {
        let units = implied_interval(jpeg, restarts.len()).map(u16::to_be_bytes);
        match (units, interval) {
            (None, _) => {}
            (Some(units), Some(interval)) => {
                edits.replace(interval.payload, units.to_vec(), INTERVAL);
            }
            (Some([high, low]), None) => {
                edits.replace(start.start, vec![0xff, DRI, 0, 4, high, low], 0);
            }
        }
        return;
    }
    if let Some(interval) = interval.filter(|_| restarts.is_empty()) {
        let expects_some = |header: JpegHeader| header.has_slices() && header.slice_count() > 1;
        if JpegHeader::parse(jpeg).is_ok_and(expects_some) {
            edits.replace(interval.payload, vec![0; INTERVAL], INTERVAL);
        }
        return;
    }
    let is_numbered = |(number, marker): (usize, &Marker)| marker.code == restart_marker(number);
    if restarts.iter().enumerate().all(is_numbered) {
        return;
    }
    // One more marker may follow the last interval.
    let is_complete = JpegHeader::parse(jpeg).is_ok_and(|header| {
        let expected = header.slice_count();
        header.has_slices() && (restarts.len() + 1 == expected || restarts.len() == expected)
    });
    if is_complete {
        for (number, marker) in restarts.iter().enumerate() {
            edits.replace(marker.end - 1, vec![restart_marker(number)], 1);
        }
    }
}

/// The restart interval of a scan with this many restart markers whose header does not state it: as
/// many units as the first marker follows, if they explain all of the markers.
fn implied_interval(jpeg: &[u8], restarts: usize) -> Option<u16> {
    let header = JpegHeader::parse(jpeg).ok()?;
    let units = scan::units_before_marker(jpeg).filter(|units| *units > 0)?;
    let slices = header.mcu_count().div_ceil(units) as usize;
    let is_explained = slices == restarts + 1 || slices == restarts;
    is_explained.then(|| u16::try_from(units).ok()).flatten()
}

/// The edits to a JPEG.
#[derive(Default)]
struct Edits {
    /// Offset, replacement, and the number of bytes that it replaces.
    all: Vec<(usize, Vec<u8>, usize)>,
}

impl Edits {
    fn replace(&mut self, at: usize, with: Vec<u8>, len: usize) {
        self.all.push((at, with, len));
    }

    fn drop(&mut self, marker: &Marker) {
        self.replace(marker.start, Vec::new(), marker.end - marker.start);
    }

    /// Sets the height of a frame header without one.
    fn set_height(&mut self, jpeg: &[u8], height: [u8; 2]) {
        let mut markers = Markers::from(ALONE);
        let frame =
            std::iter::from_fn(|| markers.next(jpeg)).find(|marker| is_start_of_frame(marker.code));
        let Some(frame) = frame else { return };
        if frame.payload(jpeg).get(HEIGHT..HEIGHT + 2) == Some(&[0, 0]) {
            self.replace(frame.payload + HEIGHT, height.to_vec(), 2);
        }
    }

    fn apply(mut self, jpeg: &[u8]) -> Vec<u8> {
        self.all.sort_by_key(|(at, ..)| *at);
        let mut edited = Vec::with_capacity(jpeg.len() + END.len());
        let mut copied = 0;
        for (at, with, len) in self.all {
            edited.extend_from_slice(jpeg.get(copied..at).unwrap_or_default());
            edited.extend(with);
            copied = at + len;
        }
        edited.extend_from_slice(jpeg.get(copied..).unwrap_or_default());
        edited
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::example;
    use super::*;
    use crate::slices::encoder::{Settings, encode};

    fn cleaned(jpeg: Vec<u8>) -> Vec<u8> {
        clean(&jpeg.into()).unwrap().to_vec()
    }

    /// Offset of the example's frame header, including its fill byte.
    fn frame_at(jpeg: &[u8]) -> usize {
        jpeg.windows(3)
            .position(|at| at == [0xff, 0xff, 0xc0])
            .unwrap()
    }

    #[test]
    fn a_clean_jpeg_is_not_copied() {
        let jpeg = Bytes::from(example());
        let same = clean(&jpeg).unwrap();
        assert_eq!((same.as_ptr(), &same), (jpeg.as_ptr(), &jpeg));
        let mut longer = example();
        longer.extend(b"MotionPhoto_Data\xff\xd8\xff");
        let longer = Bytes::from(longer);
        let cut = clean(&longer).unwrap();
        assert_eq!((cut.as_ptr(), &cut), (longer.as_ptr(), &jpeg));
    }

    #[test]
    fn supplies_the_end_that_is_missing() {
        let jpeg = example();
        let open = jpeg[..jpeg.len() - 2].to_vec();
        assert_eq!(cleaned(open.clone()), jpeg);
        // Another JPEG begins where it should have ended.
        assert_eq!(cleaned([&open[..], &jpeg].concat()), jpeg);
        // A segment breaks off after the scan.
        assert_eq!(cleaned([&open[..], &[0xff, 0xe1, 9, 9, 1]].concat()), jpeg);
    }

    #[test]
    fn drops_doubled_starts_and_markers_without_meaning() {
        let jpeg = example();
        let mut odd = jpeg.clone();
        odd.splice(2..2, [0xff, 0xd8, 0xff, 0x02]);
        assert_eq!(cleaned(odd), jpeg);
    }

    #[test]
    fn a_height_in_a_dnl_segment_moves_into_the_frame_header() {
        let jpeg = example();
        let mut odd = jpeg.clone();
        let height = frame_at(&odd) + 6;
        odd[height..height + 2].fill(0);
        let end = odd.len() - 2;
        odd.splice(end..end, [0xff, 0xdc, 0, 4, 0, 24]);
        assert_eq!(cleaned(odd.clone()), jpeg);
        odd.truncate(end);
        assert!(clean(&odd.into()).is_err());
    }

    #[test]
    fn restart_markers_are_numbered_where_all_are_there() {
        let jpeg = example();
        let at = |number: u8| jpeg.windows(2).position(|at| at == [0xff, number]).unwrap() + 1;
        let (first, second) = (at(0xd0), at(0xd1));
        let mut odd = jpeg.clone();
        (odd[first], odd[second]) = (0xd1, 0xd2);
        assert_eq!(cleaned(odd.clone()), jpeg);
        // One more marker before the end is numbered like the others.
        let end = odd.len() - 2;
        let mut longer = odd.clone();
        longer.splice(end..end, [0xff, 0xd3]);
        let mut expected = jpeg.clone();
        expected.splice(end..end, [0xff, 0xd2]);
        assert_eq!(cleaned(longer), expected);
        // If one is missing, nobody knows which.
        odd.drain(first - 1..=first);
        assert_eq!(cleaned(odd.clone()), odd);
    }

    #[test]
    fn an_interval_without_any_restart_marker_is_taken_back() {
        let jpeg = example();
        let at = |code: u8| jpeg.windows(2).position(|at| at == [0xff, code]).unwrap();
        let [interval, first, second] = [0xdd, 0xd0, 0xd1].map(at);
        let mut odd = jpeg.clone();
        for marker in [second, first] {
            let fill = usize::from(odd[marker - 1] == 0xff);
            odd.drain(marker - fill..marker + 2);
        }
        let mut expected = odd.clone();
        expected[interval + 4..interval + 6].fill(0);
        assert_eq!(cleaned(odd), expected);
    }

    #[test]
    fn an_interval_that_the_header_omits_is_supplied_if_it_explains_all_markers() {
        let settings = Settings {
            width: 160,
            height: 96,
            subsamp: turbojpeg::Subsamp::Sub2x2,
            quality: 80,
            interval: 7,
            optimize: false,
        };
        let pixels: Vec<u8> = (0..3 * 160 * 96_usize)
            .map(|at| (at * at / 7) as u8)
            .collect();
        let whole = encode(&pixels, &settings);
        let find = |jpeg: &[u8], code: u8| jpeg.windows(2).position(|at| at == [0xff, code]);
        let at = find(&whole, 0xdd).unwrap();
        let mut zero = whole.clone();
        zero[at + 4..at + 6].fill(0);
        assert_eq!(cleaned(zero), whole);
        let mut omitted = whole.clone();
        let interval: Vec<u8> = omitted.drain(at..at + 6).collect();
        let scan = find(&omitted, 0xda).unwrap();
        let mut expected = omitted.clone();
        expected.splice(scan..scan, interval);
        assert_eq!(cleaned(omitted.clone()), expected);
        let lost = find(&omitted, 0xd1).unwrap();
        omitted.drain(lost..lost + 2);
        assert_eq!(cleaned(omitted.clone()), omitted);
    }

    #[test]
    fn an_application_segment_that_does_not_end_loses_its_length() {
        let jpeg = example();
        let mut odd = jpeg.clone();
        odd.splice(2..2, [0xff, 0xe4, 0xff, 0xff]);
        assert_eq!(cleaned(odd), jpeg);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_jpeg_that_is_clean(
            damage in prop::collection::vec((0_usize..100, any::<u8>()), 0..6), len in 0_usize..120,
        ) {
            let mut jpeg = example();
            for (at, byte) in damage {
                if let Some(place) = jpeg.get_mut(at) {
                    *place = byte;
                }
            }
            jpeg.truncate(len);
            if let Ok(once) = clean(&jpeg.into()) {
                prop_assert!(once.ends_with(&END));
                prop_assert!(JpegHeader::parse(&once).is_ok());
                prop_assert_eq!(clean(&once).unwrap(), once);
            }
        }
    }
}
