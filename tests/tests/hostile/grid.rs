//! Attackers of a grid: its tiles, its memory and what it sends.

use framegram_common::receiver::{Config, MAX_HELD, MAX_TILES, MAX_TILES_OF_ONE_ADDRESS, Policy};
use framegram_common::wire::native::{Challenge, Reject, SenderReport};

use super::followed::Camera;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// One of the many addresses that attackers send from.
fn stranger(number: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, (number >> 8) as u8, number as u8], 5005))
}

fn grid() -> Receiver {
    let config = Config {
        policy: Policy::Grid,
        ..Config::default()
    };
    Receiver::new(config, VIEWER, (1, 2), START)
}

/// Lets the grid do what is due. Returns the senders whose frames it showed, and the bytes that it
/// sent.
fn drain(grid: &mut Receiver, now: Duration) -> (Vec<SocketAddr>, usize) {
    grid.handle_timeout(now);
    let (mut shown, mut sent) = (Vec::new(), 0);
    loop {
        match grid.poll_output(now) {
            Output::Frame(frame) => {
                shown.push(grid.from(frame.tile).unwrap());
                grid.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
            }
            Output::Event(_) | Output::Record(_) => {}
            Output::Transmit(Transmit { datagram, .. }) => sent += datagram.len(),
            Output::Timeout(_) => return (shown, sent),
        }
    }
}

/// The shortest packet of each kind that a sender sends.
fn shortest(stream: u64) -> Vec<Vec<u8>> {
    let data = [0; 100];
    let mut forger = Forger::new();
    forger.stream = stream;
    [
        Packet::Challenge(Challenge::default()),
        Packet::Reject(Reject::default()),
        Packet::SenderReport(SenderReport::default()),
        Packet::Chunk(claim(FrameNumber(0), 300, 100, 0, &data)),
    ]
    .map(|packet| forger.datagram(&packet, START))
    .to_vec()
}

/// The complete frames of a native sender.
struct Native(Sender);

impl Native {
    fn new(stream: u64) -> Self {
        let config = sender::Config {
            pace: false,
            ..sender::Config::default()
        };
        Self(Sender::new(config, stream, START))
    }

    fn frame(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let jpeg = Bytes::from_static(b"a frame");
        self.0.handle_frame(jpeg, now, None, now).unwrap();
        let (mut datagrams, mut out) = (Vec::new(), Vec::new());
        while let sender::Output::Transmit(transmit) = self.0.poll_output(now, &mut out) {
            datagrams.extend(out.chunks(transmit.segment).map(<[u8]>::to_vec));
        }
        datagrams
    }
}

#[test]
fn strangers_without_a_frame_block_no_sender() {
    for kind in 0..4 {
        let mut grid = grid();
        for number in 0..2 * MAX_TILES as u16 {
            let datagram = &shortest(number.into())[kind];
            grid.handle_datagram(stranger(number), datagram, START);
            drain(&mut grid, START);
        }
        let now = START + 10 * MS;
        let mut camera = Camera::new(5);
        for datagram in Native::new(STREAM).frame(now) {
            grid.handle_datagram(sender(), &datagram, now);
        }
        for datagram in camera.frame(1) {
            grid.handle_datagram(at(9, 5004), &datagram, now);
        }
        let (shown, _) = drain(&mut grid, now);
        assert_eq!(shown.len(), 2, "kind {kind}: {shown:?}");
    }
}

/// Attackers that send one small frame from each of many addresses keep a tile only as long as they
/// are heard, which is no time at all.
#[test]
fn strangers_with_a_frame_each_block_no_sender() {
    let mut grid = grid();
    for number in 0..MAX_TILES as u16 {
        for datagram in Native::new(number.into()).frame(START) {
            grid.handle_datagram(stranger(number), &datagram, START);
        }
        drain(&mut grid, START);
    }
    let mut native = Native::new(STREAM);
    let mut shown = Vec::new();
    for tick in 1..60 {
        let now = START + INTERVAL * tick;
        for datagram in native.frame(now) {
            grid.handle_datagram(sender(), &datagram, now);
        }
        shown.extend(drain(&mut grid, now).0);
    }
    assert!(shown.len() > 45, "{} of 59", shown.len());
    assert!(shown.iter().all(|from| *from == sender()));
}

#[test]
fn one_address_has_no_more_than_its_share_of_the_places() {
    let mut grid = grid();
    let mut natives: Vec<_> = (0..100).map(Native::new).collect();
    for tick in 0..3 {
        let now = START + INTERVAL * tick;
        for (number, native) in natives.iter_mut().enumerate() {
            for datagram in native.frame(now) {
                grid.handle_datagram(at(66, number as u16 + 1), &datagram, now);
            }
        }
        drain(&mut grid, now);
    }
    assert!(grid.tiles() <= MAX_TILES_OF_ONE_ADDRESS, "{}", grid.tiles());
    for number in 0..(MAX_TILES - MAX_TILES_OF_ONE_ADDRESS) as u16 {
        let now = START + INTERVAL * 3;
        for datagram in Native::new(1_000 + u64::from(number)).frame(now) {
            grid.handle_datagram(stranger(number), &datagram, now);
        }
        let (shown, _) = drain(&mut grid, now);
        assert_eq!(shown, [stranger(number)]);
    }
}

/// One chunk of each of many frames of 16 MB, from each of 64 streams.
#[test]
fn all_streams_together_hold_no_more_than_the_bound() {
    const LEN: usize = 16 << 20;
    let data = vec![0x5a; 1_400];
    let (_, memory) = measure(|| {
        let mut grid = grid();
        let mut forgers: Vec<_> = (0..MAX_TILES as u64).map(|_| Forger::new()).collect();
        for frame in 0..12 {
            let now = START + MS * frame;
            for (number, forger) in forgers.iter_mut().enumerate() {
                forger.stream = number as u64;
                let chunk = claim(FrameNumber(frame.into()), LEN, data.len(), 0, &data);
                let datagram = forger.datagram(&Packet::Chunk(chunk), now);
                grid.handle_datagram(stranger(number as u16), &datagram, now);
            }
            drain(&mut grid, now);
        }
        grid
    });
    // And what each stream takes in addition to its frames.
    let most = MAX_HELD + LEN + MAX_TILES * (1 << 20);
    assert_bounded("64 streams", memory, most);
}

/// The stream that uses most memory pays: an ordinary stream beside it loses no frame.
#[test]
fn an_ordinary_stream_next_to_memory_hogs_loses_no_frame() {
    const LEN: usize = 16 << 20;
    let data = vec![0x5a; 1_400];
    let mut grid = grid();
    let mut forgers: Vec<_> = (0..40).map(|_| Forger::new()).collect();
    let mut native = Native::new(STREAM);
    let mut shown = 0;
    for frame in 0..30_u32 {
        let now = START + INTERVAL * frame;
        for (number, forger) in forgers.iter_mut().enumerate() {
            forger.stream = number as u64;
            let chunk = claim(FrameNumber(frame.into()), LEN, data.len(), 0, &data);
            let datagram = forger.datagram(&Packet::Chunk(chunk), now);
            grid.handle_datagram(stranger(number as u16), &datagram, now);
        }
        for datagram in native.frame(now) {
            grid.handle_datagram(sender(), &datagram, now);
        }
        let (from, _) = drain(&mut grid, now);
        shown += from.iter().filter(|from| **from == sender()).count();
    }
    assert_eq!(shown, 30);
}

/// What arrives with a victim's address causes no more bytes than it has itself, over all tiles
/// together, and nothing after a while.
#[test]
fn a_grid_cannot_be_used_as_a_reflector() {
    for kind in 0..4 {
        let mut grid = grid();
        let (mut came, mut sent, mut late) = (0, 0, 0);
        for port in 0..64 {
            let datagram = &shortest(port.into())[kind];
            came += datagram.len();
            grid.handle_datagram(at(66, port + 1), datagram, START);
            sent += drain(&mut grid, START).1;
        }
        for tick in 0..6_000 {
            let now = START + 10 * MS * tick;
            let more = drain(&mut grid, now).1;
            sent += more;
            late += if tick > 550 { more } else { 0 };
        }
        assert!(sent <= came, "kind {kind}: {sent} bytes for {came}");
        assert_eq!(late, 0, "kind {kind}");
    }
}
