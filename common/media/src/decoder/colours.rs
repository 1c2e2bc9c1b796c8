//! Converts rare colour spaces and subsamplings to those that all sinks accept.

use framegram_common::jpeg::JpegHeader;
use turbojpeg::PixelFormat;

/// Whether CMYK is stored inverted. Adobe's programs do this and write their marker.
pub(super) fn is_inverted(jpeg: &[u8]) -> bool {
    JpegHeader::parse(jpeg).is_ok_and(|header| header.adobe.is_some())
}

/// Converts cyan, magenta, yellow and black to pixels of `format`.
pub(super) fn print(inks: &[u8], is_inverted: bool, pixels: &mut [u8], format: PixelFormat) {
    let light = |ink: u8| u32::from(if is_inverted { ink } else { 255 - ink });
    let (red, green, blue) = match format {
        PixelFormat::BGRX => (2, 1, 0),
        PixelFormat::XRGB => (1, 2, 3),
        _ => (0, 1, 2),
    };
    for (pixel, ink) in pixels
        .chunks_exact_mut(format.size())
        .zip(inks.chunks_exact(4))
    {
        let black = light(ink[3]);
        let [r, g, b] =
            [ink[0], ink[1], ink[2]].map(|ink| ((light(ink) * black + 127) / 255) as u8);
        match pixel {
            [gray] => *gray = luma(r, g, b),
            pixel => (pixel[red], pixel[green], pixel[blue]) = (r, g, b),
        }
    }
}

/// Converts red, green and blue to planes of 4:4:4 (BT.601, full range).
pub(super) fn to_planes(pixels: &[u8], samples: &mut Vec<u8>) {
    let count = pixels.len() / 3;
    samples.resize(3 * count, 0);
    let (luma_plane, chroma) = samples.split_at_mut(count);
    let (blue_plane, red_plane) = chroma.split_at_mut(count);
    for (at, pixel) in pixels.chunks_exact(3).enumerate() {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
        luma_plane[at] = luma(pixel[0], pixel[1], pixel[2]);
        // As in libjpeg, in 65,536ths.
        let difference = |sum: i32| ((sum + (128 << 16) + 32_767) >> 16) as u8;
        blue_plane[at] = difference(-11_059 * r - 21_709 * g + 32_768 * b);
        red_plane[at] = difference(32_768 * r - 27_439 * g - 5_329 * b);
    }
}

fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 32_768) >> 16) as u8
}

/// Converts planes with one chroma row for `rows` luma rows to 4:4:4. Luma arrives padded to whole
/// chroma rows.
pub(super) fn repeat_rows(samples: &mut Vec<u8>, (width, height): (usize, usize), rows: usize) {
    let padded = height.next_multiple_of(rows);
    let chroma = samples.split_off(width * padded);
    samples.truncate(width * height);
    for plane in chroma.chunks_exact(width * padded / rows) {
        let end = samples.len() + width * height;
        for row in plane.chunks_exact(width) {
            for _ in 0..rows {
                samples.extend_from_slice(row);
            }
        }
        samples.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_colours_are_what_the_inks_leave() {
        let mut pixels = [0; 9];
        let inks = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
        print(&inks, false, &mut pixels, PixelFormat::RGB);
        assert_eq!(pixels, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
        let inverted = inks.map(|ink| 255 - ink);
        let mut words = [0; 12];
        print(&inverted, true, &mut words, PixelFormat::BGRX);
        assert_eq!(words, [255, 255, 255, 0, 255, 255, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn rows_of_chroma_are_repeated_up_to_the_height() {
        let mut samples = vec![1, 2, 3, 4, 5, 6, 7, 8, 20, 21, 22, 23, 30, 31, 32, 33];
        repeat_rows(&mut samples, (2, 3), 2);
        let luma = [1, 2, 3, 4, 5, 6];
        let (blue, red) = ([20, 21, 20, 21, 22, 23], [30, 31, 30, 31, 32, 33]);
        assert_eq!(samples, [luma, blue, red].concat());
    }
}
