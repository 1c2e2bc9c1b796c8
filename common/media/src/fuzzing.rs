//! The fuzz target of Y4M. `common/fuzz` runs it with libFuzzer.

use crate::y4m::{Y4mHeader, Y4mReader};

/// Longer frames are not read: they are the same code.
const MAX_FRAME: usize = 1 << 16;

/// Reads the bytes as a Y4M and converts its frames to the planes of JPEGs.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn y4m(bytes: &[u8]) {
    let Ok(mut reader) = Y4mReader::new(bytes) else {
        return;
    };
    while let Ok(true) = reader.next_frame() {
        let header = *reader.header();
        if header.frame_bytes() > MAX_FRAME {
            return;
        }
        let mut frame = vec![0; header.frame_bytes()];
        if reader.read_planes(&mut frame).is_err() {
            return;
        }
        header.to_planes(&mut frame);
        let (width, height) = (header.width, header.height);
        let chroma = header.subsampling.chroma(width, height);
        let chroma = chroma.map_or(0, |(width, height)| width * height);
        assert_eq!(frame.len(), width * height + 2 * chroma);
        let again = Y4mHeader::parse(header.to_string().trim_end().as_bytes());
        let again = again.expect("a header of ours");
        assert_eq!(
            (again.width, again.height, again.rate),
            (width, height, header.rate)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::y4m;

    /// The corpus, relative to this crate's folder.
    const CORPUS: &str = "../fuzz/corpus";

    include!("../../fuzz/corpus.rs");

    #[test]
    fn y4m_over_the_corpus() {
        try_all("y4m", y4m);
    }
}
