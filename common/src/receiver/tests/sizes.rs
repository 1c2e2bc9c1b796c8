//! Sizes that RTP cannot express.

use super::*;

#[test]
fn a_missing_size_is_requested_from_the_user() {
    let wide = crate::wire::rtp_jpeg::tests_recorded::datagrams(include_bytes!(
        "../../../fixtures/gstreamer-420-2560x64.rtp"
    ));
    let mut unknown = receiver();
    let size = Some((2560, 64));
    let config = Config {
        size,
        ..Config::default()
    };
    let mut told = Receiver::new(config, 77, (1, 2), Duration::ZERO);
    for datagram in wide {
        unknown.handle_datagram(address(1), datagram, MS);
        told.handle_datagram(address(1), datagram, MS);
    }
    assert!(unknown.lacks_size() && !told.lacks_size());
    assert_eq!(unknown.statistics().outcomes[Outcome::Undecodable], Some(1));
    assert_eq!(show(&mut told, MS), 1);
    assert_eq!(told.statistics().stream.width, Some(2560));
}
