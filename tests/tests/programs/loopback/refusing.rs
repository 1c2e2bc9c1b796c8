//! Bad input leads to one clear line and the right exit status.

use super::listening;
use framegram_tests::program::{Ended, SENDER, Start, VIEWER, address, media};

/// Runs a program that must fail. `{}` in its arguments is replaced by a free address.
fn fail(name: &str, arguments: &str) -> Ended {
    let arguments = arguments.replace("{}", &address().to_string());
    let ended = Start::new(name, &arguments).run_plain().end();
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    ended
}

#[test]
fn the_sender_says_in_one_line_what_is_wrong_with_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let text = media("README.md");
    for (arguments, says) in [
        ("no-such.mp4 {}".to_owned(), "no-such.mp4"),
        (format!("{text} {{}}"), "README.md"),
        (format!("{empty} {{}}"), empty),
        ("camera:97 {}".to_owned(), "/dev/video97"),
        (
            "pattern no-such-host.invalid:5005".to_owned(),
            "no-such-host.invalid",
        ),
        ("pattern 255.255.255.255:5005".to_owned(), "--broadcast"),
        (
            "pattern {} --report no/such/folder/r.json".to_owned(),
            "no/such/folder/r.json",
        ),
    ] {
        let ended = fail(SENDER, &arguments);
        assert_eq!(ended.code, Some(1), "{arguments}: {}", ended.said);
        assert_eq!(ended.said.lines().count(), 1, "{arguments}: {}", ended.said);
        assert!(ended.said.contains(says), "{arguments}: {}", ended.said);
    }
}

#[test]
fn the_viewer_says_in_one_line_what_is_wrong_with_its_input() {
    for (arguments, says) in [
        (
            "{} --headless --report no/such/folder/r.json",
            "no/such/folder/r.json",
        ),
        (
            "{} --headless --snapshot no/such/folder/s.png",
            "no/such/folder/s.png",
        ),
        ("192.0.2.77:5005 --headless", "192.0.2.77:5005"),
        (
            "239.1.2.3:5005 --interface no-such-0 --headless",
            "no-such-0",
        ),
        ("{}", "--headless"),
    ] {
        let ended = fail(VIEWER, arguments);
        assert_eq!(ended.code, Some(1), "{arguments}: {}", ended.said);
        assert_eq!(ended.said.lines().count(), 1, "{arguments}: {}", ended.said);
        assert!(ended.said.contains(says), "{arguments}: {}", ended.said);
    }
}

#[test]
fn wrong_usage_is_distinguished_from_failure() {
    for (name, arguments) in [
        (SENDER, ""),
        (SENDER, "pattern"),
        (SENDER, "pattern {} --quality 0"),
        (SENDER, "pattern {} --no-such-flag"),
        (SENDER, "pattern nonsense:99999"),
        (SENDER, "pattern:0x0 {}"),
        (VIEWER, "--frames 0"),
        (VIEWER, "--output -"),
        (VIEWER, "--allow 10.0.0.0/99"),
        (VIEWER, "{} {}"),
    ] {
        let ended = fail(name, arguments);
        assert_eq!(ended.code, Some(2), "{name} {arguments}: {}", ended.said);
    }
}

#[test]
fn help_and_version_are_success() {
    for name in [SENDER, VIEWER] {
        for flag in ["-h", "--help", "--version"] {
            let ended = fail(name, flag);
            assert_eq!(ended.code, Some(0), "{name} {flag}");
            assert!(String::from_utf8_lossy(&ended.output).contains("framegram"));
        }
    }
}

#[test]
fn an_address_in_use_is_named() {
    let address = address();
    let _first = listening(address, "");
    let second = super::viewer(address, "").run_plain().end();
    assert_eq!(second.code, Some(1));
    assert!(
        second.said.contains(&address.to_string()),
        "{}",
        second.said
    );
}
