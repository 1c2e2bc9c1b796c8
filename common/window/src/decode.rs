//! Decodes pictures at the size that they are shown in.

use framegram_media::{Decoder, Reduction, Undecodable, XrgbImage};

use crate::area::fit;

/// Decodes into `picture`, reduced to about the size that it has in an `area`. Returns its width
/// and height as coded, and the reduction.
///
/// # Errors
/// As [`Decoder::decode`].
pub fn decode_for(
    decoder: &mut Decoder,
    jpeg: &[u8],
    area: (usize, usize),
    picture: &mut XrgbImage,
) -> Result<((usize, usize), Reduction), Undecodable> {
    let coded = decoder.size(jpeg)?;
    let shown = fit(coded, area);
    let reduction = Reduction::towards(coded, (shown.width, shown.height));
    decoder.decode(jpeg, reduction, picture)?;
    Ok((coded, reduction))
}
