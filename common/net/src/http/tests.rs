use super::*;

#[test]
fn a_password_goes_along_within_a_place_and_not_to_another() {
    let place = HttpUrl::of("HTTP://me:secret@camera:81/a/b").unwrap();
    for (location, url) in [
        ("c", "http://me:secret@camera:81/a/c"),
        ("/c?d", "http://me:secret@camera:81/c?d"),
        ("//camera:81/c", "http://me:secret@camera:81/c"),
        ("http://camera:81/c", "http://me:secret@camera:81/c"),
        ("http://you@camera:81/c", "http://you@camera:81/c"),
        ("//other/c", "http://other/c"),
        ("http://camera:82/c", "http://camera:82/c"),
        ("https://camera:81/c", "https://camera:81/c"),
    ] {
        assert_eq!(place.follow(location), url);
    }
}

/// The body of an answer.
fn body(answer: &str) -> String {
    let mut input = answer.as_bytes();
    let header = HttpHeader::read(&mut input).unwrap();
    let mut text = String::new();
    header.body(input).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn bodies_come_as_they_are_or_in_pieces() {
    assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nsome bytes"), "some bytes");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let pieces = format!("{chunked}5\r\nsome \r\n5;x=1\r\nbytes\r\n0\r\n\r\n");
    assert_eq!(body(&pieces), "some bytes");
}

#[test]
fn chunks_end_where_only_empty_lines_follow() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
    let few = format!("{chunked}\r\n\r\n2\r\ncd\r\n0\r\n\r\n");
    let many = format!("{chunked}{}2\r\ncd\r\n", "\r\n".repeat(MAX_EMPTY_LINES));
    assert_eq!(body(&few), "abcd");
    assert_eq!(body(&many), "ab");
}

#[test]
fn headers_are_bounded_and_those_before_the_answer_are_skipped() {
    let read = |answer: String| HttpHeader::read(&mut answer.as_bytes());
    let going_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let answer = "HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\n";
    let header = read(format!("{going_on}{answer}")).unwrap();
    assert_eq!((header.status, header.field("server")), (404, Some("a")));
    assert!(read(going_on.repeat(MAX_HEADERS)).is_err());
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(MAX_LINES + 1));
    assert!(read(endless).is_err());
    assert!(read("RTSP\r\n\r\n".into()).is_err());
}
