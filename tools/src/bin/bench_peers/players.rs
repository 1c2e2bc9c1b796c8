//! The command lines of the compared programs, each with the best settings according to its
//! documentation.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use framegram_tests::program::{SENDER, VIEWER, executable};

use crate::clips::{Clip, Coding, QUALITY, RATE};

/// The largest datagram, in bytes: what Ethernet carries over IPv6 without fragmentation.
const DATAGRAM: usize = 1_452;

/// Size of the receivers' socket buffers in bytes, equal for all.
const BUFFER: usize = 4 << 20;

/// The options with which FFmpeg waits no longer than necessary.
const FFMPEG_LOW_DELAY: &str = "-fflags nobuffer -flags low_delay -probesize 32 -analyzeduration 0";

/// A pair of sender and viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Player {
    Framegram,
    GStreamer,
    Ffmpeg,
}

/// What a viewer does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Decodes it, and writes its planes to the null device.
    Decoded,
    /// Writes its planes to standard output.
    Piped,
    /// Writes the JPEG to standard output.
    Jpeg,
}

/// Where a sender's frames come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'a> {
    /// A file, at its own frame rate.
    File(&'a Clip),
    /// Its raw pictures on standard input, sent at once.
    Raw(&'a Clip),
    /// Its JPEGs on standard input, as parts of a multipart message, sent at once.
    Multipart(&'a Clip),
}

impl Player {
    pub(crate) const ALL: [Self; 3] = [Self::Framegram, Self::GStreamer, Self::Ffmpeg];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Framegram => "framegram",
            Self::GStreamer => "GStreamer",
            Self::Ffmpeg => "FFmpeg",
        }
    }

    /// Whether the targets are about it. The run ends if it fails.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Self::Framegram | Self::GStreamer)
    }

    /// The sender's command line.
    pub(crate) fn sender(self, from: From<'_>, to: SocketAddr) -> String {
        let (host, port) = (to.ip(), to.port());
        match self {
            Self::Framegram => {
                let (source, clip) = match from {
                    From::File(clip) => (clip.path.display().to_string(), clip),
                    From::Raw(clip) | From::Multipart(clip) => ("-".to_owned(), clip),
                };
                let program = executable(SENDER);
                let program = program.display();
                // With a quality, JPEGs would be requantised.
                let quality = match clip.coding {
                    Coding::H264 => format!("--quality {}", clip.quality),
                    Coding::MotionJpeg => String::new(),
                };
                format!("{program} {source} {to} --packet-size {DATAGRAM} {quality} --quiet")
            }
            Self::GStreamer => {
                let encode = format!("jpegenc quality={QUALITY}");
                let (jpegs, sync) = match from {
                    From::File(clip) => {
                        let path = clip.path.display();
                        let jpegs = match clip.coding {
                            Coding::H264 => {
                                format!("qtdemux ! avdec_h264 max-threads=1 ! {encode}")
                            }
                            Coding::MotionJpeg => "avidemux".to_owned(),
                        };
                        (format!("filesrc location={path} ! {jpegs}"), true)
                    }
                    From::Raw(clip) => {
                        let (width, height) = clip.size;
                        let kind = format!("format=i420 width={width} height={height}");
                        let raw = format!("rawvideoparse {kind} framerate={RATE}/1");
                        (format!("fdsrc fd=0 ! {raw} ! {encode}"), false)
                    }
                    From::Multipart(clip) => {
                        let (width, height) = clip.size;
                        // The payloader needs properties that this demultiplexer does not provide.
                        let caps = format!("image/jpeg,width={width},height={height}");
                        let parts = "fdsrc fd=0 ! multipartdemux single-stream=true";
                        let set = format!("capssetter caps={caps},framerate={RATE}/1");
                        (format!("{parts} ! {set}"), false)
                    }
                };
                format!(
                    "gst-launch-1.0 -q {jpegs} ! rtpjpegpay mtu={DATAGRAM} \
                     ! udpsink host={host} port={port} sync={sync}"
                )
            }
            Self::Ffmpeg => {
                // The quality that leads to about as many bytes as quality 80.
                let encode = "-c:v mjpeg -threads 1 -pix_fmt yuvj420p -huffman default -q:v 4";
                let (input, codec) = match from {
                    From::File(clip) => {
                        let input = format!("-re -threads 1 -i {}", clip.path.display());
                        let codec = match clip.coding {
                            Coding::H264 => encode,
                            Coding::MotionJpeg => "-c:v copy",
                        };
                        (input, codec)
                    }
                    From::Raw(clip) => {
                        let (width, height) = clip.size;
                        let kind = format!("-pix_fmt yuvj420p -s {width}x{height} -r {RATE}");
                        let input = format!("{FFMPEG_LOW_DELAY} -f rawvideo {kind} -i pipe:0");
                        (input, encode)
                    }
                    From::Multipart(_) => {
                        let input = format!("{FFMPEG_LOW_DELAY} -f mpjpeg -i pipe:0");
                        (input, "-c:v copy")
                    }
                };
                let stdin = match from {
                    From::File(_) => "-nostdin",
                    From::Raw(_) | From::Multipart(_) => "",
                };
                format!(
                    "ffmpeg -v fatal {stdin} {input} -an {codec} -flush_packets 1 \
                     -f rtp rtp://{host}:{port}?pkt_size={DATAGRAM}"
                )
            }
        }
    }

    /// The viewer's command line. Files that it needs are written to `folder`.
    pub(crate) fn viewer(self, show: Show, at: SocketAddr, folder: &Path) -> Result<String> {
        let (host, port) = (at.ip(), at.port());
        Ok(match self {
            Self::Framegram => {
                let output = match show {
                    Show::Decoded => "--output /dev/null --output-format y4m",
                    Show::Piped => "--output - --output-format y4m",
                    Show::Jpeg => "--output - --output-format mjpeg --strict",
                };
                let program = executable(VIEWER);
                let program = program.display();
                format!("{program} {at} --headless --buffer {BUFFER} --quiet {output}")
            }
            Self::GStreamer => {
                let output = match show {
                    Show::Decoded => "jpegdec ! filesink location=/dev/null sync=false",
                    Show::Piped => "jpegdec ! fdsink fd=1 sync=false",
                    Show::Jpeg => "fdsink fd=1 sync=false",
                };
                let caps = "application/x-rtp,media=video,encoding-name=JPEG,payload=26";
                format!(
                    "gst-launch-1.0 -q udpsrc address={host} port={port} buffer-size={BUFFER} \
                     caps={caps},clock-rate=90000 ! rtpjpegdepay ! {output}"
                )
            }
            Self::Ffmpeg => {
                let description = folder.join("ffmpeg.sdp");
                fs::write(&description, session(at))?;
                let output = match show {
                    Show::Decoded => "-f rawvideo /dev/null",
                    Show::Piped => "-f rawvideo pipe:1",
                    Show::Jpeg => "-c:v copy -f mjpeg pipe:1",
                };
                let description = description.display();
                format!(
                    "ffmpeg -v fatal -nostdin -y -protocol_whitelist file,udp,rtp \
                     {FFMPEG_LOW_DELAY} -buffer_size {BUFFER} -threads 1 -i {description} \
                     -fps_mode passthrough -flush_packets 1 {output}"
                )
            }
        })
    }
}

/// The description of the stream that FFmpeg needs in advance.
fn session(at: SocketAddr) -> String {
    let (host, port) = (at.ip(), at.port());
    format!(
        "v=0\r\no=- 0 0 IN IP4 {host}\r\ns=bench\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=video {port} RTP/AVP 26\r\n"
    )
}
