//! What is known of the paths, and the second encoding for those that carry too little of the
//! first.

use std::time::Duration;

use framegram_common::sender::SecondTarget;
use framegram_net::clock;
use log::info;

use super::TransmitLoop;
use crate::bitrate::BitrateControl;
use crate::pipeline::Pipeline;
use crate::seal;

/// The length of the second encoding's frames.
pub(super) struct SecondRate {
    /// The destinations that get it.
    destinations: Vec<usize>,
    /// The slowest of them, which determines the length.
    slowest: usize,
    control: BitrateControl,
}

impl TransmitLoop<'_> {
    /// Describes what the first second of each path showed.
    pub(super) fn tell_paths(&mut self, now: Duration) {
        if !self.adapts || !self.path_notice.is_due(now) {
            return;
        }
        let sealed = seal::overhead(self.seal.as_ref());
        let sizes = self.sender.path_mtu_figures();
        for path in self.sender.path_figures(now) {
            let size = sizes.iter().find(|of| of.destination == path.destination);
            let size = size.map(|of| of.datagram + sealed);
            let to = self.destinations.get(usize::from(path.destination));
            let told = to.and_then(|to| self.path_notice.poll(to.address(), &path, size));
            if let Some(notice) = told {
                self.console.say(&notice);
            }
        }
    }

    /// Sends the second encodings that are ready.
    pub(super) fn send_second(&mut self, pipeline: &Pipeline) {
        while let Some(frame) = pipeline.take_second() {
            let (jpeg, captured) = (frame.jpeg, frame.captured);
            // No frame is too long whose first encoding is not.
            let _ = self
                .sender
                .handle_second(jpeg, captured, frame.quality, clock::now());
        }
    }

    /// Sets the length of the second encoding of the next frames. The first encoding of one that
    /// has waited this long is sent now.
    pub(super) fn follow_second(&mut self, pipeline: &Pipeline, waited: Duration, now: Duration) {
        let Some(target) = self.sender.second_encoding(now) else {
            if self.second.take().is_some() {
                info!("no second encoding any more");
                pipeline.set_second(None);
            }
            return;
        };
        let SecondTarget {
            bitrate,
            destinations,
            slowest: (slowest, volume),
        } = target;
        let (interval, fec) = (self.session.interval, self.fec);
        let before = self.second.take();
        if before
            .as_ref()
            .is_none_or(|it| it.destinations != destinations)
        {
            let to = destinations
                .iter()
                .filter_map(|to| self.destinations.get(*to));
            let to: Vec<_> = to.map(|to| to.address().to_string()).collect();
            info!(
                "a second encoding, of {bitrate} bit/s, for {}",
                to.join(", ")
            );
        }
        // The volumes of another destination cannot be compared.
        let control = before
            .filter(|it| it.slowest == slowest)
            .map(|it| it.control);
        let new = || BitrateControl::new(bitrate, interval, fec, now);
        let mut control = control.unwrap_or_else(new);
        control.set_rate(bitrate);
        control.observe(volume, waited, now);
        pipeline.set_second(Some(control.target()));
        self.second = Some(SecondRate {
            destinations,
            slowest,
            control,
        });
    }
}
