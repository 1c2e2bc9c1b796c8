use framegram_media::{Subsampling, XrgbImage};

use super::*;
use crate::timecode::{Timecode, clock};

/// A grey JPEG of 160x120 pixels, with a timecode if there is one to draw.
pub(crate) fn jpeg(timecode: Option<Timecode>) -> Vec<u8> {
    let (width, height) = (160, 120);
    let mut luma = vec![120; width * height];
    if let Some(timecode) = timecode {
        assert!(timecode.draw_luma(&mut luma, width, width, height));
    }
    let pixels = luma.iter().map(|&y| u32::from_be_bytes([0, y, y, y]));
    let image = XrgbImage {
        pixels: pixels.collect(),
        width,
        height,
    };
    image.to_jpeg(95, Subsampling::Yuv420).unwrap()
}

#[test]
fn counts_frames_with_and_without_a_timecode() {
    let millis = Duration::from_millis;
    let mut live = TimecodeMeter::new(clock()).unwrap();
    let mut later = TimecodeMeter::new(None).unwrap();
    for meter in [&mut live, &mut later] {
        for (number, seen) in [(0, 5_030), (1, 5_070), (1, 5_110), (4, 5_190)] {
            let captured = millis(5_000 + 40 * number);
            let timecode = Timecode::new(number, captured, clock().unwrap(), 1);
            meter.read_jpeg(&jpeg(Some(timecode)), millis(seen));
        }
        meter.read_jpeg(b"GIF89a", millis(5_200));
        meter.read_jpeg(&jpeg(None), millis(5_210));
        let figures = meter.figures();
        assert_eq!((figures.images, figures.unread), (6, 2));
        assert_eq!((figures.shown, figures.lost, figures.repeated), (3, 2, 1));
    }
    let delay = live.figures().delay_ms.unwrap();
    assert!((delay.max - 30.0).abs() < 0.1, "{delay:?}");
    assert_eq!(later.figures().delay_ms, None);
}
