//! Parses times, sizes and rates as users type them. Prefixes are powers of 1000.

use std::time::Duration;

/// A time above zero: `500ms`, `10s`, `1.5s`, `2m`, `1h`; a bare number is
/// seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    seconds(text, 1.0)?
        .filter(|&seconds| seconds > 0.0 && seconds <= LONGEST)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a time is a number above 0 with ms, s, m or h, such as 10s".to_owned())
}

/// A latency, `0` to `10s`; a bare number is milliseconds.
pub fn latency(text: &str) -> Result<Duration, String> {
    seconds(text, 0.001)?
        .filter(|seconds| (0.0..=LONGEST_LATENCY).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| {
            "a latency is 0 to 10s, such as 60ms; a bare number is milliseconds".to_owned()
        })
}

/// A bit rate: `64000`, `500k`, `8M`, `1G`.
pub fn bitrate(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1e6),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    match number.parse::<f64>().map(|number| number * unit) {
        Ok(bits) if (LEAST_BITRATE..=MOST_BITRATE).contains(&bits) => Ok(bits as u64),
        _ => Err("a bit rate is 64k to 10G, such as 8M or 500k".into()),
    }
}

fn seconds(text: &str, bare: f64) -> Result<Option<f64>, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" => bare,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is a number with ms, s, m or h, such as 10s".to_owned()),
    };
    Ok(number.parse::<f64>().ok().map(|number| number * seconds))
}

/// A size in bytes: `4096`, `512k`, `4M`, `1G`, in powers of 1000.
pub fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        _ => return Err("a size is a number with k, M or G, such as 4M".to_owned()),
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|bytes| (LEAST_BUFFER..=LARGEST_BUFFER).contains(bytes))
        .ok_or_else(|| "a size is a whole number from 4k to 1G, such as 4M".to_owned())
}

/// A number and what follows it, its unit.
pub fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Lower rates cannot carry a frame.
const LEAST_BITRATE: f64 = 64e3;

/// A limit above the rate of any network interface is a typing error.
const MOST_BITRATE: f64 = 10e9;

/// One year in seconds. Longer times are typing errors.
const LONGEST: f64 = 366.0 * 86_400.0;

/// Longest playout delay in seconds. Both ends keep the frames of this time in
/// memory.
const LONGEST_LATENCY: f64 = 10.0;

/// A smaller buffer cannot hold a few datagrams. The kernel has its own minimum.
const LEAST_BUFFER: usize = 4_000;

/// The kernel doubles the value and stores it in a type that ends at 2 GiB.
const LARGEST_BUFFER: usize = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("10", 10_000),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for text in [
            "",
            "s",
            "0s",
            "-1s",
            "1e9s",
            "5x",
            "1.2.3s",
            "99999999h",
            "inf",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_latencies() {
        for (text, millis) in [
            ("0", 0),
            ("60", 60),
            ("60ms", 60),
            ("1.5s", 1_500),
            ("10s", 10_000),
        ] {
            assert_eq!(latency(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "-1ms", "10.1s", "60x", "ms", "1m"] {
            assert!(latency(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("512k"), Ok(512_000));
        assert_eq!(bytes("4M"), Ok(4_000_000));
        for text in ["", "M", "1", "2G", "1.5M", "4MB", "99999999999999999999"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
