//! A proxy between a producer and a good broker (man in the middle): forwards frames, and replaces the responses that a
//! test scripts. Each connection has a thread, which ends with the connection.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use kafka_producer::testing::TestCluster;
use kafka_protocol::messages::MetadataResponse;

use crate::exchange::{Api, Exchange, Tampering, framed};

/// The treatment of a new connection.
#[derive(Clone)]
pub(crate) enum Treatment {
    /// Forwards frames, and replaces the responses that the test scripts.
    Serve,
    /// Forwards the bytes of both sides unchanged.
    Carry,
    /// Calls a function, and closes the connection.
    Act(Act),
    /// Closes the connection.
    Close,
    /// Reads, and never writes.
    Silence,
    /// Writes these bytes first, then continues as `Serve`.
    SendFirst(Vec<u8>),
}

/// Handles a connection until it is to be closed.
pub(crate) type Act = Arc<dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync>;

type Script = Arc<dyn Fn(&Exchange) -> Tampering + Send + Sync>;

struct State {
    treatment: Treatment,
    script: Script,
    /// Number of exchanges of each API since the script was changed.
    exchanges: BTreeMap<Api, usize>,
    /// Number of first parts that were sent; `halves_released` is the number of second parts that may be sent.
    first_parts_sent: usize,
    second_parts_released: usize,
    connections: usize,
    stopped: bool,
    open: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    address: SocketAddr,
    node: i32,
    upstream: SocketAddr,
}

/// A proxy between a producer and a broker of a [`TestCluster`].
pub(crate) struct TamperingProxy {
    pub(crate) cluster: Arc<TestCluster>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl TamperingProxy {
    /// Starts a proxy that changes nothing in front of a cluster with the topic `t` of one partition.
    pub(crate) fn start() -> Self {
        let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
        Self::before(&Arc::new(cluster), 0, Treatment::Serve)
    }

    /// Starts a proxy in front of this broker.
    pub(crate) fn before(cluster: &Arc<TestCluster>, node: i32, treatment: Treatment) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let state = State {
            treatment,
            script: Arc::new(|_| Tampering::Nothing),
            exchanges: BTreeMap::new(),
            first_parts_sent: 0,
            second_parts_released: 0,
            connections: 0,
            stopped: false,
            open: Vec::new(),
            threads: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            address: listener.local_addr().unwrap(),
            node,
            upstream: (Ipv4Addr::LOCALHOST, cluster.port(node).unwrap()).into(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.accept_all(&listener))
        };
        Self {
            cluster: Arc::clone(cluster),
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// The address for the producer.
    pub(crate) fn address(&self) -> String {
        self.shared.address.to_string()
    }

    /// The port for the producer.
    pub(crate) fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// Sets the treatment of new connections.
    pub(crate) fn set_treatment(&self, treatment: Treatment) {
        self.shared.state.lock().unwrap().treatment = treatment;
    }

    /// Sets the response to later requests.
    pub(crate) fn tamper(&self, script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static) {
        let mut state = self.shared.state.lock().unwrap();
        state.script = Arc::new(script);
        state.exchanges.clear();
    }

    /// Sets the response to later requests of one API; requests of other APIs get the broker's response.
    pub(crate) fn tamper_with(
        &self,
        api: Api,
        script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static,
    ) {
        self.tamper(move |exchange| {
            if exchange.api == api {
                script(exchange)
            } else {
                Tampering::Nothing
            }
        });
    }

    /// Returns to the broker's responses.
    pub(crate) fn stop_tampering(&self) {
        self.set_treatment(Treatment::Serve);
        self.tamper(|_| Tampering::Nothing);
        self.release();
    }

    /// Closes all open connections.
    pub(crate) fn close_connections(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until the first part of a response was sent.
    pub(crate) fn await_half(&self, within: Duration) {
        let state = self.shared.state.lock().unwrap();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, within, |state| state.first_parts_sent == 0)
            .unwrap();
        assert!(
            !waited.1.timed_out(),
            "no first part of a response was sent"
        );
    }

    /// Sends the second part of all responses whose first part was sent.
    pub(crate) fn release(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.second_parts_released = state.first_parts_sent;
        self.shared.changed.notify_all();
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// The number of requests of an API since the script was changed.
    pub(crate) fn exchanges_of(&self, api: Api) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.exchanges.get(&api).copied().unwrap_or_default()
    }
}

impl Drop for TamperingProxy {
    fn drop(&mut self) {
        let threads = {
            let mut state = self.shared.state.lock().unwrap();
            state.stopped = true;
            self.shared.changed.notify_all();
            for stream in &state.open {
                let _ = stream.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut state.threads)
        };
        // Wakes the acceptor, which blocks in accept.
        let _ = TcpStream::connect(self.shared.address);
        let threads = self.acceptor.take().into_iter().chain(threads);
        let panics = threads.filter_map(|thread| thread.join().err()).count();
        // A script that panicked has not sent the response that the test is about.
        assert!(
            panics == 0 || thread::panicking(),
            "{panics} threads of the proxy panicked"
        );
    }
}

impl Shared {
    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.state.lock().unwrap();
            if state.stopped {
                return;
            }
            let client = client.unwrap();
            client.set_nodelay(true).unwrap();
            state.connections += 1;
            state.open.push(client.try_clone().unwrap());
            let (shared, treatment) = (Arc::clone(self), state.treatment.clone());
            state.threads.push(thread::spawn(move || {
                // An error is expected when the producer closes the connection.
                let _ = shared.serve(&client, &treatment);
                let _ = client.shutdown(Shutdown::Both);
            }));
        }
    }

    fn serve(&self, mut client: &TcpStream, treatment: &Treatment) -> io::Result<()> {
        match treatment {
            Treatment::Serve => {}
            Treatment::Carry => return carry(client, &TcpStream::connect(self.upstream)?),
            Treatment::Act(act) => return act(client),
            Treatment::Close => return Ok(()),
            Treatment::Silence => return io::copy(&mut client, &mut io::sink()).map(drop),
            Treatment::SendFirst(bytes) => client.write_all(bytes)?,
        }
        let mut broker = TcpStream::connect(self.upstream)?;
        broker.set_nodelay(true)?;
        while let Some(request) = read_frame(&mut client)? {
            let (api, version, correlation_id) = Exchange::header(&request);
            broker.write_all(&framed(&request))?;
            let Some(answer) = read_frame(&mut broker)? else {
                return Ok(());
            };
            let exchange = self.exchange(api, version, correlation_id, answer);
            if !self.respond(client, &exchange)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Replaces the broker's address in Metadata responses by the proxy's, so that the producer does not bypass the
    /// proxy.
    fn exchange(&self, api: Api, version: i16, correlation_id: i32, answer: Bytes) -> Exchange {
        let mut state = self.state.lock().unwrap();
        let count = state.exchanges.entry(api).or_default();
        let mut exchange = Exchange {
            api,
            version,
            correlation_id,
            nth: *count,
            answer,
        };
        *count += 1;
        self.changed.notify_all();
        if api == Api::Metadata {
            let port = i32::from(self.address.port());
            exchange.answer = exchange
                .edited_payload::<MetadataResponse>(|metadata| {
                    let brokers = metadata.brokers.iter_mut();
                    brokers
                        .filter(|broker| broker.node_id.0 == self.node)
                        .for_each(|broker| broker.port = port);
                })
                .into();
        }
        exchange
    }

    /// Sends the scripted response. Returns false if the connection is to be closed.
    fn respond(&self, mut client: &TcpStream, exchange: &Exchange) -> io::Result<bool> {
        let script = Arc::clone(&self.state.lock().unwrap().script);
        match script(exchange) {
            Tampering::Nothing => client.write_all(&framed(&exchange.answer))?,
            Tampering::Raw(bytes) => client.write_all(&bytes)?,
            Tampering::Silence => return io::copy(&mut client, &mut io::sink()).map(|_| false),
            Tampering::Close => return Ok(false),
            Tampering::Halves(first, second) => {
                client.write_all(&first)?;
                let mut state = self.state.lock().unwrap();
                state.first_parts_sent += 1;
                let ours = state.first_parts_sent;
                self.changed.notify_all();
                while state.second_parts_released < ours && !state.stopped {
                    state = self.changed.wait(state).unwrap();
                }
                drop(state);
                client.write_all(&second)?;
            }
        }
        Ok(true)
    }
}

/// Forwards bytes in both directions until either side closes.
fn carry(client: &TcpStream, broker: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        scope.spawn(|| pour(client, broker));
        pour(broker, client)
    })
}

fn pour(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let poured = io::copy(&mut from, &mut to).map(drop);
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    poured
}

/// Reads a frame without its length field; `None` at the end of the stream.
fn read_frame(from: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    if let Err(error) = from.read_exact(&mut length) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let mut frame = vec![0; i32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(Some(frame.into()))
}
