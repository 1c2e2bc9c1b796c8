//! Every target over its corpus, and over mutations of it.

use super::*;
use crate::jpeg;

/// The corpus, relative to this crate's folder.
const CORPUS: &str = "fuzz/corpus";

include!("../../fuzz/corpus.rs");

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                try_all(stringify!($name), |bytes| run(stringify!($name), bytes));
            }
        )*

        #[test]
        fn every_target_is_tried() {
            let names = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|target| target.name), names);
        }
    };
}
targets!(native jpeg splitter requantise splice rtp_jpeg parity receiver formats sender acceptor
    plain_sender grid rate);

#[test]
fn the_sliced_picture_is_one() {
    let header = jpeg::JpegHeader::parse(packets::SLICED).unwrap();
    assert!(header.has_slices());
    assert_eq!(header.len, packets::TABLES.len());
    let starts = jpeg::slice_starts(packets::SLICED, header.len);
    assert_eq!((starts.len(), header.slice_count()), (8, 8));
}
