//! The orientation of a video according to its container.

use ffmpeg_next::codec::packet::side_data::Type;
use ffmpeg_next::format::stream::Stream;
use framegram_media::Turn;

/// How to turn the frames of a stream; `None` if they are upright.
pub(super) fn of_stream(stream: &Stream<'_>) -> Option<Turn> {
    let matrix = stream
        .side_data()
        .find(|data| data.kind() == Type::DisplayMatrix)?;
    of_matrix(matrix.data())
}

/// The display matrix has 3 by 3 numbers of 32 bits. (x, y, 1) times the matrix is where a pixel is
/// shown.
fn of_matrix(bytes: &[u8]) -> Option<Turn> {
    let mut numbers = bytes
        .chunks_exact(4)
        .map(|number| i32::from_ne_bytes([number[0], number[1], number[2], number[3]]));
    let mut next = || numbers.next().map(i64::from);
    let (x_to_x, x_to_y, _) = (next()?, next()?, next()?);
    let (y_to_x, y_to_y) = (next()?, next()?);
    let transpose = x_to_y.abs() + y_to_x.abs() > x_to_x.abs() + y_to_y.abs();
    let (across, down) = if transpose {
        (y_to_x, x_to_y)
    } else {
        (x_to_x, y_to_y)
    };
    let turn = Turn {
        transpose,
        mirror_x: across < 0,
        mirror_y: down < 0,
    };
    (turn != Turn::default()).then_some(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(matrix: [i32; 4]) -> Option<Turn> {
        let [a, b, c, d] = matrix.map(|number| number << 16);
        let numbers = [a, b, 0, c, d, 0, 0, 0, 1 << 30];
        let bytes: Vec<u8> = numbers.into_iter().flat_map(i32::to_ne_bytes).collect();
        of_matrix(&bytes)
    }

    #[test]
    fn matrices_turn_and_mirror() {
        let of = |transpose, mirror_x, mirror_y| {
            Some(Turn {
                transpose,
                mirror_x,
                mirror_y,
            })
        };
        assert_eq!(turn([1, 0, 0, 1]), None);
        assert_eq!(turn([-1, 0, 0, -1]), of(false, true, true));
        assert_eq!(turn([-1, 0, 0, 1]), of(false, true, false));
        // Clockwise: the top moves to the right.
        assert_eq!(turn([0, 1, -1, 0]), of(true, true, false));
        assert_eq!(turn([0, -1, 1, 0]), of(true, false, true));
        assert_eq!(of_matrix(&[0; 8]), None);
    }
}
