//! What viewers say; and those that come by themselves, and go.

use framegram_common::gate::Visit;
use framegram_common::os;

use super::{MOST_RECEIVED, Stream};
use crate::door::{Door, Knock};
use crate::outputs::Output;

impl Stream<'_> {
    /// Takes what comes back to the destinations' own sockets.
    pub(super) fn receive(&mut self) {
        for (index, output) in self.outputs.iter_mut().enumerate() {
            for _ in 0..MOST_RECEIVED {
                match output.receive(&mut self.buffer) {
                    Ok(Some(received)) => {
                        let datagram = &self.buffer[..received.len.min(self.buffer.len())];
                        self.transmitter
                            .handle_datagram(index, datagram, received.arrival);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        if let Some(notice) = output.failed(&error, os::now()) {
                            self.console.say(&notice);
                        }
                    }
                }
            }
        }
    }

    /// Lets viewers in and out, and takes what they say.
    pub(super) fn meet_viewers(&mut self) {
        let Some(mut door) = self.door.take() else {
            return;
        };
        while let Some(place) = door.poll_gone(os::now()) {
            self.part(place, "fell silent", &mut door);
        }
        for _ in 0..MOST_RECEIVED {
            // What the network says of an earlier answer concerns nobody here.
            let Ok(Some(knock)) = door.receive(&mut self.buffer) else {
                break;
            };
            self.meet(&knock, &mut door);
        }
        self.door = Some(door);
    }

    fn meet(&mut self, knock: &Knock, door: &mut Door) {
        let now = os::now();
        match knock.visit {
            Visit::Served(place) => {
                let datagram = &self.buffer[..knock.len];
                let destination = self.destinations + place;
                self.transmitter
                    .handle_datagram(destination, datagram, knock.arrival);
            }
            Visit::Admitted(place) => {
                let destination = self.destinations + place;
                self.forget_link(destination);
                let viewer = Output::viewer(door.socket(), knock.from);
                match self.outputs.get_mut(destination) {
                    Some(output) => *output = viewer,
                    None => self.outputs.push(viewer),
                }
                self.transmitter.open_destination(destination, now);
                door.tell(knock.from, "is served", self.console);
            }
            Visit::Left(place) => self.part(place, "left", door),
            Visit::Refused => door.tell(knock.from, "was refused", self.console),
            Visit::Challenged | Visit::Foreign => {}
        }
    }

    fn part(&mut self, place: usize, why: &str, door: &mut Door) {
        let destination = self.destinations + place;
        self.transmitter.close_destination(destination);
        self.forget_link(destination);
        if let Some(output) = self.outputs.get(destination) {
            door.tell(output.address(), why, self.console);
        }
    }

    /// What is on the way to one viewer is not for the next one in its place.
    fn forget_link(&mut self, destination: usize) {
        if let Some(impaired) = &mut self.impaired {
            impaired.close(destination);
        }
    }
}
