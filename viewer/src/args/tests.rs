//! Command lines, good and wrong.

use clap::CommandFactory;
use framegram_common::receiver::Config;

use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    let words = std::iter::once("framegram-view").chain(line.split_whitespace());
    Args::try_parse_from(words).and_then(Args::check)
}

#[test]
fn the_clap_definition_is_valid() {
    Args::command().debug_assert();
}

#[test]
fn takes_every_form_of_an_address() {
    for form in [
        "",
        "6000",
        ":6000",
        "127.0.0.1:6000",
        "[::]:6000",
        "::1",
        "239.1.2.3:6000",
    ] {
        assert!(parse(form).is_ok(), "{form}");
    }
    for form in [":0", "a:b", "127.0.0.1:99999", "[::1"] {
        assert!(parse(form).is_err(), "{form}");
    }
    assert!(parse("--grid --headless --stats json --snapshot a.png --report a.csv").is_ok());
    assert!(parse("--grid --connect a:1 --trace a --read-timecode --output a.mjpeg").is_ok());
    assert!(parse("--grid --output - --output-format y4m").is_err());
    assert!(parse("--grid --output -").is_err());
    let connect = |line| parse(line).unwrap().connect;
    let address = SenderAddress::Address("a:5005".to_owned());
    assert_eq!(connect("--connect a:5005"), Some(address));
    let name = SenderAddress::Name("kitchen".to_owned());
    assert_eq!(connect("--connect kitchen"), Some(name));
    for (address, whole) in [
        ("10.77.0.1", "10.77.0.1:5005"),
        ("fe80::1", "[fe80::1]:5005"),
    ] {
        let error = parse(&format!("--connect {address}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("add a port: {whole}")), "{error}");
    }
    for line in ["--connect :5005", "--connect a:b", "--connect a:5005 :6000"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_pipe_needs_a_format() {
    assert!(parse("--output -").is_err());
    let args = parse("--output - --output-format y4m").unwrap();
    assert_eq!(args.format().unwrap(), Some(RecordingFormat::Y4m));
    assert!(parse("--output-format y4m").is_err());
    assert!(parse("--output a.mp4").is_err());
    assert_eq!(
        parse("--output a.mjpeg").unwrap().format().unwrap(),
        Some(RecordingFormat::Mjpeg)
    );
}

#[test]
fn every_flag_is_parsed() {
    let args = parse(
        "239.0.0.1:5005 --interface lo --allow 10.0.0.0/8 --allow ::1 --buffer 512k \
         --headless --snapshot a.png --output a.y4m --once --frames 3 --duration 500ms \
         --wait 2m --report r.json --quiet --latency 100ms --strict",
    )
    .unwrap();
    assert_eq!(args.buffer, 512_000);
    assert_eq!(args.allow.len(), 2);
    assert_eq!(args.duration, Some(Duration::from_millis(500)));
    assert_eq!(args.wait, Some(Duration::from_secs(120)));
    assert_eq!(args.playout_delay(), Duration::from_millis(100));
    assert!(args.headless && args.once && args.quiet && args.strict);
    assert!(parse("--latency 11s").is_err());
    assert!(parse("--frames 0").is_err());
    assert!(parse("--snapshot a.gif").is_err());
    assert!(parse("--allow 10.0.0.0/33").is_err());
}

#[test]
fn common_flags_have_the_usual_letters() {
    let args = parse("-q -o a.mjpeg -n 3 -t 10 --latency 100 --wait 2").unwrap();
    assert!(args.quiet && args.output.is_some());
    assert_eq!(args.frames, Some(3));
    assert_eq!(args.duration, Some(Duration::from_secs(10)));
    assert_eq!(args.playout_delay(), Duration::from_millis(100));
    assert_eq!(args.wait, Some(Duration::from_secs(2)));
}

#[test]
fn only_one_thing_goes_to_standard_output() {
    assert!(parse("--stats json --output a.y4m").is_ok());
    let error = parse("--stats json --output - --output-format y4m").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(parse("--stats xml").is_err());
    assert!(parse("--report - --report a.html").is_ok());
    for line in [
        "--stats json --report -",
        "--report - --output - --output-format y4m",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn no_file_is_written_twice() {
    for (line, options) in [
        ("--report a.html --trace ./a.html", ["--report", "--trace"]),
        ("--report a.html --report a.html", ["--report", "--report"]),
        (
            "--impair seed=1 --impair-log a.csv --report a.csv",
            ["--report", "--impair-log"],
        ),
        (
            "--output a.png --output-format y4m --snapshot a.png",
            ["--output", "--snapshot"],
        ),
        (
            "--trace /tmp/a --output /tmp/../tmp/a --output-format y4m",
            ["--trace", "--output"],
        ),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        let [one, other] = options;
        let words = format!("{one} and {other} would both write");
        assert!(error.to_string().contains(&words), "{error}");
    }
    for line in [
        "--report a.html --trace b.html --snapshot a.png",
        "--trace /dev/null --output /dev/null --output-format y4m",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn a_setting_without_effect_is_wrong_usage() {
    for line in [
        "--interface lo",
        "--interface lo 127.0.0.1:5005",
        "--sdp a.sdp --wire native",
        "discover --once",
        "discover --report a.json",
        "discover a:5005",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    for line in [
        "--interface lo 239.1.2.3",
        "--interface lo [ff02::1]:5005",
        "--sdp a.sdp --wire rtp",
        "discover",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn a_log_needs_exactly_one_impairment() {
    let args = parse("--impair loss=5%,seed=7 --impair-log a").unwrap();
    assert_eq!(args.impair.map(|impair| impair.loss), Some(0.05));
    for line in [
        "--impair loss=200%",
        "--impair-log a",
        "--impair seed=1 --impair-log a --impair-log b",
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn several_conditions_can_be_given() {
    let args = parse("--fail-if shown<99% --fail-if delay>50ms").unwrap();
    assert_eq!(args.fail_if.len(), 2);
    assert!(parse("--fail-if shown").is_err());
}

#[test]
fn the_help_names_defaults_and_an_example() {
    let help = Args::command().render_long_help().to_string();
    assert!(help.contains("[default: 4M]"));
    assert!(help.contains("Longest wait") && help.contains("60ms]"));
    assert_eq!(
        parse("").unwrap().playout_delay(),
        Config::default().playout_delay
    );
    assert!(help.contains("framegram-send camera"));
}

#[test]
fn a_trace_has_a_limit() {
    assert_eq!(parse("--trace a").unwrap().trace_limit, 64_000_000);
    assert_eq!(
        parse("--trace a --trace-limit 2M").unwrap().trace_limit,
        2_000_000
    );
    for line in ["--trace-limit 2M", "--trace a --trace-limit 1k"] {
        assert!(parse(line).is_err(), "{line}");
    }
}
