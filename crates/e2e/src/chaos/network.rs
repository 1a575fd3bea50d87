//! Two networks of their own, joined by one cable: services in one, a worker in the other, and rules that cut the cable.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::File,
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Where the services are; each pair of networks is alone with these two.
pub const SERVICES: &str = "10.77.0.1";
/// Where the worker is.
pub const WORKER: &str = "10.77.0.2";

/// Two network namespaces; removed when dropped.
pub struct Cable {
    services: String,
    worker: String,
}

/// How the cable is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Nothing passes.
    Both,
    /// What the services send is lost.
    ToWorker,
    /// What the worker sends is lost.
    FromWorker,
    /// Each packet of the worker is answered by a reset.
    Reset,
}

impl Cable {
    /// `None`: this machine or this user can't.
    pub fn lay() -> Option<Self> {
        // Tests of one process may lay several.
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let number = CABLES.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("bt{}-{number}{end}", std::process::id());
        let cable = Self { services: name("s"), worker: name("w") };
        let (services, worker) = (cable.services.as_str(), cable.worker.as_str());
        let laid = ip(&["netns", "add", services])
            && ip(&["netns", "add", worker])
            && ip(&["-n", services, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", worker])
            && [(services, SERVICES), (worker, WORKER)].into_iter().all(|(end, address)| {
                ip(&["-n", end, "address", "add", &format!("{address}/24"), "dev", "cable"])
                    && ip(&["-n", end, "link", "set", "cable", "up"])
                    && ip(&["-n", end, "link", "set", "lo", "up"])
            });
        (laid && cable.rule(&["-L", "-n"])).then_some(cable)
    }

    /// Moves this thread, and whatever it starts from now on, into the services' network.
    ///
    /// # Errors
    /// The kernel doesn't let it.
    pub fn enter(&self) -> std::io::Result<()> {
        let end = File::open(format!("/run/netns/{}", self.services))?;
        Ok(move_into_link_name_space(end.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// The command, to be run in the worker's network.
    pub fn at_the_worker(&self, command: &Command) -> Command {
        let mut moved = Command::new("nsenter");
        moved.arg(format!("--net=/run/netns/{}", self.worker)).arg("--").arg(command.get_program());
        moved.args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => moved.env(key, value),
                None => moved.env_remove(key),
            };
        }
        command.get_current_dir().map(|dir| moved.current_dir(dir));
        moved
    }

    /// Cuts the cable. Loopback stays.
    ///
    /// # Panics
    /// If that isn't possible.
    pub fn cut(&self, cut: Cut) {
        let drop = |chain| self.rule(&["-A", chain, "!", "-o", "lo", "-j", "DROP"]);
        let drop_in = || self.rule(&["-A", "INPUT", "!", "-i", "lo", "-j", "DROP"]);
        let done = match cut {
            Cut::Both => drop_in() && drop("OUTPUT"),
            Cut::ToWorker => drop_in(),
            Cut::FromWorker => drop("OUTPUT"),
            Cut::Reset => {
                let reset = ["-j", "REJECT", "--reject-with", "tcp-reset"];
                self.rule(&[&["-A", "OUTPUT", "!", "-o", "lo", "-p", "tcp"], reset.as_slice()].concat())
            }
        };
        assert!(done, "the cable cannot be cut: {cut:?}");
    }

    /// Joins it again.
    ///
    /// # Panics
    /// If that isn't possible.
    pub fn join(&self) {
        assert!(self.rule(&["-F"]), "the cable cannot be joined");
    }

    fn rule(&self, args: &[&str]) -> bool {
        ip(&[&["netns", "exec", &self.worker, "iptables", "-w"], args].concat())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for end in [&self.services, &self.worker] {
            ip(&["netns", "delete", end]);
        }
    }
}

fn ip(args: &[&str]) -> bool {
    let run = Command::new("ip").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}
