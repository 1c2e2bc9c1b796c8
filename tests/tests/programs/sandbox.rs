//! The sandbox of the programs. All other tests of the programs run in it too.

use std::collections::BTreeMap;
use std::fs;

use framegram_tests::program::{Program, SENDER, Start, VIEWER, address, media};

/// One line of the status of each thread of a program, by the thread's name.
fn of_threads(program: &Program, line: &str) -> BTreeMap<String, String> {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap();
    let status = |path: std::path::PathBuf| fs::read_to_string(path.join("status")).ok();
    let statuses = threads.filter_map(|thread| status(thread.unwrap().path()));
    let value = |status: &str, line: &str| {
        let mut lines = status.lines().filter_map(|it| it.split_once(":\t"));
        let found = lines.find(|(name, _)| *name == line);
        found.map_or(String::new(), |(_, value)| value.to_owned())
    };
    statuses
        .map(|status| (value(&status, "Name"), value(&status, line)))
        .collect()
}

#[test]
fn each_thread_of_both_programs_is_restricted_unless_a_flag_says_otherwise() {
    for (flag, bound, told) in [
        ("", true, "sandbox: files "),
        ("--no-sandbox", false, "sandbox: off"),
    ] {
        let address = address();
        let arguments = format!("--headless --once -v {address} {flag}");
        let mut viewer = Start::new(VIEWER, &arguments).run();
        viewer.wait_for("Waiting");
        let arguments = format!("-v -t 2 pattern:160x120 {address} {flag}");
        let mut sender = Start::new(SENDER, &arguments).run();
        viewer.wait_for("Following");
        viewer.wait_for(told);
        sender.wait_for(told);
        for program in [&viewer, &sender] {
            for (thread, value) in of_threads(program, "NoNewPrivs") {
                assert_eq!(value == "1", bound, "{thread}");
            }
            for (thread, value) in of_threads(program, "Seccomp") {
                // 2 means that a filter is active.
                assert_eq!(value == "2", bound, "{thread}");
            }
        }
        let filters = of_threads(&viewer, "Seccomp_filters");
        let of = |thread| filters[thread].parse::<u32>().unwrap();
        for confined in ["network", "decoder"] {
            let further = of(confined) - of("framegram-view");
            assert_eq!(further, u32::from(bound), "{confined}: {filters:?}");
        }
        let _ = sender.end().well();
        let viewer = viewer.end().well();
        assert!(viewer.count("frames.shown") > 30);
        assert!(!viewer.said.contains("ermission denied"), "{}", viewer.said);
    }
}

/// A playlist names other files. One from an untrusted source may name any file
/// of this machine.
#[test]
fn a_playlist_opens_no_file_outside_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    for place in [&own, &other] {
        fs::create_dir(place).unwrap();
        fs::copy(media("clip.mp4"), place.join("clip.mp4")).unwrap();
    }
    let list = |named: &std::path::Path| {
        let clip = named.join("clip.mp4");
        let text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:60,\n{}\n#EXT-X-ENDLIST\n",
            clip.display()
        );
        let path = own.join("list.m3u8");
        fs::write(&path, text).unwrap();
        path
    };
    let play = |named, flag: &str| {
        let arguments = format!("{} --fps max -n 5 {flag}", address());
        let start = Start::new(SENDER, "").with([list(named)]);
        start.with(arguments.split_whitespace()).run().end()
    };
    let _ = play(&own, "").well();
    let refused = play(&other, "");
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    let _ = play(&other, "--no-sandbox").well();
}
