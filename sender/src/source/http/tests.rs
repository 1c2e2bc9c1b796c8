use std::net::TcpListener;
use std::thread;

use super::*;

#[test]
fn logins_are_written_as_basic_ones_are() {
    for (user, written) in [
        ("admin:secret", "YWRtaW46c2VjcmV0"),
        ("a:b", "YTpi"),
        ("a:%40/b", "YTpAL2I="),
        ("a%2", "YSUy"),
        ("%+f", "JStm"),
        ("", ""),
    ] {
        let written = format!("Authorization: Basic {written}\r\n");
        assert_eq!(login(user), written);
    }
}

/// A server that gives these answers, one per connection. Returns its address.
fn serve(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while request.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn read(url: &str) -> String {
    let HttpAnswer::Jpegs(mut body) = get(url, &Stop::new()).unwrap() else {
        panic!("it is of another kind");
    };
    let mut text = String::new();
    body.read_to_string(&mut text).unwrap();
    text
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=a\r\n";

#[test]
fn bodies_come_as_they_are_or_in_pieces() {
    let plain = format!("{HEAD}\r\nsome bytes");
    let pieces = format!(
        "{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n5;x=1\r\nbytes\r\n0\r\n\r\n"
    );
    let address = serve(vec![plain, pieces]);
    for _ in 0..2 {
        assert_eq!(read(&format!("http://{address}/stream")), "some bytes");
    }
}

#[test]
fn follows_redirects() {
    let there = format!("{HEAD}\r\nthere");
    let address = serve(vec![
        "HTTP/1.1 302 Found\r\nLocation: other\r\n\r\n".into(),
        there,
    ]);
    assert_eq!(read(&format!("http://{address}/a/b")), "there");
}

#[test]
fn says_what_a_server_answers_and_no_password() {
    let address = serve(vec!["HTTP/1.1 404 Not Found\r\n\r\n".into()]);
    let error = get(&format!("http://me:secret@{address}/"), &Stop::new())
        .err()
        .unwrap();
    let told = format!("{error:#}");
    assert!(told.contains("404") && !told.contains("secret"), "{told}");
    let other = serve(vec![
        "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n".into(),
    ]);
    assert!(matches!(
        get(&format!("http://{other}/"), &Stop::new()),
        Ok(HttpAnswer::Other)
    ));
    assert!(matches!(
        get("rtsp://camera/", &Stop::new()),
        Ok(HttpAnswer::Other)
    ));
}

#[test]
fn content_that_begins_like_jpegs_is_read_as_jpegs_under_any_name() {
    let answer = |headers: &str, body: &str| {
        let address = serve(vec![format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")]);
        get(&format!("http://{address}/"), &Stop::new()).unwrap()
    };
    let is_stream = |headers| match answer(headers, "--frame\r\n") {
        HttpAnswer::Jpegs(body) => Some(body.is_stream),
        HttpAnswer::Other => None,
    };
    assert_eq!(is_stream(""), Some(true));
    assert_eq!(
        is_stream("Content-Type: video/x-motion-jpeg\r\n"),
        Some(true)
    );
    assert_eq!(is_stream("content-length: 9\r\n"), Some(false));
    assert_eq!(is_stream("Content-Type: image/jpeg\r\n"), Some(false));
    assert!(matches!(answer("", "<html>"), HttpAnswer::Other));
}

#[test]
fn a_login_that_is_not_the_basic_one_is_ffmpeg_s_and_the_jpegs_are_ours() {
    let asks = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"camera\", \
                nonce=\"1\", qop=\"auth\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let there = format!("{HEAD}\r\n--a\r\n\r\nwithout a length\r\n");
    // The first request of ours, FFmpeg's first request, and the one with the login.
    let address = serve(vec![asks.into(), asks.into(), there]);
    let url = format!("http://me:secret@{address}/stream");
    let HttpAnswer::Jpegs(mut body) = get(&url, &Stop::new()).unwrap() else {
        panic!("it is of another kind");
    };
    // For FFmpeg, the end of a body without a length is an error.
    let mut start = [0; 14];
    body.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"--a\r\n\r\nwithout");
    assert!(body.is_stream);
}
