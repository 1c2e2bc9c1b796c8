use std::os::unix::ffi::OsStringExt;

use super::*;

#[test]
fn understands_every_source() {
    let pattern = |size, rate| Ok(Spec::Pattern { size, rate });
    assert_eq!(Spec::parse("-"), Ok(Spec::Stdin));
    assert_eq!(
        Spec::parse("camera"),
        Ok(Spec::Camera("/dev/video0".into()))
    );
    assert_eq!(
        Spec::parse("camera:2"),
        Ok(Spec::Camera("/dev/video2".into()))
    );
    assert_eq!(
        Spec::parse("camera:HD Webcam"),
        Ok(Spec::CameraNamed("HD Webcam".into()))
    );
    assert_eq!(
        Spec::parse("/dev/v4l/by-id/usb-1"),
        Ok(Spec::Camera("/dev/v4l/by-id/usb-1".into()))
    );
    // A name with a colon is not a protocol.
    for name in ["2024-11-14T22:57:44.mp4", "-clip.mp4", "a/b://c.mp4"] {
        assert_eq!(Spec::parse(name), Ok(Spec::Path(name.into())));
    }
    assert_eq!(
        Spec::parse("/dev/video1"),
        Ok(Spec::Camera("/dev/video1".into()))
    );
    assert_eq!(Spec::parse("pattern"), pattern(None, None));
    assert_eq!(
        Spec::parse("pattern:320x180"),
        pattern(Some((320, 180)), None)
    );
    assert_eq!(
        Spec::parse("pattern:320x180@59.94"),
        pattern(Some((320, 180)), Some(59.94))
    );
    assert_eq!(
        Spec::parse("rtsp://cam/1"),
        Ok(Spec::Url("rtsp://cam/1".into()))
    );
    assert_eq!(Spec::parse("a b.mp4"), Ok(Spec::Path("a b.mp4".into())));
    for url in [
        "file:///a%20b/%e9",
        "FILE:/a%20b/%E9",
        "file://localhost/a b/%e9",
    ] {
        let path = std::ffi::OsString::from_vec(b"/a b/\xe9".to_vec());
        assert_eq!(Spec::parse(url), Ok(Spec::Path(path.into())), "{url}");
    }
    assert_eq!(
        Spec::parse("file:a.mp4"),
        Ok(Spec::Path("file:a.mp4".into()))
    );
}

#[test]
fn fails_for_sources_that_are_misspelt() {
    for text in [
        "",
        "camera:",
        "pattern:",
        "pattern@30",
        "pattern:320",
        "pattern:0x10",
        "pattern:99999x1",
        "pattern:320x180@0",
        "pattern:320x180@nan",
        "pattern:320x180@1001",
    ] {
        assert!(Spec::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_pattern_with_only_a_rate_gets_an_error_with_the_correct_form() {
    let error = Spec::parse("pattern@30").unwrap_err();
    assert!(error.ends_with("pattern:1280x720@30"), "{error}");
    // A file with that name is in a folder.
    assert!(matches!(Spec::parse("./pattern@30"), Ok(Spec::Path(_))));
}
