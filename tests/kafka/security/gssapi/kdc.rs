//! A KDC of MIT Kerberos on a loopback port, with a realm and files of its own.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Context, Failure, Result, free_port};

pub(super) const REALM: &str = "KAFKA.TEST";
/// The principal of the broker. Its address, 127.0.0.1, is replaced by its name: by Java always, by the library unless
/// the configuration is [`EXACT`].
pub(super) const BROKER: &str = "kafka/localhost";
/// The configuration with which the library uses host names as they are.
pub(super) const EXACT: &str = "exact.conf";
/// The principals of clients. The tickets of `brief` expire after [`BRIEF`].
pub(super) const CLIENTS: [&str; 4] = ["alice", "bob", "carol", "brief"];
/// Longer than two runs of a command line tool in a debug build on a loaded machine.
pub(super) const BRIEF: Duration = Duration::from_secs(20);

const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A realm: a folder with the configuration, the database of the KDC, and the keytabs.
pub(super) struct Realm {
    folder: PathBuf,
    port: u16,
    /// Whether this process has made the folder, and deletes it.
    is_ours: bool,
}

impl Realm {
    /// Makes a realm with the principals of the broker and the clients.
    pub(super) fn create() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("kafka-kdc-{}", std::process::id()));
        // The process with this id before this one may have been killed, and its folder would contain its database.
        let _ = fs::remove_dir_all(&folder);
        let realm = Self {
            folder,
            port: free_port()?,
            is_ours: true,
        };
        fs::create_dir_all(realm.folder.join("caches"))
            .context(|| "the realm's folder".to_owned())?;
        realm.write("port", &realm.port.to_string())?;
        realm.write("krb5.conf", &realm.library_config(""))?;
        let exact = " dns_canonicalize_hostname = false\n rdns = false\n";
        realm.write(EXACT, &realm.library_config(exact))?;
        realm.write("kdc.conf", &realm.kdc_config())?;
        realm.run("kdb5_util", &["create", "-s", "-P", "master"], "")?;
        realm.run("kadmin.local", &[], &realm.principals())?;
        Ok(realm)
    }

    /// The realm that another process has made.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let port =
            fs::read_to_string(folder.join("port")).context(|| "the realm's port".to_owned())?;
        let port = port.parse().map_err(|_| Failure::new("no port"))?;
        Ok(Self {
            folder: folder.to_owned(),
            port,
            is_ours: false,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Environment variables of the Kerberos library, and of JVMs.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let config = self.file("krb5.conf");
        let java = format!("-Djava.security.krb5.conf={config}");
        vec![
            ("KRB5_CONFIG", config.into()),
            ("KRB5_KDC_PROFILE", self.file("kdc.conf").into()),
            (
                "KRB5_CLIENT_KTNAME",
                format!("FILE:{}", self.file("clients.keytab")).into(),
            ),
            // Several principals in one process need several caches.
            ("KRB5CCNAME", format!("DIR:{}", self.file("caches")).into()),
            ("JDK_JAVA_OPTIONS", java.into()),
        ]
    }

    fn library_config(&self, defaults: &str) -> String {
        let Self { port, .. } = self;
        let log = self.file("kdc.log");
        format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n\
             {defaults}[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n 127.0.0.1 = {REALM}\n localhost = {REALM}\n\
             [logging]\n kdc = FILE:{log}\n"
        )
    }

    fn kdc_config(&self) -> String {
        let Self { port, .. } = self;
        let [database, stash] = ["principal", "stash"].map(|name| self.file(name));
        format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {database}\n  key_stash_file = {stash}\n  max_life = 1h\n \
             supported_enctypes = aes256-cts:normal aes128-cts:normal\n }}\n"
        )
    }

    /// The commands that make the principals and their keytabs.
    fn principals(&self) -> String {
        let [of_broker, of_clients] =
            ["broker.keytab", "clients.keytab"].map(|name| self.file(name));
        let brief = format!("-maxlife \"{} seconds\"", BRIEF.as_secs());
        let mut commands = Vec::new();
        for (name, life, keytab) in
            std::iter::once((BROKER, "", &of_broker)).chain(CLIENTS.map(|name| {
                (
                    name,
                    if name == "brief" { &*brief } else { "" },
                    &of_clients,
                )
            }))
        {
            commands.push(format!("addprinc -randkey {life} {name}\n"));
            commands.push(format!("ktadd -norandkey -k {keytab} {name}\n"));
        }
        commands.concat()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(name), text).context(|| format!("cannot write {name}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        // Where Debian has the programs of servers.
        path.push(":/usr/sbin");
        let mut command = Command::new(program);
        command
            .env("PATH", path)
            .envs(self.environment())
            .current_dir(&self.folder);
        command
    }

    /// Runs an administration program of the KDC to its end.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<()> {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(|| {
                format!("cannot run {program}; Debian: apt-get install krb5-kdc krb5-admin-server")
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            let written = stdin.write_all(input.as_bytes());
            written.context(|| format!("cannot write to {program}"))?;
        }
        let output = child
            .wait_with_output()
            .context(|| format!("cannot wait for {program}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        // kadmin.local ends with 0 although a command has failed.
        if output.status.success() && !errors.contains("while ") {
            return Ok(());
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        Err(Failure::new(format!("{program}: {errors}{printed}")))
    }

    /// Starts the KDC.
    pub(super) fn start(&self) -> Result<Kdc> {
        // The shell ends the KDC when its own input ends, also if this process is killed.
        let child = self
            .command("sh")
            .args(["-c", "krb5kdc -n & kdc=$!; cat; kill $kdc; wait $kdc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context(|| "cannot run sh".to_owned())?;
        let kdc = Kdc(child);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("no KDC listens on {address}")));
            }
            thread::sleep(POLL);
        }
        Ok(kdc)
    }

    /// Takes the place of the KDC, accepts every connection, and never responds.
    pub(super) fn start_hung(&self) -> std::io::Result<HungKdc> {
        let address = (Ipv4Addr::LOCALHOST, self.port);
        let datagrams = UdpSocket::bind(address)?;
        let listener = TcpListener::bind(address)?;
        // The thread ends with this process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    // Until the client closes the connection.
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            }
        });
        Ok(HungKdc {
            _datagrams: datagrams,
        })
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        if self.is_ours {
            // What remains is small, and in the folder of temporary files.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A running KDC. Dropping it ends it.
pub(super) struct Kdc(Child);

impl Drop for Kdc {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends soon after its input.
        let _ = self.0.wait();
    }
}

/// The port of a KDC that does not respond.
pub(super) struct HungKdc {
    _datagrams: UdpSocket,
}
