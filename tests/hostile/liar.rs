//! A man in the middle: forwards frames between a producer and a good broker, and lies where it is told
//! to. A thread for each connection; all of them end with it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use kafka_producer::testing::TestCluster;
use kafka_protocol::messages::MetadataResponse;

use crate::exchange::{Api, Exchange, Lie, framed};

/// What is done to a connection when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It is served.
    Serve,
    /// It is closed.
    Close,
    /// It is read from, and nothing is ever said.
    Silence,
    /// This is said, unasked, and it is served.
    Say(Vec<u8>),
}

type Tongue = Arc<dyn Fn(&Exchange) -> Lie + Send + Sync>;

struct State {
    greeting: Greeting,
    tongue: Tongue,
    /// Exchanges of each kind since the tongue was changed.
    told: BTreeMap<Api, usize>,
    /// First halves that were said, and second ones that may be.
    halves_said: usize,
    halves_released: usize,
    connections: usize,
    stopped: bool,
    open: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    address: SocketAddr,
    upstream: SocketAddr,
}

/// The man in the middle of a producer and a [`TestCluster`] of one broker.
pub(crate) struct Liar {
    pub(crate) cluster: TestCluster,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Liar {
    /// One that tells the truth, before a cluster that has the topic `t` of one partition.
    pub(crate) fn start() -> Self {
        let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let state = State {
            greeting: Greeting::Serve,
            tongue: Arc::new(|_| Lie::Truth),
            told: BTreeMap::new(),
            halves_said: 0,
            halves_released: 0,
            connections: 0,
            stopped: false,
            open: Vec::new(),
            threads: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            address: listener.local_addr().unwrap(),
            upstream: (Ipv4Addr::LOCALHOST, cluster.port(0).unwrap()).into(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.accept_all(&listener))
        };
        Self {
            cluster,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// What the producer connects to.
    pub(crate) fn address(&self) -> String {
        self.shared.address.to_string()
    }

    /// How to greet connections that come from now on.
    pub(crate) fn greet(&self, greeting: Greeting) {
        self.shared.state.lock().unwrap().greeting = greeting;
    }

    /// What to say to requests that come from now on.
    pub(crate) fn lie(&self, tongue: impl Fn(&Exchange) -> Lie + Send + Sync + 'static) {
        let mut state = self.shared.state.lock().unwrap();
        state.tongue = Arc::new(tongue);
        state.told.clear();
    }

    /// What to say to requests of a kind; the truth to all others.
    pub(crate) fn lie_about(
        &self,
        api: Api,
        tongue: impl Fn(&Exchange) -> Lie + Send + Sync + 'static,
    ) {
        self.lie(move |exchange| {
            if exchange.api == api {
                tongue(exchange)
            } else {
                Lie::Truth
            }
        });
    }

    /// Only the truth, from now on.
    pub(crate) fn be_honest(&self) {
        self.greet(Greeting::Serve);
        self.lie(|_| Lie::Truth);
        self.release();
    }

    /// Ends all connections that there are.
    pub(crate) fn hang_up(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until the first half of an answer has been said.
    pub(crate) fn await_half(&self, within: Duration) {
        let state = self.shared.state.lock().unwrap();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, within, |state| state.halves_said == 0)
            .unwrap();
        assert!(!waited.1.timed_out(), "no half of an answer was said");
    }

    /// Lets the second halves be said of all answers whose first half was.
    pub(crate) fn release(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.halves_released = state.halves_said;
        self.shared.changed.notify_all();
    }

    /// Connections that came so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// Requests of a kind since the last change of what is said.
    pub(crate) fn told(&self, api: Api) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.told.get(&api).copied().unwrap_or_default()
    }
}

impl Drop for Liar {
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
        // The acceptor waits for a connection, and looks up with this one.
        let _ = TcpStream::connect(self.shared.address);
        for thread in self.acceptor.take().into_iter().chain(threads) {
            let _ = thread.join();
        }
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
            let (shared, greeting) = (Arc::clone(self), state.greeting.clone());
            state.threads.push(thread::spawn(move || {
                // A connection that the producer gives up ends with an error, as it should.
                let _ = shared.serve(&client, &greeting);
                let _ = client.shutdown(Shutdown::Both);
            }));
        }
    }

    fn serve(&self, mut client: &TcpStream, greeting: &Greeting) -> io::Result<()> {
        match greeting {
            Greeting::Serve => {}
            Greeting::Close => return Ok(()),
            Greeting::Silence => return io::copy(&mut client, &mut io::sink()).map(drop),
            Greeting::Say(bytes) => client.write_all(bytes)?,
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
            if !self.say(client, &exchange)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// An exchange of which the producer does not learn where the broker really is.
    fn exchange(&self, api: Api, version: i16, correlation_id: i32, answer: Bytes) -> Exchange {
        let mut state = self.state.lock().unwrap();
        let told = state.told.entry(api).or_default();
        let mut exchange = Exchange {
            api,
            version,
            correlation_id,
            nth: *told,
            answer,
        };
        *told += 1;
        self.changed.notify_all();
        if api == Api::Metadata {
            let port = i32::from(self.address.port());
            exchange.answer = exchange
                .edited_payload::<MetadataResponse>(|metadata| {
                    metadata
                        .brokers
                        .iter_mut()
                        .for_each(|broker| broker.port = port);
                })
                .into();
        }
        exchange
    }

    /// Says what is to be said; false if the connection ends with it.
    fn say(&self, mut client: &TcpStream, exchange: &Exchange) -> io::Result<bool> {
        let tongue = Arc::clone(&self.state.lock().unwrap().tongue);
        match tongue(exchange) {
            Lie::Truth => client.write_all(&framed(&exchange.answer))?,
            Lie::Raw(bytes) => client.write_all(&bytes)?,
            Lie::Silence => return io::copy(&mut client, &mut io::sink()).map(|_| false),
            Lie::Close => return Ok(false),
            Lie::Halves(first, second) => {
                client.write_all(&first)?;
                let mut state = self.state.lock().unwrap();
                state.halves_said += 1;
                let ours = state.halves_said;
                self.changed.notify_all();
                while state.halves_released < ours && !state.stopped {
                    state = self.changed.wait(state).unwrap();
                }
                drop(state);
                client.write_all(&second)?;
            }
        }
        Ok(true)
    }
}

/// A frame without its length; `None` at the end of the stream.
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
