//! AVI files as unusual recorders write them: Motion JPEG in RIFF chunks, with a header that may
//! claim anything.
//!
//! Source: Microsoft, "AVI RIFF File Reference",
//! <https://learn.microsoft.com/windows/win32/directshow/avi-riff-file-reference>.

/// A clip of Motion JPEG.
#[derive(Clone, Debug)]
pub struct Avi {
    /// Width and height in pixels according to the header.
    pub size: (u32, i32),
    /// Packets per second.
    pub rate: u32,
    /// Whether a padding byte follows chunks of odd length.
    pub pads: bool,
    /// Whether there is an index.
    pub has_index: bool,
    /// What the header calls the coding: `MJPG`, or something of its own.
    pub coding: [u8; 4],
}

impl Avi {
    /// The file with these packets.
    pub fn write(&self, packets: &[Vec<u8>]) -> Vec<u8> {
        let (width, height) = self.size;
        let count = packets.len() as u32;
        let head = [
            1_000_000 / self.rate,
            0,
            0,
            0x10,
            count,
            0,
            1,
            0,
            width,
            height.unsigned_abs(),
            0,
            0,
            0,
            0,
        ];
        let stream = [0, 0, 0, 1, self.rate, 0, count, 0, u32::MAX, 0, 0, 0];
        let format = [width, height as u32, 24 << 16 | 1];
        let format = [&[40], &format[..]].concat();
        let rest = [width * height.unsigned_abs() * 3, 0, 0, 0, 0];
        let stream = [b"vids", &self.coding[..], &numbers(&stream)].concat();
        let format = [&numbers(&format)[..], &self.coding, &numbers(&rest)].concat();
        let stream = list(b"strl", &[chunk(b"strh", &stream), chunk(b"strf", &format)]);
        let header = list(b"hdrl", &[chunk(b"avih", &numbers(&head)), stream]);
        let (mut clip, mut index) = (Vec::new(), Vec::new());
        for packet in packets {
            let place = [0x10, 4 + clip.len() as u32, packet.len() as u32];
            index.extend([b"00dc", &numbers(&place)[..]].concat());
            let mut whole = chunk(b"00dc", packet);
            if !self.pads {
                whole.truncate(8 + packet.len());
            }
            clip.extend(whole);
        }
        let mut parts = vec![b"AVI ".to_vec(), header, list(b"movi", &[clip])];
        if self.has_index {
            parts.push(chunk(b"idx1", &index));
        }
        chunk(b"RIFF", &parts.concat())
    }
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_le_bytes()).collect()
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32).to_le_bytes();
    let padding = &[0][..content.len() % 2];
    [name, &len[..], content, padding].concat()
}

fn list(name: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"LIST", &[&name[..], &parts.concat()].concat())
}
