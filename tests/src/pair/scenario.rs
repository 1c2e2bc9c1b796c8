//! What a run of the pair is made of.

use std::ops::Range;
use std::time::Duration;

use framegram_common::{receiver, sender};
use framegram_lab::impair::Impairment;

use super::Waiting;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The sender's settings.
    pub transmitter: sender::Config,
    /// The viewer's settings.
    pub receiver: receiver::Config,
    /// What happens to datagrams from sender to viewer.
    pub forward: Impairment,
    /// What happens to datagrams from viewer to sender.
    pub backward: Impairment,
    /// Time from frame to frame.
    pub interval: Duration,
    /// What is added to it after each frame in turn, over and over: a source
    /// that hesitates.
    pub hesitations: Vec<Duration>,
    /// When the viewer begins to listen.
    pub join: Duration,
    /// The sender's lives, one after another; none is one that sends all
    /// frames and says bye.
    pub lives: Vec<Life>,
    /// From when on nothing of the sender arrives.
    pub cut: Option<Duration>,
    /// When nothing arrives that is sent meanwhile, in either direction.
    pub outages: Vec<Range<Duration>>,
    /// Whether the viewer asks for the stream, which does not come unasked.
    pub pull: bool,
    /// When the viewer does not look into its socket.
    pub stalls: Vec<Range<Duration>>,
    /// How many datagrams the socket's buffer holds meanwhile.
    pub buffer: usize,
    /// How long the programs wait for their turn.
    pub waits: Waiting,
}

/// One life of the sender: another one is a restart, and another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How many frames it sends at most.
    pub frames: usize,
    /// Whether it says bye, or is killed so long after its last frame.
    pub killed_after: Option<Duration>,
    /// Time until the next life begins.
    pub pause: Duration,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            frames: usize::MAX,
            killed_after: None,
            pause: Duration::ZERO,
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        let interval = Duration::from_micros(33_333);
        let transmitter = sender::Config {
            interval: Some(interval),
            clock_id: Some(CLOCK_ID),
            ..sender::Config::default()
        };
        let receiver = receiver::Config {
            clock_id: |_| Some(CLOCK_ID),
            ..receiver::Config::default()
        };
        Self {
            transmitter,
            receiver,
            forward: Impairment::default(),
            backward: Impairment::default(),
            interval,
            hesitations: Vec::new(),
            join: Duration::ZERO,
            lives: Vec::new(),
            cut: None,
            outages: Vec::new(),
            pull: false,
            stalls: Vec::new(),
            buffer: usize::MAX,
            waits: Waiting::default(),
        }
    }
}

const CLOCK_ID: u64 = 1;
