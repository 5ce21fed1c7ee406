//! The peer: this program in another process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use kafka_producer::testing::{TestCluster, TestTls};

use super::certificates::Authority;
use super::{Result, TOPIC};

const ROLE: &str = "COSTS_ROLE";
const PARTITIONS: &str = "COSTS_PARTITIONS";
const TLS: &str = "COSTS_TLS";

/// The role of this process; `None` for the process that measures.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

pub(crate) fn be(role: &str) -> Result<()> {
    match role {
        "broker" => be_the_broker(),
        "drain" => be_the_drain(),
        role => Err(format!("{ROLE} is {role}").into()),
    }
}

/// This program in another process, which prints the address that it listens on.
pub(crate) struct Peer {
    process: Child,
    pub(crate) says: String,
}

impl Peer {
    pub(crate) fn start(role: &str, partitions: u64, tls: bool) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .env(ROLE, role)
            .env(PARTITIONS, partitions.to_string())
            .env(TLS, tls.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("its output is a pipe")?;
        let mut says = String::new();
        BufReader::new(output).read_line(&mut says)?;
        Ok(Self {
            process,
            says: says.trim().to_owned(),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn be_the_broker() -> Result<()> {
    let partitions = std::env::var(PARTITIONS)?.parse()?;
    let mut builder = TestCluster::builder().sink().topic(TOPIC, partitions);
    if std::env::var(TLS)? == "true" {
        let identity = Authority::new(0).issue(&["127.0.0.1"]);
        builder = builder.tls(TestTls::new(identity.chain, identity.key));
    }
    let cluster = builder.start()?;
    println!("{}", cluster.bootstrap_servers());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Reads requests, and responds to each with 60 bytes.
fn be_the_drain() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let mut memory = vec![0; 4 * 1024 * 1024];
    let mut length = [0; 4];
    while socket.read_exact(&mut length).is_ok() {
        let mut left = u32::from_be_bytes(length) as usize;
        while left > 0 {
            let room = left.min(memory.len());
            left -= socket.read(&mut memory[..room])?;
        }
        socket.write_all(&[0; 60])?;
    }
    Ok(())
}
