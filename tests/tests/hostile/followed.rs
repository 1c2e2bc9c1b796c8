//! Attackers beside a stream of RTP or of bare JPEGs. They know its SSRC and may forge its
//! address.

use framegram_common::receiver::{Config, Event};
use framegram_common::wire::rtp::{self, SenderInfo};
use framegram_common::wire::rtp_jpeg::{Fragment, JpegKind, Sampling};

use super::*;

const MS: Duration = Duration::from_millis(1);
const SOURCE: u32 = 0xca3e;

/// An address that sent nothing for this long gets no more reports.
const SILENT: Duration = Duration::from_secs(5);

/// An RTP sender. Its frames have three packets each, and all bytes of a frame are equal.
#[derive(Clone)]
pub(super) struct Camera {
    pub(super) source: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

impl Camera {
    pub(super) fn new(source: u32) -> Self {
        Self {
            source,
            sequence: 65_530,
            timestamp: u32::MAX - 9_000,
        }
    }

    pub(super) fn frame(&mut self, tag: u8) -> Vec<Vec<u8>> {
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: None,
            q: 60,
            width: 8,
            height: 8,
        };
        let packet = |index: u32| {
            let mut payload = Vec::new();
            let fragment = Fragment {
                kind,
                offset: 500 * index,
                chunk: None,
                tables: None,
                data: &[tag; 500],
            };
            fragment.encode(&mut payload);
            let packet = rtp::RtpPacket {
                sequence: self.sequence.wrapping_add(index as u16),
                timestamp: self.timestamp,
                source: self.source,
                marker: index == 2,
                payload_type: rtp::JPEG,
                payload: &payload,
            };
            let mut datagram = Vec::new();
            packet.encode(&mut datagram);
            datagram
        };
        let datagrams = (0..3).map(packet).collect();
        self.sequence = self.sequence.wrapping_add(3);
        self.timestamp = self.timestamp.wrapping_add(3_000);
        datagrams
    }

    fn info(&self) -> SenderInfo {
        SenderInfo {
            source: self.source,
            ntp: 1 << 40,
            ..SenderInfo::default()
        }
    }
}

/// A receiver, and the time and one byte of each image that it showed.
struct Shown {
    receiver: Receiver,
    frames: Vec<(Duration, u8)>,
    ended: bool,
    /// The bytes sent, by destination.
    sent: Vec<(SocketAddr, usize)>,
    /// When the receiver next has something to do.
    due: Option<Duration>,
}

impl Shown {
    fn new() -> Self {
        Self {
            receiver: Receiver::new(Config::default(), VIEWER, (1, 2), START),
            frames: Vec::new(),
            ended: false,
            sent: Vec::new(),
            due: None,
        }
    }

    fn take(&mut self, from: SocketAddr, datagrams: &[Vec<u8>], now: Duration) {
        for datagram in datagrams {
            self.receiver.handle_datagram(from, datagram, now);
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Duration) {
        self.receiver.handle_timeout(now);
        loop {
            match self.receiver.poll_output(now) {
                Output::Frame(frame) => {
                    let tag = frame.jpeg[frame.jpeg.len() - 3];
                    self.frames.push((now, tag));
                    let shown = SinkOutcome::Shown { at: now };
                    self.receiver.handle_outcome(frame.id, shown);
                }
                Output::Event(event) => self.ended |= matches!(event, Event::Ended { .. }),
                Output::Record(_) => {}
                Output::Transmit(Transmit { to, datagram, .. }) => {
                    self.sent.push((to, datagram.len()));
                }
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
            }
        }
    }

    /// Does everything that is due before `end`.
    fn wait(&mut self, mut now: Duration, end: Duration) {
        while now < end {
            let due = self.due.unwrap_or(end);
            now = due.clamp(now + MS, end);
            self.drain(now);
        }
    }

    fn tags(&self) -> Vec<u8> {
        self.frames.iter().map(|(_, tag)| *tag).collect()
    }
}

/// 60 frames of a camera at 30 frames per second. `attack` is called with the number of each frame
/// once it is shown.
fn under_attack(mut attack: impl FnMut(u8, &mut Shown, &Camera, Duration)) -> Shown {
    let (mut camera, mut shown) = (Camera::new(SOURCE), Shown::new());
    for number in 0..60 {
        let now = START + INTERVAL * u32::from(number);
        shown.take(at(1, 5004), &camera.frame(number), now);
        attack(number, &mut shown, &camera, now + MS);
    }
    shown
}

const FAKE: u8 = 0xee;

#[test]
fn a_forged_frame_far_ahead_is_not_shown_and_blocks_no_genuine_frame() {
    for from in [at(1, 5004), at(1, 9), at(66, 5004)] {
        for ahead in [200, 2_900, 30_000] {
            let shown = under_attack(|number, shown, camera, now| {
                if number % 20 == 10 {
                    let mut fake = camera.clone();
                    fake.sequence = fake.sequence.wrapping_add(ahead);
                    fake.timestamp = fake.timestamp.wrapping_add(u32::from(ahead) * 1_000);
                    shown.take(from, &fake.frame(FAKE), now);
                }
            });
            let expected: Vec<_> = (0..60).collect();
            assert_eq!(shown.tags(), expected, "{ahead} ahead from {from}");
        }
    }
}

#[test]
fn a_live_rtp_stream_is_accepted_only_from_its_own_address() {
    for source in [SOURCE, SOURCE + 1] {
        for from in [at(1, 9), at(66, 5004)] {
            let mut other = Camera::new(source);
            let shown = under_attack(|_, shown, camera, now| {
                (other.sequence, other.timestamp) = if source == SOURCE {
                    (camera.sequence, camera.timestamp)
                } else {
                    (other.sequence, other.timestamp)
                };
                shown.take(from, &other.frame(FAKE), now);
            });
            let expected: Vec<_> = (0..60).collect();
            assert_eq!(shown.tags(), expected, "{source:x} from {from}");
            assert_eq!(shown.receiver.statistics().stream.followed, 1);
        }
    }
}

/// The longest time without a picture when one sender is gone and another begins `pause` later,
/// both at 30 frames per second.
fn without_picture(pause: Duration, from: SocketAddr, source: u32, sequence: u16) -> Duration {
    let mut shown = under_attack(|_, _, _, _| {});
    let gone = shown.frames[59].0;
    let mut camera = Camera::new(source);
    camera.sequence = sequence;
    for number in 0..60 {
        let now = gone + pause + INTERVAL * u32::from(number);
        shown.take(from, &camera.frame(100 + number), now);
    }
    let next = shown.frames.get(60).expect("the next one is shown").0;
    assert!(shown.frames.len() >= 60 + 50);
    next - gone
}

#[test]
fn a_camera_that_restarts_is_shown_within_a_fifth_of_a_second() {
    for pause in [5 * MS, 40 * MS, 150 * MS, 400 * MS] {
        for from in [at(1, 5004), at(1, 9), at(2, 5004)] {
            for (source, sequence) in [(SOURCE, 20_000), (SOURCE, 63_700), (SOURCE + 1, 20_000)] {
                let longest = without_picture(pause, from, source, sequence);
                let most = pause.max(200 * MS) + 2 * INTERVAL;
                assert!(
                    longest <= most,
                    "{longest:?} after {pause:?} from {from}, {source:x} {sequence}"
                );
            }
        }
    }
}

#[test]
fn two_cameras_at_two_frames_per_second_do_not_alternate() {
    let (mut one, mut two) = (Camera::new(1), Camera::new(2));
    let mut shown = Shown::new();
    for number in 0..20 {
        let now = START + 500 * MS * number;
        shown.take(at(1, 5004), &one.frame(1), now);
        shown.take(at(2, 5004), &two.frame(2), now + 250 * MS);
    }
    let followed = shown.receiver.statistics().stream.followed;
    assert!(followed <= 2, "{followed} were followed");
    assert!(shown.frames.len() >= 18);
}

#[test]
fn a_bye_counts_when_nothing_follows_it() {
    let bye = |camera: &Camera| {
        let mut bye = Vec::new();
        rtp::encode_bye(&camera.info(), "camera", &mut bye);
        vec![bye]
    };
    // A forged packet, repeated while the stream goes on.
    let shown = under_attack(|_, shown, camera, now| shown.take(at(1, 5005), &bye(camera), now));
    assert!(!shown.ended, "a forged bye ended the stream");
    assert_eq!(shown.frames.len(), 60);
    // It changes nothing either when an outage follows much later.
    let camera = Camera::new(SOURCE);
    let mut outage = under_attack(|number, shown, camera, now| {
        if number == 20 {
            shown.take(at(1, 5005), &bye(camera), now);
        }
    });
    let last = outage.frames[59].0;
    outage.wait(last, last + SILENT);
    assert!(!outage.ended);
    // The sender's own bye.
    let mut shown = under_attack(|_, _, _, _| {});
    let last = shown.frames[59].0;
    shown.take(at(1, 5005), &bye(&camera), last + 10 * MS);
    shown.wait(last + 10 * MS, last + 220 * MS);
    assert!(shown.ended, "a true bye ends it");
}

#[test]
fn reports_go_only_to_addresses_that_sent_more_and_are_not_silent() {
    let mut report = Vec::new();
    let mut camera = Camera::new(SOURCE);
    rtp::encode_sender(&camera.info(), "c", &mut report);
    // The smallest stream that is followed: two packets of one byte each.
    let fragments = |sequence: u16| {
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: None,
            q: 60,
            width: 8,
            height: 8,
        };
        let offset = u32::from(sequence);
        let fragment = Fragment {
            kind,
            offset,
            chunk: None,
            tables: None,
            data: &[1],
        };
        let (mut payload, mut datagram) = (Vec::new(), Vec::new());
        fragment.encode(&mut payload);
        let packet = rtp::RtpPacket {
            sequence,
            timestamp: 0,
            source: SOURCE,
            marker: false,
            payload_type: rtp::JPEG,
            payload: &payload,
        };
        packet.encode(&mut datagram);
        datagram
    };
    let asked = [report.clone(), fragments(0), fragments(1), report.clone()];
    let came: usize = asked.iter().map(Vec::len).sum();
    let mut shown = Shown::new();
    shown.take(at(66, 5004), &asked, START);
    shown.wait(START, START + 60 * SILENT);
    let sent: usize = shown.sent.iter().map(|(_, len)| len).sum();
    assert!(sent <= came, "{sent} bytes for {came}");

    // A camera gets reports as long as it sends.
    let mut shown = Shown::new();
    for number in 0..600 {
        let now = START + INTERVAL * number;
        shown.take(at(1, 5004), &camera.frame(1), now);
        if number % 150 == 9 {
            shown.take(at(1, 5005), std::slice::from_ref(&report), now);
        }
    }
    assert!(shown.sent.len() > 3 && shown.sent.iter().all(|(to, _)| *to == at(1, 5005)));
    let last = START + INTERVAL * 600;
    shown.wait(last, last + SILENT);
    let before = shown.sent.len();
    shown.wait(last + SILENT, last + 20 * SILENT);
    assert_eq!(shown.sent.len(), before, "reports into silence");
}

const BARE: &[u8] = include_bytes!("../../../common/fixtures/opencv-64x48.jpg");
const OTHER: &[u8] = include_bytes!("../../../common/src/fuzzing/sliced.jpg");

/// A program that sends bare JPEGs, 30 a second, from `START` on.
fn bare(shown: &mut Shown, from: SocketAddr, jpeg: &[u8], begin: Duration, frames: u32) {
    let pieces: Vec<_> = jpeg.chunks(500).map(<[u8]>::to_vec).collect();
    for number in 0..frames {
        shown.take(from, &pieces, begin + INTERVAL * number);
    }
}

#[test]
fn a_script_that_restarts_is_shown_within_a_fifth_of_a_second() {
    for pause in [5 * MS, 40 * MS, 150 * MS, 400 * MS] {
        let mut shown = Shown::new();
        bare(&mut shown, at(1, 5004), BARE, START, 30);
        let gone = shown.frames[29].0;
        bare(&mut shown, at(1, 5005), BARE, gone + pause, 30);
        let longest = shown.frames.get(30).expect("the next one is shown").0 - gone;
        let most = pause.max(200 * MS) + 2 * INTERVAL;
        assert!(longest <= most, "{longest:?} after {pause:?}");
        assert!(shown.frames.len() >= 30 + 24);
    }
}

#[test]
fn a_live_script_is_not_displaced() {
    let mut shown = Shown::new();
    for number in 0..60 {
        let now = START + INTERVAL * number;
        bare(&mut shown, at(1, 5004), BARE, now, 1);
        bare(&mut shown, at(66, 5004), OTHER, now + MS, 1);
    }
    assert_eq!(shown.frames.len(), 60);
    assert_eq!(shown.receiver.statistics().stream.followed, 1);
}
