//! Samples of limited range, as video has them, to the full range of a JPEG.
//! Written so that the compiler does many at once.

/// 16 to 235 become 0 to 255.
pub(crate) fn expand_luma(plane: &mut [u8]) {
    for value in plane {
        let above = u16::from(value.saturating_sub(16).min(219));
        *value = ((above * 255 + 109) / 219) as u8;
    }
}

/// 16 to 240 become 0 to 255, and 128 stays.
pub(crate) fn expand_chroma(plane: &mut [u8]) {
    for value in plane {
        let above = u16::from(value.saturating_sub(16).min(224));
        *value = ((above * 255 + 112) / 224) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_limited_range_to_the_nearest_value() {
        let mut luma: Vec<u8> = (0..=255).collect();
        let mut chroma = luma.clone();
        expand_luma(&mut luma);
        expand_chroma(&mut chroma);
        for value in 0..=255_u8 {
            let exact =
                |low: f64, span: f64| ((f64::from(value) - low) * 255.0 / span).clamp(0.0, 255.0);
            let error = |got: u8, exact: f64| (f64::from(got) - exact).abs();
            assert!(error(luma[usize::from(value)], exact(16.0, 219.0)) <= 0.5);
            assert!(error(chroma[usize::from(value)], exact(16.0, 224.0)) <= 0.5);
        }
        assert_eq!(chroma[128], 128);
    }
}
