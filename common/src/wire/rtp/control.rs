//! RTCP: reports, names and byes
//! (<https://www.rfc-editor.org/rfc/rfc3550#section-6>).

use rtcp_types::{
    Bye, Compound, CompoundBuilder, Packet, ReceiverReport, ReportBlock, ReportBlockBuilder,
    RtcpPacketWriterExt, Sdes, SdesChunk, SdesItem, SenderReport,
};

use super::RtpError;

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A sender report.
    Sender(SenderInfo, Vec<Block>),
    /// A report from a receiver that sends no media.
    Receiver {
        /// Its own number.
        source: u32,
        /// Its report blocks on the streams that it receives.
        blocks: Vec<Block>,
    },
    /// The canonical name of a source (CNAME).
    Name {
        /// The source.
        source: u32,
        /// The name, as received.
        name: Vec<u8>,
    },
    /// A source leaves.
    Bye {
        /// The source.
        source: u32,
    },
}

/// A sender's counts of its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// The number of the stream.
    pub source: u32,
    /// Wall clock: seconds since 1900 as a 32.32 fixed-point number.
    pub ntp: u64,
    /// The same moment on the RTP clock of the stream.
    pub timestamp: u32,
    /// Packets sent so far, in 32 bits.
    pub packets: u32,
    /// Bytes of payload sent so far, in 32 bits.
    pub octets: u32,
}

/// A receiver's counts of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The stream's number.
    pub source: u32,
    /// Share lost since the previous report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost so far, 24 bits; a negative number (duplicates) is 0.
    pub lost: u32,
    /// The highest number received, with the count of wraps above its 16 bits.
    pub highest: u32,
    /// Interarrival jitter in ticks of the stream's clock.
    pub jitter: u32,
    /// The middle 32 bits of the newest sender report's wall clock; 0 if there was none.
    pub last_report: u32,
    /// Time since that report arrived, in 65,536ths of a second.
    pub delay: u32,
}

/// The largest count of lost packets: 24 bits with a sign.
const MAX_LOST: u32 = (1 << 23) - 1;

impl Control {
    /// Decodes a datagram. Omits packets of unknown kinds, and those that follow a damaged one.
    ///
    /// # Errors
    /// If it is not RTCP, its lengths do not add up, or its first packet is damaged.
    pub fn decode(datagram: &[u8]) -> Result<Vec<Self>, RtpError> {
        let mut controls = Vec::new();
        for (at, packet) in Compound::parse(datagram)?.enumerate() {
            let packet = match packet {
                Ok(packet) => packet,
                Err(error) if at == 0 => return Err(error.into()),
                Err(_) => break,
            };
            match packet {
                Packet::Sr(report) => controls.push(Self::Sender(
                    SenderInfo {
                        source: report.ssrc(),
                        ntp: report.ntp_timestamp(),
                        timestamp: report.rtp_timestamp(),
                        packets: report.packet_count(),
                        octets: report.octet_count(),
                    },
                    report.report_blocks().map(Into::into).collect(),
                )),
                Packet::Rr(report) => controls.push(Self::Receiver {
                    source: report.ssrc(),
                    blocks: report.report_blocks().map(Into::into).collect(),
                }),
                Packet::Sdes(description) => {
                    for chunk in description.chunks() {
                        let name = chunk.items().find(|item| item.type_() == SdesItem::CNAME);
                        controls.extend(name.map(|name| Self::Name {
                            source: chunk.ssrc(),
                            name: name.value().to_vec(),
                        }));
                    }
                }
                Packet::Bye(bye) => {
                    controls.extend(bye.ssrcs().map(|source| Self::Bye { source }));
                }
                Packet::App(_)
                | Packet::TransportFeedback(_)
                | Packet::PayloadFeedback(_)
                | Packet::Xr(_)
                | Packet::Unknown(_) => {}
            }
        }
        Ok(controls)
    }
}

impl From<ReportBlock<'_>> for Block {
    fn from(block: ReportBlock<'_>) -> Self {
        let lost = block.cumulative_lost() & 0xff_ffff;
        Self {
            source: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            lost: if lost > MAX_LOST { 0 } else { lost },
            highest: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_report: block.last_sender_report_timestamp(),
            delay: block.delay_since_last_sender_report_timestamp(),
        }
    }
}

impl Block {
    fn builder(&self) -> ReportBlockBuilder {
        ReportBlock::builder(self.source)
            .fraction_lost(self.fraction_lost)
            .cumulative_lost(self.lost.min(MAX_LOST))
            .extended_sequence_number(self.highest)
            .interarrival_jitter(self.jitter)
            .last_sender_report_timestamp(self.last_report)
            .delay_since_last_sender_report_timestamp(self.delay)
    }
}

/// Appends a sender report and the canonical `name`, at most 255 bytes.
pub fn encode_sender(info: &SenderInfo, name: &str, out: &mut Vec<u8>) {
    let compound = sender(info).add_packet(description(info.source, name));
    append(&compound, out);
}

/// Appends a receiver report and the canonical `name`, at most 255 bytes.
pub fn encode_receiver(source: u32, blocks: &[Block], name: &str, out: &mut Vec<u8>) {
    let report = blocks
        .iter()
        .fold(ReceiverReport::builder(source), |report, block| {
            report.add_report_block(block.builder())
        });
    let compound = Compound::builder()
        .add_packet(report)
        .add_packet(description(source, name));
    append(&compound, out);
}

/// Appends a sender's last report and its bye.
pub fn encode_bye(info: &SenderInfo, name: &str, out: &mut Vec<u8>) {
    let compound = sender(info)
        .add_packet(description(info.source, name))
        .add_packet(Bye::builder().add_source(info.source));
    append(&compound, out);
}

fn sender(info: &SenderInfo) -> CompoundBuilder<'static> {
    let report = SenderReport::builder(info.source)
        .ntp_timestamp(info.ntp)
        .rtp_timestamp(info.timestamp)
        .packet_count(info.packets)
        .octet_count(info.octets);
    Compound::builder().add_packet(report)
}

fn description(source: u32, name: &str) -> rtcp_types::SdesBuilder<'_> {
    let item = SdesItem::builder(SdesItem::CNAME, name);
    Sdes::builder().add_chunk(SdesChunk::builder(source).add_item(item))
}

fn append(compound: &CompoundBuilder<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + MAX_BYTES, 0);
    let written = compound.write_into(&mut out[begin..]);
    // Only foreign names are too long.
    out.truncate(begin + written.unwrap_or(0));
}

/// Longer than a report with all its 31 blocks, a name and a bye.
const MAX_BYTES: usize = 1200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INFO: SenderInfo = SenderInfo {
        source: 7,
        ntp: 0x1234_5678_9abc_def0,
        timestamp: 90_000,
        packets: 12,
        octets: 3456,
    };

    #[test]
    fn a_sender_s_report_a_name_and_a_bye_come_back() {
        let mut out = Vec::new();
        encode_bye(&INFO, "name@host", &mut out);
        assert_eq!(
            Control::decode(&out).unwrap(),
            [
                Control::Sender(INFO, Vec::new()),
                Control::Name {
                    source: 7,
                    name: b"name@host".to_vec()
                },
                Control::Bye { source: 7 },
            ]
        );
        let without = out.len();
        out.clear();
        encode_sender(&INFO, "name@host", &mut out);
        assert_eq!(without - out.len(), 8);
    }

    #[test]
    fn a_receiver_report_survives_the_wire() {
        let block = Block {
            source: 7,
            fraction_lost: 5,
            lost: 99,
            highest: 70_000,
            jitter: 3,
            last_report: 4,
            delay: 5,
        };
        let mut out = Vec::new();
        encode_receiver(9, &[block], "viewer", &mut out);
        let controls = Control::decode(&out).unwrap();
        let blocks = vec![block];
        assert_eq!(controls[0], Control::Receiver { source: 9, blocks });
    }

    #[test]
    fn a_negative_loss_count_is_zero() {
        let mut out = Vec::new();
        encode_receiver(9, &[Block::default()], "viewer", &mut out);
        out[13..16].copy_from_slice(&[0xff, 0xff, 0xfe]);
        let Control::Receiver { blocks, .. } = &Control::decode(&out).unwrap()[0] else {
            panic!("no report");
        };
        assert_eq!(blocks[0].lost, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_control_or_an_error(
            mut bytes in prop::collection::vec(any::<u8>(), 0..128), kind in 192_u8..224, words in 0_u8..8,
        ) {
            for (at, byte) in [(0, 0x81), (1, kind), (2, 0), (3, words)] {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(controls) = Control::decode(&bytes) {
                prop_assert!(controls.len() <= bytes.len());
            }
        }
    }
}
