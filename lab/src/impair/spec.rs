//! Parses an impairment as users type it: `loss=5%,delay=20ms±5ms,seed=7`.
//!
//! | term | meaning |
//! | --- | --- |
//! | `loss=5%` | independent loss |
//! | `ge=p:0.01,r:0.2` | loss in bursts (Gilbert-Elliott): probabilities of turning bad and of turning good, per datagram or per step (`step:1ms`) |
//! | `delay=20ms±5ms` | delay and jitter, 0 to 10 s each; `+-` is `±` |
//! | `reorder=1%` | delays 1 % by [`REORDER_BY`](super::REORDER_BY) |
//! | `dup=0.5%` | duplicates |
//! | `corrupt=0.1%` | flips one bit of a copy |
//! | `rate=20M,queue=100ms` | a bottleneck in bits of UDP payload per second, 64k to 100G, and the longest wait in front of it |
//! | `bucket=16k` | bytes that pass the bottleneck at once after a pause, 1 to 16M |
//! | `mtu=1200` | drops larger datagrams; in bytes of UDP payload |
//! | `seed=7` | random seed, 0 by default; the same seed gives the same result for the same datagrams |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use framegram_cli::quantities::split;
use framegram_common::wire::MAX_DATAGRAM;
use thiserror::Error;

use super::{GilbertElliott, Impairment};

/// A term is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{term}: {what}; an example: {EXAMPLE}")]
pub struct SpecError {
    /// The term, as it was typed.
    pub term: String,
    /// What is wrong with it.
    pub what: String,
}

impl FromStr for Impairment {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut impairment = Self::default();
        let (mut queue, mut bucket, mut given) = (None, None, Vec::new());
        for term in terms(text)? {
            let wrong = |what: &str| SpecError::new(term.text, what);
            if given.contains(&term.name) {
                return Err(wrong("it is given twice"));
            }
            given.push(term.name);
            let share = || percent(term.value).ok_or_else(|| wrong(A_SHARE));
            match term.name {
                "loss" => impairment.loss = share()?,
                "reorder" => impairment.reorder = share()?,
                "dup" => impairment.duplicate = share()?,
                "corrupt" => impairment.corrupt = share()?,
                "ge" => impairment.bursts = Some(chain(term.value).ok_or_else(|| wrong(A_CHAIN))?),
                "delay" => {
                    let parsed = delay(term.value).ok_or_else(|| wrong(A_DELAY))?;
                    (impairment.delay, impairment.jitter) = parsed;
                }
                "rate" => impairment.rate = Some(rate(term.value).ok_or_else(|| wrong(A_RATE))?),
                "queue" => queue = Some(time(term.value).ok_or_else(|| wrong(A_TIME))?),
                "bucket" => bucket = Some(bytes(term.value).ok_or_else(|| wrong(A_BUCKET))?),
                "mtu" => impairment.mtu = Some(mtu(term.value).ok_or_else(|| wrong(AN_MTU))?),
                "seed" => impairment.seed = term.value.parse().map_err(|_| wrong(A_SEED))?,
                _ => return Err(wrong(TERMS)),
            }
        }
        if impairment.rate.is_some() {
            impairment.queue = queue.unwrap_or(QUEUE);
            impairment.bucket = bucket.unwrap_or_default();
        } else if let Some(term) = given
            .into_iter()
            .find(|it| ["queue", "bucket"].contains(it))
        {
            let what = format!("a {term} needs a rate: add one, such as rate=20M");
            return Err(SpecError::new(term, &what));
        }
        Ok(impairment)
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = [
            ("loss", self.loss),
            ("reorder", self.reorder),
            ("dup", self.duplicate),
            ("corrupt", self.corrupt),
        ];
        for (name, share) in shares.into_iter().filter(|(_, share)| *share > 0.0) {
            write!(f, "{name}={}%,", in_percent(share))?;
        }
        if let Some(GilbertElliott { p, r, step }) = self.bursts {
            write!(f, "ge=p:{p},r:{r},")?;
            if let Some(step) = step {
                write!(f, "step:{},", in_units(step))?;
            }
        }
        if !self.delay.is_zero() || !self.jitter.is_zero() {
            write!(f, "delay={}", in_units(self.delay))?;
            if !self.jitter.is_zero() {
                write!(f, "±{}", in_units(self.jitter))?;
            }
            f.write_str(",")?;
        }
        if let Some(rate) = self.rate {
            write!(f, "rate={rate},queue={},", in_units(self.queue))?;
            if self.bucket > 0 {
                write!(f, "bucket={},", self.bucket)?;
            }
        }
        if let Some(mtu) = self.mtu {
            write!(f, "mtu={mtu},")?;
        }
        write!(f, "seed={}", self.seed)
    }
}

impl SpecError {
    fn new(term: &str, what: &str) -> Self {
        Self {
            // The term may be long, but an error is one line.
            term: format!("{:?}", term.chars().take(MOST_SHOWN).collect::<String>()),
            what: what.to_owned(),
        }
    }
}

struct Term<'a> {
    text: &'a str,
    name: &'a str,
    value: &'a str,
}

/// Splits at commas; the terms of `ge` stay together.
fn terms(text: &str) -> Result<Vec<Term<'_>>, SpecError> {
    if text.trim().is_empty() {
        return Err(SpecError::new(text, "it is empty"));
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    for part in text.split(',') {
        let end = at + part.len();
        match spans.last_mut() {
            Some(last) if !part.contains('=') && part.contains(':') => last.1 = end,
            _ => spans.push((at, end)),
        }
        at = end + 1;
    }
    let term = |(start, end): (usize, usize)| {
        let text = text[start..end].trim();
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| SpecError::new(text, TERMS))?;
        Ok(Term {
            text,
            name: name.trim(),
            value: value.trim(),
        })
    };
    spans.into_iter().map(term).collect()
}

/// Parses a percentage, to the nearest representable number.
fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim();
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'e' || byte == b'-';
    if !number.bytes().all(plain) {
        return None;
    }
    let share = match number.split_once('e') {
        None => format!("{number}e-2").parse(),
        Some((digits, exponent)) => {
            let exponent = exponent.parse::<i16>().ok()?.checked_sub(2)?;
            format!("{digits}e{exponent}").parse()
        }
    };
    share.ok().filter(|share| (0.0..=1.0).contains(share))
}

fn in_percent(share: f64) -> String {
    let plain = (share * 100.0).to_string();
    if percent(&format!("{plain}%")) == Some(share) {
        return plain;
    }
    let scientific = format!("{share:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) => {
            let exponent = exponent.parse().unwrap_or(0_i32) + 2;
            format!("{digits}e{exponent}")
        }
        None => plain,
    }
}

fn chain(text: &str) -> Option<GilbertElliott> {
    let (mut p, mut r, mut step) = (None, None, None);
    for part in text.split(',') {
        let (name, value) = part.split_once(':')?;
        let chance = || {
            percent(value.trim()).or_else(|| {
                let number: f64 = value.trim().parse().ok()?;
                (0.0..=1.0).contains(&number).then_some(number)
            })
        };
        match name.trim() {
            "p" if p.is_none() => p = Some(chance()?),
            "r" if r.is_none() => r = Some(chance()?),
            "step" if step.is_none() => {
                step = Some(time(value.trim()).filter(|step| *step >= LEAST_STEP)?);
            }
            _ => return None,
        }
    }
    Some(GilbertElliott { p: p?, r: r?, step })
}

fn delay(text: &str) -> Option<(Duration, Duration)> {
    let split = text.split_once('±').or_else(|| text.split_once("+-"));
    match split {
        None => Some((time(text)?, Duration::ZERO)),
        Some((delay, jitter)) => Some((time(delay.trim())?, time(jitter.trim())?)),
    }
}

/// Parses a time with its unit, to the nanosecond.
fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let nanoseconds = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "" if number.bytes().all(|digit| digit == b'0') => 1.0,
        _ => return None,
    };
    let nanoseconds = number.parse::<f64>().ok()? * nanoseconds;
    let time = Duration::from_nanos(nanoseconds.round() as u64);
    (time <= LONGEST).then_some(time)
}

fn in_units(time: Duration) -> String {
    match time.as_nanos() {
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!("{}us", nanos / 1_000),
        nanos => format!("{nanos}ns"),
    }
}

fn rate(text: &str) -> Option<u64> {
    let bits = number(text)?;
    RATES.contains(&bits).then_some(bits as u64)
}

fn bytes(text: &str) -> Option<usize> {
    let bytes = number(text)?;
    BUCKETS.contains(&bytes).then_some(bytes as usize)
}

/// Parses a number, in thousands, millions or milliards where it says so.
fn number(text: &str) -> Option<f64> {
    let (number, unit) = split(text);
    let unit = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        "g" | "G" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

fn mtu(text: &str) -> Option<usize> {
    let bytes = text.parse().ok()?;
    (1..=MAX_DATAGRAM).contains(&bytes).then_some(bytes)
}

const EXAMPLE: &str = "loss=5%,delay=20ms±5ms,seed=7";
const TERMS: &str = "it is not one of the terms loss=, ge=, delay=, reorder=, dup=, corrupt=, rate=, \
                     queue=, bucket=, mtu=, seed=";
const A_SHARE: &str = "write a share from 0% to 100%, such as 5%";
const A_CHAIN: &str = "write two probabilities from 0 to 1, and a step from 1us to 10s unless \
                       each datagram is one, such as ge=p:0.01,r:0.2 or ge=p:0.01,r:0.2,step:1ms";
const A_DELAY: &str = "write a time up to 10s, optionally with a jitter, such as 20ms±5ms";
const A_RATE: &str = "write bits per second from 64k to 100G, such as 20M";
const A_TIME: &str = "write a time up to 10s, such as 100ms";
const A_BUCKET: &str = "write bytes from 1 to 16M, such as 16k";
const AN_MTU: &str = "write bytes from 1 to 65507, such as 1200";
const A_SEED: &str = "write a whole number below 2^64, such as 7";

/// Upper bound on the characters of a term in an error.
const MOST_SHOWN: usize = 60;

/// Queue of a bottleneck, unless one is given.
const QUEUE: Duration = Duration::from_millis(100);

/// Longest delay: longer than any path on earth, and short enough to keep its
/// datagrams in memory.
const LONGEST: Duration = Duration::from_secs(10);

/// Shortest step of a chain, because each datagram makes all steps since the last
/// one.
const LEAST_STEP: Duration = Duration::from_micros(1);

/// Range of rates in bits per second. Below it, one datagram would take too long;
/// above it, the link is no bottleneck.
const RATES: std::ops::RangeInclusive<f64> = 64e3..=100e9;

/// Range of buckets in bytes: the longest holds the largest frame.
const BUCKETS: std::ops::RangeInclusive<f64> = 1.0..=16e6;

#[cfg(test)]
mod tests;
