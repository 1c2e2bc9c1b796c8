//! Viewers that find a sender by its name, without multicast, and from behind a
//! NAT.

use framegram_tests::networks::{Home, Segment};
use framegram_tests::program::{PATIENT, SENDER, VIEWER, until};
use nix::sys::signal::Signal;

const SOURCE: &str = "pattern:320x180@30";

pub(crate) fn a_sender_is_found_by_its_name() {
    let network = Segment::new(2);
    let arguments = format!("{SOURCE} --listen :5005 --announce kitchen");
    let mut sender = network.start(0, SENDER, &arguments).run();
    sender.wait_for("To connect, type");
    // On an idle network, the first query may be sent before the name is announced, and the next
    // one later than a person waits for a list.
    let viewer = network
        .start(
            1,
            VIEWER,
            "--headless --frames 20 --connect kitchen --wait 50s",
        )
        .run()
        .end()
        .well();
    assert_eq!(viewer.count("frames.intact"), 20, "{:#}", viewer.report);
    let list = network.start(1, VIEWER, "discover").run_plain().end();
    let list = String::from_utf8_lossy(&list.well().output).into_owned();
    assert_eq!(list, format!("kitchen\t{}:5005\n", Segment::v4(0)));

    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
    let nobody = network.start(1, VIEWER, "discover").run_plain().end();
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.said.contains("--announce NAME"), "{}", nobody.said);
}

pub(crate) fn without_multicast_names_are_not_looked_for_and_addresses_work() {
    let network = Segment::new(2);
    network.block_groups(0);
    network.block_groups(1);
    let arguments = format!("{SOURCE} --listen :5005 --announce kitchen");
    let mut sender = network.start(0, SENDER, &arguments).run();
    sender.wait_for("\"kitchen\" cannot be found by name");
    for arguments in ["discover", "--headless --connect kitchen"] {
        let ended = network.start(1, VIEWER, arguments).run_plain().end();
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        let last = ended.said.lines().last().unwrap_or_default();
        assert!(last.contains("--connect HOST:PORT works"), "{last}");
    }
    let arguments = format!("--headless --frames 5 --connect {}:5005", Segment::v4(0));
    let viewer = network.start(1, VIEWER, &arguments).run().end().well();
    assert_eq!(viewer.count("frames.intact"), 5);
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}

pub(crate) fn nothing_that_could_be_sent_is_a_failure() {
    let network = Segment::new(1);
    network.block_groups(0);
    let arguments = "pattern:160x120 239.1.2.3:5005 --frames 3";
    let ended = network.start(0, SENDER, arguments).run_plain().end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let last = ended.said.lines().last().unwrap_or_default();
    assert!(
        last.contains("nothing could be sent to 239.1.2.3:5005"),
        "{last}"
    );
}

pub(crate) fn a_viewer_behind_a_nat_gets_the_stream() {
    let home = Home::new();
    let mut sender = home
        .in_the_world(SENDER, &format!("{SOURCE} --listen :5005"))
        .run();
    sender.wait_for("To connect, type");
    let arguments = format!(
        "--headless {PATIENT} --frames 40 --connect {}:5005",
        Home::WORLD
    );
    let viewer = home.at_home(VIEWER, &arguments).run().end().well();
    assert_eq!(viewer.count("frames.intact"), 40, "{:#}", viewer.report);
    // The sender knows only the router, and hears the viewer's reports.
    sender.wait_for(&format!("the viewer at {}:", Home::ROUTER));
    until("the viewer's leave", || {
        sender.said().contains("left").then_some(())
    });
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert_eq!(sender.count("admission.admitted"), 1);
}
