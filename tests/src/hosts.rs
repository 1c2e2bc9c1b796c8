//! Two hosts on one machine: network namespaces joined by a virtual cable, or by
//! an impaired path.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use framegram_lab::impair::Impairment;
use framegram_lab::tun::{Tun, TunPath};

use crate::namespaces::enter;
use crate::program::{SENDER, Start, VIEWER};

/// The sender's addresses.
pub const SENDER_IPS: [&str; 2] = ["10.77.5.1", "fd77::1"];

/// The viewer's addresses.
pub const VIEWER_IPS: [&str; 2] = ["10.77.5.2", "fd77::2"];

/// The name of either end of the cable.
pub const INTERFACE: &str = "cable";

/// Counters of `/proc/net/snmp` and `snmp6` that tell of IP fragments.
const FRAGMENTS: [&str; 4] = [
    "FragCreates",
    "ReasmReqds",
    "Ip6FragCreates",
    "Ip6ReasmReqds",
];

/// A sender's host and a viewer's.
#[derive(Debug)]
pub struct Hosts {
    sender: String,
    viewer: String,
    /// Instead of a cable.
    path: Option<TunPath>,
}

impl Hosts {
    /// Joined by a cable for IP packets of at most `mtu` bytes.
    ///
    /// # Panics
    /// Where this user cannot make them.
    #[must_use]
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

    /// Joined by a path for IP packets of at most 1,500 bytes, which does to them
    /// what `forward` says on the way to the viewer, and `backward` on the way
    /// back.
    ///
    /// # Panics
    /// Where this user cannot make them.
    #[must_use]
    pub fn with_path(forward: Impairment, backward: Impairment) -> Self {
        const MTU: u32 = 1_500;
        let mut hosts = Self::apart();
        let [near, far] = [&hosts.sender, &hosts.viewer]
            .map(|host| enter(host, || Tun::open(INTERFACE).expect("root makes devices")));
        let path = TunPath::start(near, far, forward, backward);
        hosts.path = Some(path.expect("a thread"));
        for host in [&hosts.sender, &hosts.viewer] {
            // Bursts wait here until the path has its turn.
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

    /// Takes the sender's IPv4 address away and gives it another one, of the
    /// same network.
    ///
    /// # Panics
    /// Where the first is not the sender's.
    pub fn move_sender(&self, from: &str, to: &str) {
        readdress(&self.sender, from, to);
    }

    /// The same with the viewer's.
    ///
    /// # Panics
    /// Where the first is not the viewer's.
    pub fn move_viewer(&self, from: &str, to: &str) {
        readdress(&self.viewer, from, to);
    }

    /// Takes the cable away, with all addresses, and puts another one in its
    /// place, with the same ones.
    ///
    /// # Panics
    /// Where root cannot do that.
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

    /// What the sender's host takes this name for, from now on.
    ///
    /// # Panics
    /// Where root cannot write that.
    pub fn name_for_sender(&self, name: &str, address: &str) {
        write_name(&self.sender, name, address);
    }

    /// What the viewer's host takes this name for, from now on.
    ///
    /// # Panics
    /// Where root cannot write that.
    pub fn name_for_viewer(&self, name: &str, address: &str) {
        write_name(&self.viewer, name, address);
    }

    /// The sender with these arguments, on its host.
    #[must_use]
    pub fn sender(&self, arguments: &str) -> Start {
        Start::by(&["ip", "netns", "exec", &self.sender], SENDER, arguments)
    }

    /// The viewer with these arguments, on its host.
    #[must_use]
    pub fn viewer(&self, arguments: &str) -> Start {
        Start::by(&["ip", "netns", "exec", &self.viewer], VIEWER, arguments)
    }

    /// A command on the sender's host, to be started.
    #[must_use]
    pub fn command_of_sender(&self, program: &str) -> Command {
        command(&self.sender, program)
    }

    /// The same on the viewer's host.
    #[must_use]
    pub fn command_of_viewer(&self, program: &str) -> Command {
        command(&self.viewer, program)
    }

    /// What a command writes that has to end well on the viewer's host.
    ///
    /// # Panics
    /// Where it does not.
    pub fn run_by_viewer(&self, words: &str) -> String {
        run(&self.viewer, words)
    }

    /// The same on the sender's host.
    ///
    /// # Panics
    /// Where it does not.
    pub fn run_by_sender(&self, words: &str) -> String {
        run(&self.sender, words)
    }

    /// How often IP cut a packet or put one together on either host.
    #[must_use]
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
    // It goes with the last address.
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

/// What `ip netns exec` puts in the place of the machine's own files.
fn names(host: &str) -> PathBuf {
    Path::new("/etc/netns").join(host)
}

/// In place: programs that run have the file open under their own `/etc`.
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

/// Names and values: in pairs of lines (`Ip: A B` above `Ip: 1 2`), or one a line.
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
