//! `framegram-send`: frames from a source, as datagrams.
