//! Two hosts on one machine: network namespaces, joined by a virtual cable or an
//! impaired path.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use framegram_lab::impair::Impairment;

use crate::namespaces::enter;
use crate::program::{SENDER, Start, VIEWER};
use crate::tun::{Tun, TunPath};

/// The sender's addresses.
pub const SENDER_IPS: [&str; 2] = ["10.77.5.1", "fd77::1"];

/// The viewer's addresses.
pub const VIEWER_IPS: [&str; 2] = ["10.77.5.2", "fd77::2"];

/// Name of the interface at both ends of the cable.
pub const INTERFACE: &str = "cable";

/// Counters of IP fragments in `/proc/net/snmp` and `snmp6`.
const FRAGMENTS: [&str; 4] = [
    "FragCreates",
    "ReasmReqds",
    "Ip6FragCreates",
    "Ip6ReasmReqds",
];

/// A host for the sender and one for the viewer.
#[derive(Debug)]
pub struct Hosts {
    sender: String,
    viewer: String,
    /// The impaired path, if it replaces the cable.
    path: Option<TunPath>,
}

impl Hosts {
    /// Hosts joined by a cable for IP packets of at most `mtu` bytes.
    ///
    /// # Panics
    /// If the user may not create network namespaces.
    pub fn new(mtu: u32) -> Self {
        let hosts = Self::apart();
        let (sender, viewer) = (&hosts.sender, &hosts.viewer);
        ip(&format!(
            "link add {INTERFACE} mtu {mtu} netns {sender} \
             type veth peer name {INTERFACE} mtu {mtu} netns {viewer}"
        ));
        hosts.set_up(mtu);
        hosts
    }

    /// Hosts joined by a path for IP packets of at most 1,500 bytes, with the
    /// impairment `forward` towards the viewer and `backward` towards the sender.
    ///
    /// # Panics
    /// If the user may not create network namespaces.
    pub fn with_path(forward: Impairment, backward: Impairment) -> Self {
        const MTU: u32 = 1_500;
        let mut hosts = Self::apart();
        let [near, far] = [&hosts.sender, &hosts.viewer]
            .map(|host| enter(host, || Tun::open(INTERFACE).expect("root makes devices")));
        let path = TunPath::start(near, far, forward, backward);
        hosts.path = Some(path.expect("a thread"));
        for host in [&hosts.sender, &hosts.viewer] {
            // Room for bursts until the path's thread runs.
            ip(&format!(
                "-n {host} link set {INTERFACE} mtu {MTU} txqueuelen 10000"
            ));
        }
        hosts.set_up(MTU);
        hosts
    }

    fn apart() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("framegram-{}-{count}-{side}", std::process::id());
        let hosts = Self {
            sender: name("sender"),
            viewer: name("viewer"),
            path: None,
        };
        ip(&format!("netns add {}", hosts.sender));
        ip(&format!("netns add {}", hosts.viewer));
        hosts
    }

    fn set_up(&self, mtu: u32) {
        for (host, [v4, v6]) in [(&self.sender, SENDER_IPS), (&self.viewer, VIEWER_IPS)] {
            ip(&format!("-n {host} link set lo up"));
            ip(&format!("-n {host} link set {INTERFACE} up"));
            address(host, v4);
            if mtu >= 1_280 {
                ip(&format!(
                    "-n {host} address add {v6}/64 dev {INTERFACE} nodad"
                ));
            }
        }
    }

    /// Replaces the sender's IPv4 address by another one of the same network.
    ///
    /// # Panics
    /// If `from` is not the sender's address.
    pub fn move_sender(&self, from: &str, to: &str) {
        readdress(&self.sender, from, to);
    }

    /// Replaces the viewer's IPv4 address by another one of the same network.
    ///
    /// # Panics
    /// If `from` is not the viewer's address.
    pub fn move_viewer(&self, from: &str, to: &str) {
        readdress(&self.viewer, from, to);
    }

    /// Removes the cable with all addresses, and installs a new one with the same
    /// addresses.
    ///
    /// # Panics
    /// If that fails.
    pub fn replace_cable(&self) {
        let (sender, viewer) = (&self.sender, &self.viewer);
        ip(&format!("-n {sender} link delete {INTERFACE}"));
        ip(&format!(
            "link add {INTERFACE} netns {sender} type veth peer name {INTERFACE} netns {viewer}"
        ));
        for (host, [v4, _]) in [(sender, SENDER_IPS), (viewer, VIEWER_IPS)] {
            ip(&format!("-n {host} link set {INTERFACE} up"));
            address(host, v4);
        }
    }

    /// Sets the address of a name on the sender's host.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn name_for_sender(&self, name: &str, address: &str) {
        write_name(&self.sender, name, address);
    }

    /// Sets the address of a name on the viewer's host.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn name_for_viewer(&self, name: &str, address: &str) {
        write_name(&self.viewer, name, address);
    }

    /// Runs code on the sender's host. A socket that it opens stays there.
    pub fn on_sender<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        enter(&self.sender, work)
    }

    /// The sender with these arguments, on its host.
    pub fn sender(&self, arguments: &str) -> Start {
        Start::by(&["ip", "netns", "exec", &self.sender], SENDER, arguments)
    }

    /// The viewer with these arguments, on its host.
    pub fn viewer(&self, arguments: &str) -> Start {
        Start::by(&["ip", "netns", "exec", &self.viewer], VIEWER, arguments)
    }

    /// A viewer with these arguments on the sender's host.
    pub fn viewer_by_sender(&self, arguments: &str) -> Start {
        Start::by(&["ip", "netns", "exec", &self.sender], VIEWER, arguments)
    }

    /// A command on the sender's host, not started yet.
    pub fn command_of_sender(&self, program: &str) -> Command {
        command(&self.sender, program)
    }

    /// A command on the viewer's host, not started yet.
    pub fn command_of_viewer(&self, program: &str) -> Command {
        command(&self.viewer, program)
    }

    /// Runs a command on the viewer's host. Returns its standard output.
    ///
    /// # Panics
    /// If the command fails.
    pub fn run_by_viewer(&self, words: &str) -> String {
        run(&self.viewer, words)
    }

    /// Runs a command on the sender's host. Returns its standard output.
    ///
    /// # Panics
    /// If the command fails.
    pub fn run_by_sender(&self, words: &str) -> String {
        run(&self.sender, words)
    }

    /// Number of times that IP fragmented or reassembled a packet, on both hosts.
    pub fn fragments(&self) -> u64 {
        [&self.sender, &self.viewer]
            .into_iter()
            .flat_map(|host| {
                let read = format!("netns exec {host} cat /proc/net/snmp /proc/net/snmp6");
                counters(&String::from_utf8_lossy(&ip(&read).stdout))
            })
            .filter(|(name, _)| FRAGMENTS.contains(&name.as_str()))
            .map(|(_, value)| value)
            .sum()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.path = None;
        for host in [&self.sender, &self.viewer] {
            let _ = Command::new("ip").args(["netns", "delete", host]).status();
            let _ = std::fs::remove_dir_all(names(host));
        }
    }
}

fn address(host: &str, v4: &str) {
    ip(&format!(
        "-n {host} address add {v4}/24 broadcast + dev {INTERFACE}"
    ));
    // The route disappears with the last address.
    ip(&format!(
        "-n {host} route replace 224.0.0.0/4 dev {INTERFACE}"
    ));
}

fn readdress(host: &str, from: &str, to: &str) {
    ip(&format!(
        "-n {host} address delete {from}/24 dev {INTERFACE}"
    ));
    address(host, to);
}

/// Folder whose files `ip netns exec` mounts over those in `/etc`.
fn names(host: &str) -> PathBuf {
    Path::new("/etc/netns").join(host)
}

/// Overwrites the file in place, because running programs have it mounted.
fn write_name(host: &str, name: &str, address: &str) {
    let folder = names(host);
    std::fs::create_dir_all(&folder).expect("root makes folders");
    std::fs::write(folder.join("hosts"), format!("{address} {name}\n")).expect("root writes");
}

fn command(host: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}

fn run(host: &str, words: &str) -> String {
    let output = ip(&format!("netns exec {host} {words}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn ip(arguments: &str) -> Output {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("the program ip is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
    output
}

/// Parses names and values: pairs of lines (`Ip: A B` above `Ip: 1 2`), or one
/// pair per line.
fn counters(text: &str) -> Vec<(String, u64)> {
    let mut counters = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let names = line.split_whitespace();
        let values = match lines.next_if(|_| line.contains(':')) {
            Some(values) => values.split_whitespace().skip(1).collect::<Vec<_>>(),
            None => names.clone().skip(1).collect(),
        };
        let names = names.skip(usize::from(line.contains(':')));
        let values = values.iter().map(|value| value.parse().unwrap_or(0));
        counters.extend(names.map(str::to_owned).zip(values));
    }
    counters
}
