use proptest::prelude::*;

use super::*;

/// 40 by 24 pixels, 4:2:0, a restart every two units, and a scan of three slices that includes a
/// stuffed byte and a fill byte.
pub(crate) fn example() -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    jpeg.extend([0xff, 0xe0, 0, 4, 1, 2]);
    jpeg.extend([0xff, 0xfe, 0, 3, b'c']);
    jpeg.extend([0xff, 0xdd, 0, 4, 0, 2]);
    jpeg.extend([0xff, 0xff, 0xc0, 0, 17, 8, 0, 24, 0, 40, 3]);
    jpeg.extend([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    jpeg.extend([0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    jpeg.extend([
        1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 4, 0xff, 0xd9,
    ]);
    jpeg
}

#[test]
fn reads_size_sampling_tables_and_restart_interval() {
    let header = JpegHeader::parse(&example()).unwrap();
    assert_eq!(
        (header.width, header.height, header.restart_interval),
        (40, 24, 2)
    );
    assert_eq!(
        (header.mcu_size(), header.mcu_grid(), header.slice_count()),
        ((16, 16), (3, 2), 3)
    );
    assert_eq!(header.components[2].dc_table, 1);
    assert!(header.has_slices());
}

#[test]
fn finds_slices_behind_restart_markers_only() {
    let jpeg = example();
    let header = JpegHeader::parse(&jpeg).unwrap();
    let starts = slice_starts(&jpeg, header.len);
    let begins: Vec<u8> = starts.iter().map(|start| jpeg[*start as usize]).collect();
    assert_eq!(begins, [1, 3, 4]);
}

#[test]
fn tables_leave_out_what_no_decoder_needs() {
    let jpeg = example();
    let tables = tables(&jpeg).unwrap().unwrap();
    let header = JpegHeader::parse(&jpeg).unwrap();
    assert_eq!(tables.len(), header.len - 6 - 5);
    assert_eq!(
        JpegHeader::parse(&tables).unwrap(),
        JpegHeader {
            len: tables.len(),
            ..header
        }
    );
}

#[test]
fn tables_keep_what_says_which_colours_there_are() {
    let mut jpeg = example();
    let adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
    let jfif = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    jpeg.splice(2..2, adobe.iter().chain(jfif).copied());
    let tables = tables(&jpeg).unwrap().unwrap();
    assert_eq!(tables[2..18], adobe[..]);
    assert_eq!(tables[18..36], jfif[..]);
}

#[test]
fn a_scan_in_another_order_has_no_slices() {
    let mut jpeg = example();
    let header = JpegHeader::parse(&jpeg).unwrap();
    jpeg.swap(header.len - 9, header.len - 7);
    let swapped = JpegHeader::parse(&jpeg).unwrap();
    assert!(header.has_slices() && !swapped.has_slices());
}

#[test]
fn says_what_is_wrong() {
    assert_eq!(JpegHeader::parse(b"GIF8"), Err(JpegError::NoStart(*b"GI")));
    assert_eq!(
        JpegHeader::parse(&example()[..30]),
        Err(JpegError::Short(30))
    );
    let end = [0xff, 0xd8, 0xff, 0xd9, 0, 0];
    assert_eq!(
        JpegHeader::parse(&end),
        Err(JpegError::Segment { marker: EOI, at: 2 })
    );
}

proptest! {
    #[test]
    fn any_damage_is_an_error_or_a_header(at in 0_usize..90, byte: u8, len in 0_usize..100) {
        let mut jpeg = example();
        if let Some(victim) = jpeg.get_mut(at) {
            *victim = byte;
        }
        jpeg.truncate(len);
        if let Ok(header) = JpegHeader::parse(&jpeg) {
            prop_assert!(header.slice_count() >= 1);
            prop_assert!(slice_starts(&jpeg, header.len).iter().all(|start| *start as usize <= jpeg.len()));
        }
        let _ = tables(&jpeg);
    }
}
