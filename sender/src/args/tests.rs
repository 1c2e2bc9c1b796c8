//! Command lines, good and wrong.

use framegram_common::wire::MIN_DATAGRAM;

use super::*;
use crate::encode::{DEFAULT_QUALITY, MIN_FRAME_BYTES};

fn parse(line: &str) -> Result<Options, clap::Error> {
    let words = std::iter::once("framegram-send").chain(line.split(' '));
    Options::try_parse_from(words).and_then(Options::check)
}

#[test]
fn states_its_defaults_truly() {
    command().debug_assert();
    let help = Options::command().render_long_help().to_string();
    // Wherever its lines are broken.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(&format!(
        "JPEG quality, 1 to 100 [default: {DEFAULT_QUALITY}]"
    )));
    assert!(help.contains(&format!("{MIN_FRAME_BYTES} to {}", 16 << 20)));
    assert!(help.contains(&format!("{MIN_DATAGRAM} to {MAX_DATAGRAM}")));
    assert!(help.contains(&format!(
        "[default: auto; rtp: {DEFAULT_DATAGRAM}; raw: {MAX_DATAGRAM}; over TCP: 16384]"
    )));
}

#[test]
fn takes_several_destinations_of_every_form() {
    let line = "pattern 10.0.0.1:5005 [fe80::1%eth0]:5005 viewer.local:1 239.1.2.3:65535";
    let options = parse(line).unwrap();
    assert_eq!(options.destinations.len(), 4);
    assert_eq!(options.packet_size(), DEFAULT_DATAGRAM);
    assert_eq!(options.fps, None);
}

#[test]
fn makes_slices_for_the_datagrams_by_default() {
    let slices = |line: &str| parse(line).unwrap().settings().slices;
    assert_eq!(slices("pattern a:1"), Some(DEFAULT_DATAGRAM));
    assert_eq!(slices("pattern a:1 --packet-size 9000"), Some(9000));
    assert_eq!(slices("pattern a:1 --no-slices"), None);
}

#[test]
fn common_flags_have_the_usual_letters() {
    let options = parse("pattern a:1 -q -s 320x180 -r 25 -b 8M -n 3 -t 10").unwrap();
    assert!(options.quiet);
    assert_eq!(options.size, Some((320, 180)));
    assert_eq!(options.fps, Some(FrameRate::Fixed(25.0)));
    assert_eq!(options.bitrate, Some(8_000_000));
    assert_eq!(options.frames, Some(3));
    assert_eq!(options.duration, Some(Duration::from_secs(10)));
}

#[test]
fn follows_the_path_by_default_where_viewers_report() {
    let adapts = |line: &str| parse(line).unwrap().adapts();
    assert!(adapts("pattern a:1") && adapts("pattern a:1 -b 8M"));
    for fixed in [
        "--rate fixed",
        "--wire rtp",
        "--wire raw",
        "--transport tcp",
    ] {
        assert!(!adapts(&format!("pattern a:1 {fixed}")), "{fixed}");
    }
}

#[test]
fn protects_against_loss_in_every_way_by_default() {
    let options = parse("pattern a:1").unwrap();
    assert_eq!(options.repair(), (Fec::Auto, true));
    assert!(!options.no_pace);
    let options = parse("pattern a:1 --fec off --no-retransmit --no-pace").unwrap();
    assert_eq!(options.repair(), (Fec::Off, false));
    assert!(options.no_pace);
    for (text, share) in [("1", 0.01), ("12.5", 0.125), ("20%", 0.2), ("200", 2.0)] {
        assert_eq!(quantity::fec(text), Ok(Fec::Fixed(share)), "{text}");
    }
}

#[test]
fn fails_for_wrong_usage() {
    for line in [
        "",
        "pattern",
        "pattern 10.0.0.1",
        "pattern 10.0.0.1:0",
        "pattern 10.0.0.1:65536",
        "pattern :5005",
        "pattern fe80::1:5005",
        "pattern [fe80::1]",
        "pattern [fe80::1:5005",
        "pattern a:1 --quality 0",
        "pattern a:1 --quality 101",
        "pattern a:1 --size 0x10",
        "pattern a:1 --fps 0",
        "pattern a:1 --max-frame-bytes 1023",
        "pattern a:1 --packet-size 65508",
        "pattern a:1 --wire raw --packet-size 1000",
        "pattern a:1 --rtcp-mux",
        "pattern --listen a:b",
        "pattern --listen :5005 --wire rtp",
        "pattern --listen :5005 --max-viewers 0",
        "pattern --listen :5005 --announce a.b",
        "pattern a:1 --announce kitchen",
        "pattern a:1 --ttl 256",
        "pattern a:1 --sdp -",
        "pattern a:1 --no-slices yes",
        "pattern a:1 --bitrate 8",
        "pattern a:1 --bitrate 63k",
        "pattern a:1 --bitrate 11G",
        "pattern a:1 --bitrate 8MB",
        "pattern a:1 --bitrate k",
        "pattern a:1 --bitrate nan",
        "pattern a:1 --bitrate 100k --packet-size 9000",
        "pattern a:1 --wire rtp --fec 20",
        "pattern a:1 --wire raw --fec auto",
        "pattern a:1 --max-viewers 3",
        "pattern 10.0.0.1:5005 --interface eth0",
        "pattern [fe80::1%1]:5005 10.0.0.1:5005 --ttl 3",
        "pattern --listen :5005 --no-multicast-loop",
        "pattern a:1 --wire rtp --sdp - --report -",
        "pattern a:1 --fec 0",
        "pattern a:1 --fec 201",
        "pattern a:1 --fec -5",
        "pattern a:1 --fec on",
        "pattern a:1 --fec nan",
        "pattern a:1 --retransmit",
        "pattern a:1 --no-pace 5",
        "pattern a:1 --stamp",
        "pattern a:1 --frames 0",
        "pattern a:1 --duration 0s",
        "pattern a:1 --duration 10x",
        "pattern a:1 --impair loss=200%",
        "pattern a:1 --impair-log x",
        "- a:1 --loop",
        "pattern:10 a:1",
    ] {
        let error = parse(line).err();
        assert_eq!(error.map(|error| error.exit_code()), Some(2), "{line}");
    }
}

#[test]
fn takes_what_may_have_a_meaning() {
    for line in [
        "pattern a:1 --wire rtp --fec off --no-retransmit",
        "pattern a:1 --wire raw --no-slices",
        "pattern viewer.local:1 --interface eth0 --ttl 3",
        "pattern 10.0.0.1:5005 [ff02::1]:5005 --interface eth0 --no-multicast-loop",
        "pattern 10.0.0.255:5005 --broadcast --interface eth0",
        "pattern --listen :5005 --max-viewers 3",
        "pattern a:1 --report -",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn understands_times_and_rates() {
    let duration = |text| framegram_cli::quantities::duration(text).ok();
    assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
    assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
    assert_eq!(duration("7"), Some(Duration::from_secs(7)));
    assert_eq!(duration("1..5s"), None);
    assert_eq!(framegram_cli::quantities::bitrate("64000"), Ok(64_000));
    assert_eq!(framegram_cli::quantities::bitrate("500k"), Ok(500_000));
    assert_eq!(framegram_cli::quantities::bitrate("2.5M"), Ok(2_500_000));
    assert_eq!(
        framegram_cli::quantities::bitrate("10G"),
        Ok(10_000_000_000)
    );
    assert_eq!(FrameRate::parse("max"), Ok(FrameRate::Max));
    assert_eq!(FrameRate::parse("29.97"), Ok(FrameRate::Fixed(29.97)));
}

#[test]
fn a_report_is_json_by_its_name() {
    for name in ["a.json", "a.JSON", "-", "/dev/null"] {
        assert!(
            parse(&format!("pattern a:1 --report {name}")).is_ok(),
            "{name}"
        );
    }
    for name in ["a", "a.html", "a.csv", "json", "a.json.gz"] {
        let error = parse(&format!("pattern a:1 --report {name}")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("end the name"), "{error}");
    }
}
