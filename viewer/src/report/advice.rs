//! Where frames were lost, and what to type so that fewer are.

use std::time::Duration;

use framegram_common::Statistics;

use super::missed;
use super::text::count;

/// How the viewer runs, for advice on how to run it better.
#[derive(Clone, Copy, Debug, Default)]
pub struct Advice {
    /// The socket buffer that was asked for, in bytes.
    pub buffer: usize,
    /// The one that the system gave.
    pub given: usize,
    /// How long an incomplete frame is waited for.
    pub latency: Duration,
}

impl Advice {
    /// What to type so that the system gives the buffer, where it does not.
    #[must_use]
    pub fn allow(&self) -> Option<String> {
        (self.given < self.buffer)
            .then(|| format!("sudo sysctl -w net.core.rmem_max={}", self.buffer))
    }

    /// What to type where the socket buffer was too small.
    fn buffer(&self) -> String {
        match self.allow() {
            Some(allow) => format!("type {allow}, since the system gives no larger one"),
            None => {
                let more = (self.buffer * 2).div_ceil(1024).max(1024);
                format!("type framegram-view --buffer {more}k, or give it more of the processor")
            }
        }
    }

    fn latency(&self) -> String {
        let more = (self.latency * 2).as_millis().clamp(20, 10_000);
        format!("framegram-view --latency {more}ms")
    }
}

/// Where most of what was lost was lost, and what to do about it.
#[must_use]
pub fn place(statistics: &Statistics, advice: &Advice) -> Option<String> {
    place_of_frames(statistics, advice).or_else(|| place_of_packets(statistics, advice))
}

/// By the fates of frames, where they are known.
fn place_of_frames(statistics: &Statistics, advice: &Advice) -> Option<String> {
    let fates = &statistics.fates;
    // Without those that were never numbered, and that nobody missed.
    let refused = fates.not_sent.zip(statistics.frames.not_sent);
    let causes = [
        fates.lost_network,
        fates.lost_socket,
        fates.mixed,
        fates.corrupt,
        fates.late,
        fates.undecodable,
        refused.map(|(all, other)| all.saturating_sub(other)),
    ]
    .map(|frames| frames.unwrap_or(0));
    let most = causes.into_iter().max().filter(|&most| most > 0)?;
    let [network, socket, mixed, corrupt, late, undecodable, _] = causes;
    let which = if most == causes.iter().sum::<u64>() {
        match most {
            1 => "It was".to_owned(),
            _ => format!("All {} were", count(most)),
        }
    } else {
        format!("Most of them ({}) were", count(most))
    };
    Some(if most == network {
        format!(
            "{which} lost on the way here: more parity or more time to repair help, type \
             framegram-send --fec 30% or {}.",
            advice.latency()
        )
    } else if most == socket {
        format!(
            "{which} lost in this machine's own socket buffer: {}.",
            advice.buffer()
        )
    } else if most == mixed {
        format!(
            "{which} lost both on the way and in this machine's own socket buffer, or it cannot \
             be told where: begin with the buffer, {}.",
            advice.buffer()
        )
    } else if most == corrupt {
        format!("{which} damaged on the way here: look at cables, drivers and radio links.")
    } else if most == late {
        format!("{which} whole too late: type {}.", advice.latency())
    } else if most == undecodable {
        format!(
            "{which} received whole, but are no pictures that can be decoded: look at the \
             sender's source."
        )
    } else {
        format!("{which} refused by the sender's own system: look at what the sender says.")
    })
}

/// By packets, where no more is known.
fn place_of_packets(statistics: &Statistics, advice: &Advice) -> Option<String> {
    let packets = &statistics.packets;
    let frames = &statistics.frames;
    if missed(frames)? == 0 {
        return None;
    }
    let undecodable = frames.undecodable.unwrap_or(0);
    if undecodable * 2 > missed(frames)? {
        return Some(
            "Most of them arrived whole, but are no pictures that can be decoded: \
             look at the sender's source."
                .to_owned(),
        );
    }
    let way = packets.lost.unwrap_or(0);
    let corrupt = packets.corrupt.unwrap_or(0);
    let here = packets.socket_dropped.unwrap_or(0);
    let most = way.max(corrupt).max(here);
    if most == 0 {
        None
    } else if most == here {
        Some(format!(
            "Most of it was lost in this machine's own socket buffer ({} packets, {} on the way): \
             {}.",
            count(here),
            count(way),
            advice.buffer()
        ))
    } else if most == corrupt {
        Some(format!(
            "Most of it was damaged on the way here ({} packets, {} lost): look at cables, \
             drivers and radio links.",
            count(corrupt),
            count(way)
        ))
    } else {
        Some(format!(
            "Most of it was lost on the way here ({} packets, {} in this machine's socket buffer).",
            count(way),
            count(here)
        ))
    }
}

#[cfg(test)]
mod tests {
    use framegram_common::statistics::Fates;

    use super::*;

    const ADVICE: Advice = Advice {
        buffer: 4 << 20,
        given: 4 << 20,
        latency: Duration::from_millis(60),
    };

    #[test]
    fn where_most_frames_were_lost_decides_the_advice() {
        let line = |fates: Fates, advice: &Advice| {
            let statistics = Statistics {
                fates,
                ..Statistics::default()
            };
            place(&statistics, advice).unwrap()
        };
        let mut fates = Fates {
            lost_network: Some(9),
            lost_socket: Some(8),
            ..Fates::default()
        };
        let network = line(fates.clone(), &ADVICE);
        assert!(network.starts_with("Most of them (9) were lost on the way here"));
        assert!(network.contains("--latency 120ms"), "{network}");
        fates.lost_socket = Some(1200);
        let socket = line(fates.clone(), &ADVICE);
        assert!(socket.starts_with("Most of them (1,200)") && socket.contains("--buffer 8192k"));
        let small = Advice {
            given: 212_992,
            ..ADVICE
        };
        let socket = line(fates, &small);
        assert!(
            socket.contains("sysctl -w net.core.rmem_max=4194304"),
            "{socket}"
        );
        let late = Fates {
            late: Some(1),
            ..Fates::default()
        };
        assert_eq!(
            line(late, &ADVICE),
            "It was whole too late: type framegram-view --latency 120ms."
        );
    }
}
