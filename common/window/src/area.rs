//! Rectangles of pixels.

/// An area of a canvas, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

/// The largest area with the aspect ratio of `picture` that fits into `window`,
/// centred.
pub fn fit(picture: (usize, usize), window: (usize, usize)) -> Area {
    if picture.0 == 0 || picture.1 == 0 {
        return Area::default();
    }
    let (width, height) = if window.0 * picture.1 <= window.1 * picture.0 {
        let height = (window.0 * picture.1 + picture.0 / 2) / picture.0;
        (window.0, height.clamp(1, window.1.max(1)))
    } else {
        let width = (window.1 * picture.0 + picture.1 / 2) / picture.1;
        (width.clamp(1, window.0.max(1)), window.1)
    };
    let (width, height) = (width.min(window.0), height.min(window.1));
    Area {
        x: (window.0 - width) / 2,
        y: (window.1 - height) / 2,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_proportions_of_the_picture() {
        let area = |picture, window| {
            let Area {
                x,
                y,
                width,
                height,
            } = fit(picture, window);
            (x, y, width, height)
        };
        assert_eq!(area((640, 360), (640, 360)), (0, 0, 640, 360));
        assert_eq!(area((640, 360), (800, 800)), (0, 175, 800, 450));
        assert_eq!(area((640, 360), (1000, 360)), (180, 0, 640, 360));
        assert_eq!(area((1000, 1), (10, 10)), (0, 4, 10, 1));
        assert_eq!(area((1, 1000), (10, 10)), (4, 0, 1, 10));
        assert_eq!(area((640, 360), (0, 0)), (0, 0, 0, 0));
    }
}
