//! What viewers say; and those that come by themselves, and go.

use std::net::SocketAddr;

use framegram_common::sender::acceptor::Visit;
use framegram_net::clock;

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
                        if let Some(notice) = output.failed(&error, clock::now()) {
                            self.console.say(&notice);
                        }
                    }
                }
            }
        }
    }

    /// Looks after destinations that cannot be reached from where they were.
    pub(super) fn tend_outputs(&mut self) {
        let now = clock::now();
        for index in 0..self.outputs.len() {
            let output = &mut self.outputs[index];
            let before = output.address();
            if let Some(notice) = output.tend(now) {
                self.console.say(&notice);
            }
            let after = output.address();
            // Where RTP's reports have a port of their own, it is the next one.
            if after != before
                && index < self.destinations
                && let Some(port) = after.port().checked_add(1)
                && let Some(output) = self.outputs.get_mut(self.destinations + index)
                && !output.is_shared()
            {
                // A report that cannot be sent is as good as lost.
                let _ = output.go_to(SocketAddr::new(after.ip(), port));
            }
        }
    }

    /// Lets viewers in and out, and takes what they say.
    pub(super) fn meet_viewers(&mut self) {
        let Some(mut door) = self.door.take() else {
            return;
        };
        while let Some(place) = door.poll_gone(clock::now()) {
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
        match knock.visit {
            Visit::Served(place) => {
                let datagram = &self.buffer[..knock.received.len.min(self.buffer.len())];
                let destination = self.destinations + place;
                self.transmitter
                    .handle_datagram(destination, datagram, knock.received.arrival);
            }
            Visit::Succeeded(place) => {
                self.part(place, "gave its place to one of another address", door);
                // It may have had another place itself before it fell silent.
                self.serve(place, true, knock.received.from, door);
            }
            Visit::Moved(place) => self.serve(place, true, knock.received.from, door),
            Visit::Admitted(place) => self.serve(place, false, knock.received.from, door),
            Visit::Left(place) => self.part(place, "left", door),
            Visit::Refused => door.tell(knock.received.from, "was refused", self.console),
            Visit::Challenged | Visit::Foreign => {}
        }
    }

    /// Serves the viewer at an address from a place; it may have `moved` there
    /// from another one.
    fn serve(&mut self, place: usize, moved: bool, from: SocketAddr, door: &mut Door) {
        let destination = self.destinations + place;
        self.forget_link(destination);
        let viewer = Output::viewer(door.socket(), from);
        match self.outputs.get_mut(destination) {
            Some(output) => {
                // It may have come from elsewhere before.
                if output.address() != from {
                    door.socket().forget(output.address());
                }
                *output = viewer;
            }
            None => self.outputs.push(viewer),
        }
        if moved {
            self.transmitter
                .move_to_destination(destination, clock::now());
        } else {
            self.transmitter.open_destination(destination, clock::now());
        }
        door.tell(from, "is served", self.console);
    }

    fn part(&mut self, place: usize, why: &str, door: &mut Door) {
        let destination = self.destinations + place;
        self.transmitter.close_destination(destination);
        self.forget_link(destination);
        if let Some(output) = self.outputs.get(destination) {
            door.socket().forget(output.address());
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
