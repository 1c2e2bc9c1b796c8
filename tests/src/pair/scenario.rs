//! The parameters of a run.

use std::ops::Range;
use std::time::Duration;

use framegram_common::{receiver, sender};
use framegram_lab::impair::Impairment;

use super::Waiting;

/// The parameters of a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The sender's settings.
    pub transmitter: sender::Config,
    /// The viewer's settings.
    pub receiver: receiver::Config,
    /// Impairment from sender to viewer.
    pub forward: Impairment,
    /// Impairment from viewer to sender.
    pub backward: Impairment,
    /// Frame interval.
    pub interval: Duration,
    /// Additions to the frame interval, used cyclically: a source with irregular
    /// timing.
    pub hesitations: Vec<Duration>,
    /// When the viewer starts to listen.
    pub join: Duration,
    /// The lives of the sender. Without any, it sends all frames and says bye.
    pub lives: Vec<Life>,
    /// Time from which on nothing from the sender arrives.
    pub cut: Option<Duration>,
    /// What the sender's interface carries, in bytes of UDP payload, if the sender is
    /// to search for what the path carries.
    pub ceiling: Option<usize>,
    /// From when on no datagrams longer than this arrive.
    pub narrows: Option<(Duration, usize)>,
    /// Periods in which everything sent is lost, in both directions.
    pub outages: Vec<Range<Duration>>,
    /// Whether the viewer connects to the sender.
    pub pull: bool,
    /// Periods in which the viewer does not read its socket.
    pub stalls: Vec<Range<Duration>>,
    /// Periods in which the sender has no processor.
    pub stops: Vec<Range<Duration>>,
    /// Number of datagrams that the viewer's socket buffer holds in a stall.
    pub buffer: usize,
    /// How long the programs wait for the processor.
    pub waits: Waiting,
}

/// One life of the sender. Each further one is a restart with another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Maximum number of frames.
    pub frames: usize,
    /// Time from the last frame until the sender is killed; `None` if it says
    /// bye.
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
            ceiling: None,
            narrows: None,
            outages: Vec::new(),
            pull: false,
            stalls: Vec::new(),
            stops: Vec::new(),
            buffer: usize::MAX,
            waits: Waiting::default(),
        }
    }
}

const CLOCK_ID: u64 = 1;
