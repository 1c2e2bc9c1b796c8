//! What was measured beside what was done.

use std::collections::BTreeMap;

use super::report::{Account, Course, Hit, Report};
use super::truth::{Frame, Packets, Truth};

/// A figure of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) measured: u64,
    pub(super) done: u64,
}

/// All that was compared of a stream, or of a report.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What a person sees.
    pub(super) figures: Vec<Figure>,
    /// What differs besides, in words.
    pub(super) differences: Vec<String>,
    /// What was not compared, and why.
    pub(super) notes: Vec<String>,
}

impl Comparison {
    /// Of one stream.
    pub(super) fn of_stream(account: &Account, truth: &Truth, report: &Report) -> Self {
        let mut all = Self::default();
        let course = report.course.as_ref();
        let shared = report.shared_drops();
        let blind = account.socket_dropped + shared > 0 && !truth.behind_socket;
        if blind && shared > 0 {
            all.notes.push(format!(
                "{shared} datagrams were dropped in the buffer of the socket that the senders \
                 share, which the sender's log cannot know of: only what was sent is compared"
            ));
        } else if blind {
            all.notes.push(format!(
                "{} datagrams were dropped in the viewer's socket buffer, which the sender's log \
                 cannot know of: only what was lost on the way is compared, where nothing was \
                 doubled or damaged",
                account.socket_dropped
            ));
        }
        all.compare_packets(account, truth, blind, shared > 0);
        let [before, after] = truth.outside;
        if before > 0 {
            all.notes
                .push(format!("sent before joining: {before} packets"));
        }
        if after > 0 {
            all.notes.push(format!(
                "sent after the last totals that arrived, so that the viewer cannot know of \
                 them: {after} packets"
            ));
        }
        match course {
            None => all.notes.push("the report lists no frames".to_owned()),
            Some(_) if account.not_sent > 0 => {
                let why = "frames are not compared: the sender's system refused some of their \
                           packets";
                all.notes.push(why.to_owned());
            }
            Some(_) if blind || truth.unplaced > 0 => {
                let why = "frames are not compared: of some packets the log does not say what \
                           they carried";
                all.notes.push(why.to_owned());
            }
            Some(course) => all.compare_frames(account, truth, course),
        }
        all
    }

    /// How many figures differ.
    pub(super) fn differing(&self) -> usize {
        let figures = self.figures.iter();
        figures.filter(|it| it.measured != it.done).count() + self.differences.len()
    }

    fn compare_packets(&mut self, account: &Account, truth: &Truth, blind: bool, shared: bool) {
        let sum = |of: fn(&Packets) -> u64| truth.packets.iter().map(of).sum::<u64>();
        let own = |of: fn(&super::report::Channel) -> u64| account.channels.iter().map(of).sum();
        let absent = sum(|it| it.absent);
        if absent > 0 && truth.behind_socket {
            self.notes.push(format!(
                "lost before they came to the viewer, and counted as lost: {absent} packets"
            ));
        }
        // The viewer's log cannot tell what its socket dropped from what never
        // came to the machine.
        let (besides, dropped) = if truth.behind_socket {
            let named = sum(|it| it.refused);
            let unnamed = account.not_sent.saturating_sub(named);
            (absent.saturating_sub(unnamed), account.socket_dropped)
        } else {
            self.demand("packets not sent", account.not_sent, sum(|it| it.refused));
            (0, 0)
        };
        let numbered = if truth.behind_socket { 0 } else { absent };
        let sent = sum(|it| it.sent) - numbered;
        self.show("packets sent", own(|it| it.end - it.first), sent);
        if !blind {
            self.show("received", own(|it| it.received), sum(|it| it.received));
        }
        if !blind || (truth.plain && !shared) {
            let lost = sum(|it| it.gone) + besides;
            self.show("lost", account.lost + dropped, lost);
        }
        if blind {
            return;
        }
        self.show("corrupt", account.corrupt, sum(|it| it.corrupt));
        self.show("duplicate", own(|it| it.duplicate), sum(|it| it.duplicate));
        self.show("reordered", own(|it| it.reordered), sum(|it| it.reordered));
        let named = own(|it| it.corrupt) == account.corrupt;
        for (channel, done) in account.channels.iter().zip(&truth.packets) {
            let name = |what: &str| format!("{} packets {what}", channel.channel);
            self.demand(&name("received"), channel.received, done.received);
            let missing = done.sent.saturating_sub(done.received);
            self.demand(&name("missing"), channel.missing, missing);
            self.demand(&name("duplicate"), channel.duplicate, done.duplicate);
            self.demand(&name("reordered"), channel.reordered, done.reordered);
            if named {
                self.demand(&name("corrupt"), channel.corrupt, done.corrupt);
            }
        }
    }

    fn compare_frames(&mut self, account: &Account, truth: &Truth, course: &Course) {
        let hits: BTreeMap<u64, &Hit> = course
            .hits
            .iter()
            .filter(|hit| hit.stream == account.stream)
            .map(|hit| (hit.frame, hit))
            .collect();
        let complete = course.hits_unlisted == 0;
        let of_truth =
            |frame: &u64| u32::try_from(*frame).is_ok_and(|it| truth.frames.contains_key(&it));
        let known = |frame: u64| truth.frames.get(&(frame as u32));
        let frames = account.end_frame.saturating_sub(account.first_frame);
        self.show("frames", frames, truth.seen);
        if complete {
            let measured = hits.keys().filter(|frame| of_truth(frame)).count() as u64;
            let done = truth.frames.values().filter(|it| it.lost > 0).count() as u64;
            self.show("frames hit", measured, done);
            let chunks = |hit: &&Hit| {
                let all = known(hit.frame).map(|frame| u64::from(frame.chunks));
                all.map(|all| hit.chunks_lost.unwrap_or(all).min(u32::MAX.into()))
            };
            let measured = hits.values().filter_map(chunks).sum();
            let done = truth.frames.values().map(|it| u64::from(it.lost)).sum();
            self.show("chunks lost", measured, done);
        } else {
            self.notes.push(format!(
                "the report lists {} of the frames that lost chunks: the others are not compared",
                course.hits.len()
            ));
        }
        let named = account.channels.iter().map(|it| it.corrupt).sum::<u64>() == account.corrupt;
        let causes = named && account.socket_dropped == 0;
        for (number, frame) in &truth.frames {
            let hit = hits.get(&u64::from(*number)).copied();
            let Some(what) = differs(frame, hit, complete, causes) else {
                continue;
            };
            self.differences.push(format!("frame {number} {what}"));
        }
    }

    /// A figure that a person sees.
    fn show(&mut self, name: &str, measured: u64, done: u64) {
        self.figures.push(Figure {
            name: name.to_owned(),
            measured,
            done,
        });
    }

    /// A figure that is told of only when it differs.
    pub(super) fn demand(&mut self, name: &str, measured: u64, done: u64) {
        if measured != done {
            self.differences
                .push(format!("{name}: measured {measured}, by the log {done}"));
        }
    }
}

/// How a frame's hit differs from what was done to it.
fn differs(frame: &Frame, hit: Option<&Hit>, complete: bool, causes: bool) -> Option<String> {
    let Some(hit) = hit else {
        return (complete && frame.lost > 0)
            .then(|| format!("lost {} chunks, and is not in the report", frame.lost));
    };
    let lost = u64::from(frame.lost);
    let measured = hit.chunks_lost.unwrap_or(frame.chunks.into());
    if measured != lost {
        return Some(format!("lost {lost} chunks, measured {measured}"));
    }
    let outcome = hit.outcome.as_str();
    let wrong = match (frame.lost, frame.damaged) {
        (0, _) => LOSSES.contains(&outcome),
        (1.., _) if outcome == "intact_unrepaired" => true,
        // Of frames in a row of which nothing arrived only the packets of all
        // of them together are known.
        _ if !causes || frame.lost == frame.chunks => false,
        (lost, damaged) => match outcome {
            "lost_network" => damaged > 0,
            "corrupt" => damaged < lost,
            "lost_unknown" => damaged == 0 || damaged == lost,
            "lost_socket" => true,
            _ => false,
        },
    };
    wrong.then(|| {
        let (chunks, damaged) = (frame.lost, frame.damaged);
        format!("is {outcome}, and lost {chunks} chunks, {damaged} of them damaged")
    })
}

/// Outcomes of frames that were not shown, since packets were missing.
pub(super) const LOSSES: [&str; 4] = ["lost_network", "lost_socket", "lost_unknown", "corrupt"];
