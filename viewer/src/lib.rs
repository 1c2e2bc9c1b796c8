//! `framegram-view`: frames from datagrams, in a window.
