//! Cameras that ask for a password, over TLS.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::*;

/// Where it listens, by OpenSSL, with a certificate that nobody has signed.
struct TlsCamera {
    server: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl TlsCamera {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split_whitespace());
            command.current_dir(folder.path()).stderr(Stdio::null());
            command
        };
        let made = openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN=camera -keyout key.pem -out certificate.pem",
        );
        let made = { made }.status().expect("the tests need openssl");
        assert!(made.success());
        // Nobody else takes it meanwhile: other addresses are used by other tests.
        let place = address();
        let served = openssl(&format!(
            "s_server -quiet -accept {place} -cert certificate.pem -key key.pem"
        ));
        let server = { served }
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            server,
            url: format!("https://admin:secret@{place}/stream?token=mystery"),
            _folder: folder,
        }
    }

    /// Answers the first who asks.
    fn serve(&mut self, count: u64) {
        let mut lines = BufReader::new(self.server.stdout.take().unwrap()).lines();
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let mut out = self.server.stdin.take().unwrap();
        out.write_all(format!("HTTP/1.1 200 OK\r\n{MULTIPART}\r\n\r\n").as_bytes())
            .unwrap();
        for jpeg in frames(count) {
            let part = [b"--frame\r\n\r\n", &jpeg[..], b"\r\n"].concat();
            out.write_all(&part).and_then(|()| out.flush()).unwrap();
            thread::sleep(INTERVAL);
        }
    }
}

impl Drop for TlsCamera {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_camera_with_a_certificate_of_its_own_plays_and_nobody_reads_its_password() {
    let mut camera = TlsCamera::start();
    until_open(&camera.url);
    let (viewer, address) = recording();
    let arguments = format!("-vv --frames 9 {} {address}", camera.url);
    let sender = Start::new(SENDER, &arguments).run();
    camera.serve(12);
    let told = fs::read_to_string(format!("/proc/{}/cmdline", sender.pid())).unwrap_or_default();
    let ended = sender.end().well();
    assert_eq!(recorded(viewer).1, frames(12)[..9]);
    for secret in ["secret", "mystery"] {
        assert!(!ended.said.contains(secret), "{}", ended.said);
        assert!(!told.contains(secret), "{told}");
    }
}

fn until_open(url: &str) {
    let place = url
        .split(['@', '/'])
        .find(|part| part.contains(':') && part.contains('.'));
    let place: std::net::SocketAddr = place.unwrap().parse().unwrap();
    framegram_tests::program::until("the camera to listen", || {
        // A connection would be the one that is served.
        let taken = TcpListener::bind(place).is_err();
        taken.then_some(())
    });
}

#[test]
fn a_source_that_fails_is_told_without_its_password() {
    for url in [
        "rtsp://admin:secret@127.0.0.1:1/1",
        "http://admin:secret@127.0.0.1:1/1?token=secret",
        "https://admin:secret@127.0.0.1:1/1",
        "nothing://admin:secret@127.0.0.1/",
    ] {
        let to = address();
        let ended = Start::new(SENDER, &format!("-vv {url} {to}")).run().end();
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(!ended.said.contains("secret"), "{}", ended.said);
    }
    // Typed in the wrong place.
    let ended = Start::new(SENDER, "pattern rtsp://admin:secret@camera/")
        .run_plain()
        .end();
    assert_eq!(ended.code, Some(2));
    assert!(!ended.said.contains("secret"), "{}", ended.said);
}
