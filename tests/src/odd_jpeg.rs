//! JPEGs as unusual devices write them: a baseline writer with all their variations, chosen by
//! seed.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>; the tables are those of
//! annex K.

mod coding;
mod otherwise;

use std::f32::consts::PI;

use fastrand::Rng;
use framegram_common::jpeg::{STANDARD_TABLES, Splitter};

use self::coding::{Bits, ZIGZAG, write_block};
pub use self::otherwise::coded_otherwise;

/// The variations of a JPEG, any of which may be combined.
#[derive(Clone, Debug)]
pub struct Oddities {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Horizontal and vertical sampling factors of each component.
    pub sampling: Vec<(usize, usize)>,
    /// Minimum coded units from restart to restart; 0 for none.
    pub restart: usize,
    /// The number of the first restart marker.
    pub first_restart: u8,
    /// Whether one more restart marker precedes the end.
    pub extra_restart: bool,
    /// Whether the header states the restart interval.
    pub states_restart: bool,
    /// Stray bytes before each restart marker, and before the end.
    pub stray: (Vec<u8>, Vec<u8>),
    /// Whether the JPEG has Huffman tables.
    pub has_tables: bool,
    /// How often the start of image is written.
    pub starts: usize,
    /// Whether there is an end of image.
    pub has_end: bool,
    /// Bytes between the segments of the header.
    pub padding: Vec<u8>,
    /// Fill bytes before each marker of the header.
    pub fill: usize,
    /// Application segments: marker and content.
    pub applications: Vec<(u8, Vec<u8>)>,
    /// The version in the JFIF segment, if there is one.
    pub jfif: Option<[u8; 2]>,
    /// Whether the height follows the scan.
    pub late_height: bool,
    /// The frame header's marker: baseline or extended.
    pub frame: u8,
    /// The end of the spectral selection in the scan header.
    pub last_coefficient: u8,
    /// How quantization tables are written.
    pub tables: Tables,
    /// Bytes after the end.
    pub trailing: Vec<u8>,
    /// Missing rows of minimum coded units.
    pub missing_rows: usize,
    /// Seed of the picture.
    pub seed: u64,
}

/// How quantization tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// A segment for each.
    Apart,
    /// Both in one.
    Together,
    /// Twice.
    Doubled,
    /// One for each component.
    Three,
}

/// Combinations of sampling factors that occur in practice.
pub const SAMPLINGS: [&[(usize, usize)]; 11] = [
    &[(2, 2), (1, 1), (1, 1)],
    &[(2, 1), (1, 1), (1, 1)],
    &[(1, 1), (1, 1), (1, 1)],
    &[(1, 2), (1, 1), (1, 1)],
    &[(4, 1), (1, 1), (1, 1)],
    &[(1, 4), (1, 1), (1, 1)],
    &[(1, 1)],
    &[(2, 2)],
    &[(2, 2), (2, 1), (2, 1)],
    &[(2, 2), (1, 2), (1, 2)],
    &[(2, 1), (2, 1), (2, 1)],
];

impl Oddities {
    /// No variation.
    pub fn none(size: (usize, usize), seed: u64) -> Self {
        Self {
            size,
            sampling: vec![(2, 2), (1, 1), (1, 1)],
            restart: 0,
            first_restart: 0,
            extra_restart: false,
            states_restart: true,
            stray: (Vec::new(), Vec::new()),
            has_tables: true,
            starts: 1,
            has_end: true,
            padding: Vec::new(),
            fill: 0,
            applications: Vec::new(),
            jfif: Some([1, 1]),
            late_height: false,
            frame: 0xc0,
            last_coefficient: 63,
            tables: Tables::Apart,
            trailing: Vec::new(),
            missing_rows: 0,
            seed,
        }
    }

    /// Some variations, as often a single one as many together.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut odd = Self::none((rng.usize(17..90), rng.usize(17..90)), rng.u64(..));
        let share = [0.05, 0.15, 0.4][rng.usize(..3)];
        let is = |rng: &mut Rng| rng.f64() < share;
        let bytes = |rng: &mut Rng, most: usize| -> Vec<u8> {
            let len = rng.usize(1..=most);
            (0..len).map(|_| rng.u8(..0xff)).collect()
        };
        if rng.bool() {
            odd.sampling = SAMPLINGS[rng.usize(..SAMPLINGS.len())].to_vec();
        }
        if rng.bool() {
            odd.restart = rng.usize(1..8);
        }
        if is(rng) {
            odd.first_restart = rng.u8(1..8);
        }
        odd.extra_restart = is(rng);
        if is(rng) {
            odd.stray.0 = bytes(rng, 9);
        }
        if is(rng) {
            odd.stray.1 = bytes(rng, 20);
        }
        odd.has_tables = !is(rng);
        odd.starts = 1 + usize::from(is(rng));
        odd.has_end = !is(rng);
        if is(rng) {
            odd.padding = vec![0; rng.usize(1..20)];
        }
        if is(rng) {
            odd.fill = rng.usize(1..9);
        }
        if is(rng) {
            for _ in 0..rng.usize(1..4) {
                let content = bytes(rng, 300);
                odd.applications.push((rng.u8(0xe1..=0xef), content));
            }
            // A thumbnail in one of them.
            let small = Self::none((16, 16), rng.u64(..)).write();
            odd.applications.push((0xe1, small));
        }
        odd.jfif = match rng.u8(..4) {
            0 => None,
            1 => Some([2, 1]),
            _ => Some([1, 1]),
        };
        odd.late_height = is(rng);
        if is(rng) {
            odd.frame = 0xc1;
        }
        if is(rng) {
            odd.last_coefficient = rng.u8(..63);
        }
        if is(rng) {
            odd.tables = [Tables::Together, Tables::Doubled, Tables::Three][rng.usize(..3)];
        }
        if is(rng) {
            odd.trailing = bytes(rng, 2_000);
        }
        // Stray bytes before a restart cannot be distinguished from units.
        odd.states_restart = !odd.stray.0.is_empty() || !is(rng);
        odd
    }

    /// Whether `djpeg` cannot serve as a reference: libjpeg gives up if the start is doubled or the
    /// height follows the scan, and misreads restart markers that are renumbered or whose interval
    /// is not stated.
    pub fn is_beyond_djpeg(&self) -> bool {
        let is_numbered = self.restart == 0 || self.first_restart == 0;
        let is_stated = self.restart == 0 || self.states_restart;
        self.late_height || self.starts > 1 || !is_numbered || !is_stated
    }

    /// The same without the variations of [`is_beyond_djpeg`](Self::is_beyond_djpeg).
    pub fn for_djpeg(&self) -> Self {
        Self {
            late_height: false,
            starts: 1,
            first_restart: 0,
            states_restart: true,
            ..self.clone()
        }
    }

    /// The number of rows of minimum coded units.
    pub fn rows(&self) -> usize {
        let down = self.sampling.iter().map(|own| own.1).max().unwrap_or(1);
        let down = if self.sampling.len() == 1 { 1 } else { down };
        self.size.1.div_ceil(8 * down)
    }

    /// The JPEG.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.starts {
            out.extend([0xff, 0xd8]);
        }
        if let Some([major, minor]) = self.jfif {
            let body = [b"JFIF\0", &[major, minor, 0, 0, 1, 0, 1, 0, 0][..]].concat();
            self.segment(&mut out, 0xe0, &body);
        }
        for (marker, content) in &self.applications {
            self.segment(&mut out, *marker, content);
        }
        self.write_quantization(&mut out);
        let (width, height) = self.size;
        let told = if self.late_height { 0 } else { height as u16 };
        let mut frame = vec![8];
        frame.extend(told.to_be_bytes());
        frame.extend((width as u16).to_be_bytes());
        frame.push(self.sampling.len() as u8);
        for (index, (across, down)) in self.sampling.iter().enumerate() {
            frame.extend([
                index as u8 + 1,
                (across << 4 | down) as u8,
                self.table(index),
            ]);
        }
        self.segment(&mut out, self.frame, &frame);
        if self.has_tables {
            for table in &STANDARD_TABLES {
                let body = [&[table.id], &table.lengths[..], table.symbols].concat();
                self.segment(&mut out, 0xc4, &body);
            }
        }
        if self.restart > 0 && self.states_restart {
            self.segment(&mut out, 0xdd, &(self.restart as u16).to_be_bytes());
        }
        let mut scan = vec![self.sampling.len() as u8];
        for index in 0..self.sampling.len() {
            scan.extend([index as u8 + 1, if index == 0 { 0 } else { 0x11 }]);
        }
        scan.extend([0, self.last_coefficient, 0]);
        self.segment(&mut out, 0xda, &scan);
        self.write_scan(&mut out);
        if self.late_height {
            out.extend([0xff, 0xdc, 0, 4]);
            out.extend((height as u16).to_be_bytes());
        }
        if self.has_end {
            out.extend([0xff, 0xd9]);
            out.extend(&self.trailing);
        }
        out
    }

    fn segment(&self, out: &mut Vec<u8>, marker: u8, body: &[u8]) {
        // A start of image without a marker right after it is not one.
        if out.len() > 2 * self.starts {
            out.extend(&self.padding);
        }
        out.extend(vec![0xff; self.fill + 1]);
        out.push(marker);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
    }

    /// The number of a component's quantization table.
    fn table(&self, component: usize) -> u8 {
        match (component, self.tables) {
            (0, _) => 0,
            (2, Tables::Three) => 2,
            _ => 1,
        }
    }

    fn write_quantization(&self, out: &mut Vec<u8>) {
        let table = |number: u8, value: u8| -> Vec<u8> {
            std::iter::once(number)
                .chain((0..64).map(|at| value + at / 4))
                .collect()
        };
        let (luma, chroma) = (table(0, 8), table(1, 12));
        match self.tables {
            Tables::Together => self.segment(out, 0xdb, &[luma, chroma].concat()),
            Tables::Apart | Tables::Doubled | Tables::Three => {
                self.segment(out, 0xdb, &luma);
                self.segment(out, 0xdb, &chroma);
                if self.tables == Tables::Doubled {
                    self.segment(out, 0xdb, &luma);
                }
                if self.tables == Tables::Three {
                    self.segment(out, 0xdb, &table(2, 12));
                }
            }
        }
    }

    fn write_scan(&self, out: &mut Vec<u8>) {
        let count = self.sampling.len();
        let is_single = count == 1;
        let factors: Vec<_> = match is_single {
            true => vec![(1, 1)],
            false => self.sampling.clone(),
        };
        let most = |of: fn(&(usize, usize)) -> usize| factors.iter().map(of).max().unwrap_or(1);
        let (across, down) = (most(|own| own.0), most(|own| own.1));
        let (width, height) = self.size;
        let (columns, rows) = (width.div_ceil(8 * across), height.div_ceil(8 * down));
        let mut bits = Bits::default();
        let mut before = vec![0; count];
        let mut restarts = 0;
        let total = columns * rows.saturating_sub(self.missing_rows);
        for unit in 0..total {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                bits.align(out);
                out.extend(&self.stray.0);
                out.extend([0xff, 0xd0 + (restarts + self.first_restart) % 8]);
                restarts = (restarts + 1) % 8;
                before.fill(0);
            }
            let place = (unit % columns, unit / columns);
            for (index, (own_across, own_down)) in factors.iter().enumerate() {
                let scale = (across / own_across, down / own_down);
                for y in 0..*own_down {
                    for x in 0..*own_across {
                        let at = (8 * (place.0 * own_across + x), 8 * (place.1 * own_down + y));
                        let block = self.block(index, at, scale);
                        write_block(&mut bits, out, &block, &mut before[index], index > 0);
                    }
                }
            }
        }
        bits.align(out);
        if self.extra_restart {
            out.extend([0xff, 0xd0 + (restarts + self.first_restart) % 8]);
        }
        out.extend(&self.stray.1);
    }

    /// The quantized coefficients of a block, in zigzag order.
    fn block(&self, component: usize, at: (usize, usize), scale: (usize, usize)) -> [i32; 64] {
        let mut samples = [[0.0_f32; 8]; 8];
        for (y, row) in samples.iter_mut().enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let (x, y) = ((at.0 + x) * scale.0, (at.1 + y) * scale.1);
                *sample = self.sample(component, x, y) - 128.0;
            }
        }
        let half = |index: usize| if index == 0 { 0.5_f32.sqrt() } else { 1.0 };
        let wave = |sample: usize, index: usize| {
            ((2 * sample + 1) as f32 * index as f32 * PI / 16.0).cos() / 2.0 * half(index)
        };
        let base = if component == 0 { 8 } else { 12 };
        std::array::from_fn(|order| {
            let (u, v) = (ZIGZAG[order] as usize % 8, ZIGZAG[order] as usize / 8);
            let mut sum = 0.0;
            for (y, row) in samples.iter().enumerate() {
                for (x, sample) in row.iter().enumerate() {
                    sum += sample * wave(x, u) * wave(y, v);
                }
            }
            (sum / (base + order / 4) as f32).round() as i32
        })
    }

    /// Gradients with some noise, different for each component.
    fn sample(&self, component: usize, x: usize, y: usize) -> f32 {
        let noise = (x * 7919 + y * 104_729 + component * 31) as u64 ^ self.seed;
        let noise = noise.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59;
        let slope = match component {
            0 => 60 + x + y,
            1 => 100 + x / 2,
            _ => 150 - y / 2,
        };
        (slope as u64 + noise).min(255) as f32
    }
}

/// The complete JPEGs in a recording.
pub fn in_recording(bytes: &[u8]) -> Vec<bytes::Bytes> {
    let mut splitter = Splitter::new();
    splitter.push(bytes);
    splitter.end();
    std::iter::from_fn(|| splitter.next_jpeg()).collect()
}
