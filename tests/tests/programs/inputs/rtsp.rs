//! A camera that speaks RTSP and sends its RTP within the same connection
//! (<https://www.rfc-editor.org/rfc/rfc2326#section-10.12>).

use framegram_common::jpeg::JpegHeader;
use framegram_tests::odd_rtp::Camera;

use super::*;

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n\
     m=video 0 RTP/AVP 26\r\nc=IN IP4 0.0.0.0\r\na=control:track\r\n";

/// Answers the requests of one client, and sends it frames until it goes.
fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    loop {
        let request: Vec<String> = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let Some(verb) = request.first().and_then(|line| line.split(' ').next()) else {
            return Ok(());
        };
        let number = request.iter().find(|line| line.starts_with("CSeq:"));
        let number = number.expect("a numbered request");
        let rest = match verb {
            "OPTIONS" => "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".to_owned(),
            "DESCRIBE" => format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{DESCRIPTION}",
                DESCRIPTION.len()
            ),
            "SETUP" => {
                "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n\r\n".into()
            }
            _ => "Session: 7\r\n\r\n".into(),
        };
        connection.write_all(format!("RTSP/1.0 200 OK\r\n{number}\r\n{rest}").as_bytes())?;
        if verb == "PLAY" {
            break;
        }
    }
    let mut sequence = 65_530;
    for frame in 0.. {
        for packet in Camera::usual().packets(frame, 7, &mut sequence) {
            let len = (packet.len() as u16).to_be_bytes();
            connection.write_all(&[b"$\0", &len[..], &packet].concat())?;
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}

#[test]
fn a_camera_that_sends_rtp_within_its_rtsp_connection_plays() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("rtsp://{}/live", server.local_addr().unwrap());
    thread::spawn(move || {
        // A client that has seen enough goes away.
        let _ = serve(server.accept()?.0);
        std::io::Result::Ok(())
    });
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--frames 20 {url} {address}")).run();
    let sender = sender.end().well();
    assert_eq!(sender.count("frames.captured"), 20);
    assert_eq!(sender.count("frames.unreadable"), 0);
    let (viewer, jpegs) = recorded(viewer);
    // Frames that came while the stream was opened may be replaced by newer ones.
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    let scan = |jpeg: &[u8]| jpeg[JpegHeader::parse(jpeg).unwrap().len..].to_vec();
    let mut sent = (0..100).map(|number| scan(&Camera::usual().jpeg(number)));
    assert!(!jpegs.is_empty());
    for jpeg in jpegs {
        assert!(
            sent.any(|sent| sent == scan(&jpeg)),
            "a frame that was not sent"
        );
    }
}
