//! What to print if no stream arrived: what arrived instead, and what to type.

use std::fmt::Display;
use std::time::Duration;

use framegram_cli::numbers::{count, seconds};
use framegram_common::Statistics;
use framegram_common::stats::{DiscardReason, Discarded};

use crate::args::{Args, SenderAddress};

/// One line for a viewer that received no stream.
pub(crate) fn line(args: &Args, statistics: &Statistics) -> String {
    let wait = seconds(args.wait.unwrap_or(Duration::ZERO).as_secs_f64());
    let refused = statistics.discarded.iter().max_by_key(|of| of.datagrams);
    let what = match refused {
        Some(refused) => instead(refused, args),
        None => silence(args),
    };
    format!("no stream arrived within {wait}{what}")
}

fn instead(refused: &Discarded, args: &Args) -> String {
    let from = &refused.from;
    let number = match refused.datagrams {
        1 => "1 datagram".to_owned(),
        many => format!("{} datagrams", count(many)),
    };
    let (what, advice) = match (refused.reason, refused.format) {
        (DiscardReason::Address, _) => {
            let ip = from.rsplit_once(':').map_or(from.as_str(), |(ip, _)| ip);
            // A prefix has no scope.
            let ip = ip.trim_matches(['[', ']']).split('%').next().unwrap_or(ip);
            (
                "which --allow excludes".to_owned(),
                format!("to accept them, add --allow {ip}"),
            )
        }
        (DiscardReason::Format, Some(format)) => {
            let only = args.wire.format().map_or("auto", |only| only.name());
            (
                format!("which are {format}, not --wire {only}"),
                "to accept them, remove --wire".to_owned(),
            )
        }
        (DiscardReason::Key, _) if args.key.given().is_some() => (
            "which are not of this key".to_owned(),
            "give both programs the same --key-file".to_owned(),
        ),
        (DiscardReason::Key, _) => (
            "which are encrypted".to_owned(),
            "to decrypt them, add --key-file FILE with the sender's key".to_owned(),
        ),
        (DiscardReason::Clear, _) => (
            "which are not encrypted".to_owned(),
            "start the sender with the same --key-file, or this viewer without".to_owned(),
        ),
        (DiscardReason::Format | DiscardReason::Unknown, _) => (
            "which are not a stream of a known format".to_owned(),
            "check what sends them".to_owned(),
        ),
    };
    format!(", but {number} arrived from {from}, {what}: {advice}")
}

/// What to check if the sender to connect to does not answer. A sender with another key is silent.
pub(crate) fn advice(to: impl Display, has_key: bool) -> String {
    let key = match has_key {
        true => "has the same key",
        false => "needs no key",
    };
    format!(
        "check that framegram-send --listen runs at {to}, that it {key}, and that no firewall \
         blocks UDP"
    )
}

fn silence(args: &Args) -> String {
    match &args.connect {
        Some(SenderAddress::Address(to)) => {
            format!(": {}", advice(to, args.key.given().is_some()))
        }
        Some(SenderAddress::Name(_)) => {
            ": the sender announces itself but does not answer; check that no firewall blocks UDP"
                .to_owned()
        }
        None => ": check that the sender runs and sends to this machine, and that no firewall \
                 blocks UDP"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn told(line: &str, refused: &[(DiscardReason, Option<&'static str>, u64)]) -> String {
        let words = std::iter::once("framegram-view").chain(line.split(' '));
        let refused = refused.iter().map(|(reason, format, datagrams)| Discarded {
            reason: *reason,
            format: *format,
            datagrams: *datagrams,
            from: "[fe80::1%2]:4000".to_owned(),
        });
        let statistics = Statistics {
            discarded: refused.collect(),
            ..Statistics::default()
        };
        super::line(&Args::parse_from(words), &statistics)
    }

    #[test]
    fn reports_the_most_frequent_discard_reason_and_what_to_type() {
        let both = [
            (DiscardReason::Unknown, None, 1),
            (DiscardReason::Address, None, 1_200),
        ];
        assert_eq!(
            told("--wait 2s --allow 10.0.0.0/8", &both),
            "no stream arrived within 2.0 s, but 1,200 datagrams arrived from [fe80::1%2]:4000, \
             which --allow excludes: to accept them, add --allow fe80::1"
        );
        let native = [(DiscardReason::Format, Some("native"), 90)];
        assert!(
            told("--wait 2s --wire rtp", &native)
                .ends_with("which are native, not --wire rtp: to accept them, remove --wire")
        );
        let unknown = [(DiscardReason::Unknown, None, 1)];
        assert!(told("--wait 2s", &unknown).contains(", but 1 datagram arrived from "));
        assert!(told("--wait 2s", &[]).ends_with("no firewall blocks UDP"));
        assert!(told("--wait 2s --connect a:5005", &[]).contains("--listen runs at a:5005"));
    }
}
