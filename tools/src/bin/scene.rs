//! Draws the scene of `sample-media/`: hills pass by, the sun stands, a ball jumps.
//!
//! `scene WxH@FPS FRAMES` writes YUV4MPEG2 (4:2:0, limited range) to standard output. The same
//! arguments lead to the same bytes.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (width, height, rate) = arguments
        .next()
        .as_deref()
        .and_then(size)
        .context("usage: scene WxH@FPS FRAMES, width and height even")?;
    let frames: usize = arguments
        .next()
        .context("how many frames?")?
        .parse()
        .context("how many frames?")?;
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(
        out,
        "YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg"
    )?;
    for frame in 0..frames {
        out.write_all(b"FRAME\n")?;
        let time = frame as f32 / rate as f32;
        out.write_all(&picture(width, height, time))?;
    }
    Ok(out.flush()?)
}

fn size(text: &str) -> Option<(usize, usize, usize)> {
    let (size, rate) = text.split_once('@')?;
    let (width, height) = size.split_once('x')?;
    let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
    let even = width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0;
    Some((width, height, rate.parse().ok()?)).filter(|_| even)
}

/// The planes of the picture at `time` in seconds.
fn picture(width: usize, height: usize, time: f32) -> Vec<u8> {
    let mut luma = Vec::with_capacity(width * height);
    let mut chroma = [vec![0.0; width * height / 4], vec![0.0; width * height / 4]];
    let scale = 1.0 / height as f32;
    for row in 0..height {
        for column in 0..width {
            let colour = colour(column as f32 * scale, row as f32 * scale, scale, time);
            let [y, u, v] = yuv(colour);
            luma.push(y as u8);
            let at = row / 2 * (width / 2) + column / 2;
            chroma[0][at] += u / 4.0;
            chroma[1][at] += v / 4.0;
        }
    }
    luma.extend(chroma.iter().flatten().map(|&value| value as u8));
    luma
}

/// Red, green and blue from 0 to 1 at a point. The picture has height 1, its top left corner is 0,
/// and a pixel is `pixel` wide.
fn colour(x: f32, y: f32, pixel: f32, time: f32) -> [f32; 3] {
    let mut colour = mix([0.36, 0.62, 0.93], [0.98, 0.88, 0.74], (y / 0.62).min(1.0));
    let glow = distance(x, y, 1.35, 0.24);
    colour = mix(colour, [1.0, 0.95, 0.75], 0.5 * (1.0 - glow / 0.5).max(0.0));
    colour = mix(colour, [1.0, 0.93, 0.55], inside(glow - 0.085, pixel));

    for (index, (base, speed, shade)) in HILLS.into_iter().enumerate() {
        let along = x + time * speed + index as f32 * 3.7;
        let edge = base
            + 0.050 * (along * 2.1).sin()
            + 0.028 * (along * 4.7 + 1.3).sin()
            + 0.010 * (along * 11.0).sin();
        let depth = (y - edge).max(0.0);
        // Speckles that move with their hill. They are stronger in front.
        let cell = 0.004 + 0.003 * index as f32;
        let speckle = hash((along / cell).floor(), (y / cell).floor()) - 0.5;
        let light = 1.0 - 0.7 * depth + 0.05 * index as f32 * speckle;
        colour = mix(
            colour,
            shade.map(|part| part * light),
            inside(edge - y, pixel),
        );
    }

    // Ball and shadow. The ball touches the ground once a second.
    let phase = time.fract() * 2.0 - 1.0;
    let (ball_x, ball_y, radius) = (0.78, 0.80 - 0.42 * (1.0 - phase * phase), 0.075);
    let shadow = distance(x, (y - 0.885) * 4.0, ball_x, 0.0) - radius * 0.9;
    colour = mix(colour, [0.07, 0.16, 0.08], 0.6 * inside(shadow, 0.03));
    let (left, down) = ((x - ball_x) / radius, (y - ball_y) / radius);
    let turn = time * 2.6;
    let angle = down.atan2(left) - turn;
    let panel = if (angle * 3.0).sin() > 0.0 {
        [0.90, 0.16, 0.14]
    } else {
        [0.97, 0.95, 0.90]
    };
    let light = (1.0 - 0.35 * (left * 0.6 + down * 0.8)).clamp(0.45, 1.15);
    let ball = distance(x, y, ball_x, ball_y) - radius;
    mix(
        colour,
        panel.map(|part| (part * light).min(1.0)),
        inside(ball, pixel),
    )
}

/// Height of the edge, speed and colour of the hills, the farthest first.
const HILLS: [(f32, f32, [f32; 3]); 4] = [
    (0.52, 0.03, [0.58, 0.68, 0.80]),
    (0.60, 0.08, [0.42, 0.60, 0.58]),
    (0.70, 0.18, [0.30, 0.56, 0.34]),
    (0.84, 0.42, [0.20, 0.46, 0.20]),
];

fn distance(x: f32, y: f32, to_x: f32, to_y: f32) -> f32 {
    (x - to_x).hypot(y - to_y)
}

/// 1 if `distance` is negative, 0 if it is positive, with a transition as wide as `soft`.
fn inside(distance: f32, soft: f32) -> f32 {
    (0.5 - distance / soft).clamp(0.0, 1.0)
}

fn mix(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    std::array::from_fn(|part| from[part] + (to[part] - from[part]) * share)
}

/// A number from 0 to 1 that depends only on the cell of a grid.
fn hash(column: f32, row: f32) -> f32 {
    let mixed = (column as i32 as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((row as i32 as u32).wrapping_mul(0x85EB_CA77));
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0xC2B2_AE3D);
    ((mixed ^ (mixed >> 13)) & 0xFFFF) as f32 / 65_535.0
}

/// BT.601, limited range. The added 0.5 rounds, because the values are truncated to whole numbers
/// afterwards.
fn yuv([red, green, blue]: [f32; 3]) -> [f32; 3] {
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [
        16.5 + 219.0 * luma,
        128.5 + 224.0 * (blue - luma) / 1.772,
        128.5 + 224.0 * (red - luma) / 1.402,
    ]
}
