//! Thresholds: conditions that make a run fail, such as `shown<99%`.

use std::str::FromStr;

use framegram_cli::errors::Failed;
use framegram_cli::quantities::split;
use framegram_common::Statistics;
use framegram_common::stats::{Outcome, Packets, Percentiles};

/// A condition, as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    figure: ThresholdFigure,
    comparison: Relation,
    limit: f64,
    /// Whether the limit is a share from 0 to 1 instead of a number.
    share: bool,
    text: String,
}

/// Figures that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThresholdFigure {
    Shown,
    Intact,
    Concealed,
    Loss,
    PacketLoss,
    SocketDrops,
    Delay(Point),
    Jitter,
    Fps,
    Bitrate,
}

/// A quantile of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    P50,
    P95,
    P99,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Notation of a figure's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LimitNotation {
    /// A number, or a percentage.
    Count,
    /// Milliseconds, or a time with its unit.
    Time,
    /// A number, optionally with k, M or G.
    Number,
}

impl Condition {
    /// Describes the failure if the condition holds, or if the figure is unknown
    /// at the end.
    pub fn check(&self, statistics: &Statistics) -> Option<String> {
        let Some(value) = self.figure.value(statistics, self.share) else {
            return Some(format!("{} is unknown", self.text));
        };
        let holds = match self.comparison {
            Relation::Less => value < self.limit,
            Relation::AtMost => value <= self.limit,
            Relation::More => value > self.limit,
            Relation::AtLeast => value >= self.limit,
        };
        holds.then(|| {
            let value = match (self.share, self.figure.kind()) {
                (true, _) => format!("{:.3} %", value * 100.0),
                (false, LimitNotation::Time) => format!("{value:.2} ms"),
                (false, LimitNotation::Number) => format!("{value:.1}"),
                (false, LimitNotation::Count) => format!("{value}"),
            };
            format!("{}: it is {value}", self.text)
        })
    }

    /// Checks all conditions.
    pub fn check_all(conditions: &[Self], statistics: &Statistics) -> Result<(), Failed> {
        let failed: Vec<String> = conditions
            .iter()
            .filter_map(|condition| condition.check(statistics))
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failed(failed))
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .find(['<', '>'])
            .ok_or("it compares a figure with a limit, as in 'shown<99%' or 'delay p95>50ms'")?;
        let (name, rest) = text.split_at(at);
        let (comparison, limit) = match rest.as_bytes() {
            [b'<', b'=', ..] => (Relation::AtMost, &rest[2..]),
            [b'<', ..] => (Relation::Less, &rest[1..]),
            [_, b'=', ..] => (Relation::AtLeast, &rest[2..]),
            _ => (Relation::More, &rest[1..]),
        };
        let figure = ThresholdFigure::named(name.trim())
            .ok_or_else(|| format!("there is no figure '{}': {FIGURES}", name.trim()))?;
        let (limit, share) = figure.kind().limit(limit.trim())?;
        Ok(Self {
            figure,
            comparison,
            limit,
            share,
            text: text.to_owned(),
        })
    }
}

impl ThresholdFigure {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "shown" => Self::Shown,
            "intact" => Self::Intact,
            "concealed" => Self::Concealed,
            "loss" => Self::Loss,
            "packet-loss" => Self::PacketLoss,
            "socket-drops" => Self::SocketDrops,
            "jitter" => Self::Jitter,
            "fps" => Self::Fps,
            "bitrate" => Self::Bitrate,
            _ => {
                let point = name.strip_prefix("delay")?;
                Self::Delay(match point.trim_start_matches([' ', '.', '-']) {
                    "" | "p95" => Point::P95,
                    "p50" | "median" => Point::P50,
                    "p99" => Point::P99,
                    "max" => Point::Max,
                    _ => return None,
                })
            }
        })
    }

    fn kind(self) -> LimitNotation {
        match self {
            Self::Shown
            | Self::Intact
            | Self::Concealed
            | Self::Loss
            | Self::PacketLoss
            | Self::SocketDrops => LimitNotation::Count,
            Self::Delay(_) | Self::Jitter => LimitNotation::Time,
            Self::Fps | Self::Bitrate => LimitNotation::Number,
        }
    }

    /// The figure; as a share, of all frames with a known outcome or of all
    /// packets sent.
    fn value(self, statistics: &Statistics, share: bool) -> Option<f64> {
        let frames = &statistics.frames;
        let packets = &statistics.packets;
        // A recording has no figures except those of its timecodes.
        let timecode = statistics
            .timecode
            .as_ref()
            .filter(|_| frames.shown.is_none());
        let seen_or_lost = timecode.map(|timecode| timecode.shown + timecode.lost);
        let (part, total) = match self {
            Self::Shown if timecode.is_some() => {
                (timecode.map(|timecode| timecode.shown), seen_or_lost)
            }
            Self::Loss if timecode.is_some() => {
                (timecode.map(|timecode| timecode.lost), seen_or_lost)
            }
            Self::Shown => (frames.shown, statistics.settled()),
            Self::Intact => (frames.intact, statistics.settled()),
            Self::Concealed => (
                statistics.outcomes[Outcome::Concealed],
                statistics.settled(),
            ),
            Self::Loss => (statistics.missed(), statistics.settled()),
            Self::PacketLoss => (packets.lost, expected(packets)),
            Self::SocketDrops => (packets.socket_dropped, expected(packets)),
            Self::Delay(point) => {
                let seen = timecode.and_then(|timecode| timecode.delay_ms);
                return statistics.delay().or(seen).map(|delay| point.of(&delay));
            }
            Self::Jitter => return statistics.jitter_ms,
            Self::Fps => return statistics.fps,
            Self::Bitrate => return statistics.bitrate_bps,
        };
        // A share of zero frames or packets is unknown.
        let total = total.filter(|&total| total > 0)?;
        let part = part? as f64;
        let value = if share { part / total as f64 } else { part };
        let of_frames = matches!(
            self,
            Self::Shown | Self::Intact | Self::Concealed | Self::Loss
        );
        let of_all = share || self == Self::Loss;
        let all_known = frames.lost.is_some() && !statistics.stream.silent;
        (timecode.is_some() || !of_frames || !of_all || all_known).then_some(value)
    }
}

/// Number of packets that a share refers to. If the format does not tell how many
/// were sent, all known packets.
fn expected(packets: &Packets) -> Option<u64> {
    let known = [packets.received, packets.lost, packets.socket_dropped];
    packets
        .sent
        .or_else(|| known.into_iter().flatten().reduce(u64::saturating_add))
}

impl Point {
    fn of(self, delay: &Percentiles) -> f64 {
        match self {
            Self::P50 => delay.p50,
            Self::P95 => delay.p95,
            Self::P99 => delay.p99,
            Self::Max => delay.max,
        }
    }
}

impl LimitNotation {
    /// Parses the limit. Returns it, and whether it is a share.
    fn limit(self, text: &str) -> Result<(f64, bool), String> {
        let (number, unit) = split(text);
        let factor = match (self, unit.trim_start()) {
            (Self::Count, "%") => 0.01,
            (_, "") | (Self::Time, "ms") => 1.0,
            (Self::Time, "s") => 1e3,
            (Self::Time, "us") => 1e-3,
            (Self::Number, "k") => 1e3,
            (Self::Number, "M") => 1e6,
            (Self::Number, "G") => 1e9,
            (Self::Count, _) => return Err("its limit is a number, or one with %".to_owned()),
            (Self::Time, _) => {
                return Err("its limit is a time in us, ms or s, such as 50ms".to_owned());
            }
            (Self::Number, _) => return Err("its limit is a number, such as 29.5 or 2M".to_owned()),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| format!("'{text}' is not a limit: it is a number, as in 'shown<99%'"))?;
        let share = self == Self::Count && unit.trim_start() == "%";
        if share && number > 100.0 {
            return Err(format!(
                "'{text}' is not a share: it is 0 % to 100 %, as in 'shown<99%'"
            ));
        }
        Ok((number * factor, share))
    }
}

const FIGURES: &str = "shown, intact, concealed, loss, packet-loss and socket-drops (a number, or \
                       with %), delay p50, p95, p99 or max, jitter, fps and bitrate are";

#[cfg(test)]
mod tests;
