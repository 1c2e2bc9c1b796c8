use super::*;
use crate::fixture::quadrants;

#[test]
fn draws_a_picture_with_black_beside_it() {
    let picture = XrgbImage {
        pixels: vec![0xff_0000; 4],
        width: 2,
        height: 2,
    };
    let mut canvas = Canvas::default();
    canvas.resize(8, 4);
    canvas.clear();
    canvas.draw_picture(&picture);
    for row in canvas.pixels().chunks(8) {
        assert_eq!(row[..2], [0; 2]);
        assert_eq!(row[2..6], [0xff_0000; 4]);
        assert_eq!(row[6..], [0; 2]);
    }
}

#[test]
fn outlines_what_is_stale_where_it_is_drawn() {
    let jpeg = quadrants(64, 48);
    let mut stale = Stale::default();
    // The middle two of four units in the second of three rows.
    stale.read(&jpeg, std::slice::from_ref(&(5..7)));
    let mut canvas = Canvas::default();
    for (scale, margin) in [(1, 0), (2, 10)] {
        canvas.resize(64 * scale + 2 * margin, 48 * scale);
        canvas.pixels.fill(0);
        canvas.outline(&stale, (64, 48));
        let width = canvas.width;
        for (at, pixel) in canvas.pixels().iter().enumerate() {
            let (x, y) = (at % width, at / width);
            let (left, right) = (margin + 16 * scale, margin + 48 * scale - 1);
            let (top, bottom) = (16 * scale, 32 * scale - 1);
            let inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
            let edge = x == left || x == right || y == top || y == bottom;
            assert_eq!(*pixel == OUTLINE, inside && edge, "{x}, {y}");
        }
    }
    for (width, height) in [(0, 0), (1, 1), (3, 200)] {
        canvas.resize(width, height);
        canvas.outline(&stale, (64, 48));
    }
}

#[test]
fn breaks_lines_at_spaces() {
    let lines = [
        "on the other machine".to_owned(),
        String::new(),
        "abcdefghijkl".to_owned(),
    ];
    assert_eq!(
        wrap(&lines, 10),
        ["on the", "other", "machine", "", "abcdefghij", "kl"]
    );
    assert_eq!(wrap(&lines[..1], 20), ["on the other machine"]);
}

#[test]
fn draws_text_at_every_size_of_the_window() {
    let lines = vec!["Waiting – 3 s é ✓".to_owned(); 5];
    let mut canvas = Canvas::default();
    for (width, height) in [(0, 0), (1, 1), (7, 300), (300, 7), (320, 180), (3840, 2160)] {
        canvas.resize(width, height);
        for place in [Place::TopLeft, Place::BottomLeft, Place::Centre] {
            canvas.clear();
            canvas.draw_panel(place, &lines);
            if width >= 300 && height >= 100 {
                assert!(canvas.pixels().contains(&TEXT), "{width}x{height}");
            }
        }
    }
}
