//! Capture times in a Motion JPEG recording, in a header between frames. Cameras write such headers
//! over HTTP, and all players skip them.

use std::io::{self, Write};
use std::time::Duration;

use framegram_common::SenderTime;
use framegram_common::receiver::ReceivedFrame;

/// Times since the first frame of a recording.
#[derive(Default)]
pub(super) struct PartTimes {
    /// When the first frame was complete, on this machine's clock.
    begun: Option<Duration>,
    /// The present stream: its session, when its first frame was captured, and the recording time
    /// of that frame.
    stream: Option<(u64, SenderTime, Duration)>,
}

impl PartTimes {
    /// Writes the header before a frame. There is none before the first frame, so that a recording
    /// begins with a JPEG.
    pub(super) fn write(&mut self, frame: &ReceivedFrame, out: &mut impl Write) -> io::Result<()> {
        let Some(begun) = self.begun else {
            self.begun = Some(frame.completed);
            self.stream = Some((frame.id.session, frame.captured, Duration::ZERO));
            return Ok(());
        };
        let since_begun = frame.completed.saturating_sub(begun);
        let stream = self
            .stream
            .filter(|(session, ..)| *session == frame.id.session)
            // Another sender has another clock.
            .unwrap_or((frame.id.session, frame.captured, since_begun));
        self.stream = Some(stream);
        let time = stream.2 + frame.captured.saturating_sub(stream.1);
        write!(
            out,
            "\r\n--framegram\r\nContent-Type: image/jpeg\r\nX-Timestamp: {:.6}\r\n\r\n",
            time.as_secs_f64()
        )
    }
}
