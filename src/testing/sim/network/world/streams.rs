//! Operations of clients on their streams.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::super::link::{Link, LinkState, PipeEnd};
use super::super::{Answers, micros};
use super::{LinkEvent, LinkNumber, NetworkWorld, Over};
use crate::clock::Instant;
use crate::network::poller::Received;
use crate::network::selectable::ConnectionId;

impl NetworkWorld {
    pub(in super::super) fn open(
        &mut self,
        poller: usize,
        id: ConnectionId,
        address: SocketAddr,
        now: Instant,
    ) -> io::Result<(LinkNumber, bool)> {
        let listener = self.listeners.get(&address);
        let answers = listener.map_or(Answers::Refuses, |listener| listener.answers);
        if answers == Answers::Refuses && self.random.bool() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.last_link += 1;
        let number = self.last_link;
        let extra_latency = listener.map_or(Duration::ZERO, |listener| listener.extra_latency);
        let mut link = Link::new(address, poller, id);
        link.extra_latency = extra_latency;
        let takes = micros(self.random.u64(self.profile.connect_us.clone()));
        let at = now + takes + extra_latency;
        let is_immediate = self.random.u8(0..100) < self.profile.at_once_percent;
        let is_immediate = is_immediate && answers == Answers::Accepts;
        match answers {
            Answers::Accepts if is_immediate => {
                link.state = LinkState::Open;
                self.decide(number, LinkEvent::Established { is_immediate }, now);
            }
            Answers::Accepts => self.decide(number, LinkEvent::Established { is_immediate }, at),
            Answers::Refuses => self.decide(number, LinkEvent::Refused, at),
            Answers::Never => link.hold_at_missing_host(LinkEvent::Established { is_immediate }),
        }
        if let Some(client) = self.clients.get_mut(&poller) {
            client.ids.insert(id);
        }
        self.links.insert(number, link);
        Ok((number, is_immediate))
    }

    fn link(&mut self, number: LinkNumber) -> io::Result<&mut Link> {
        let link = self.links.get_mut(&number);
        link.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(in super::super) fn finish_connect(&mut self, number: LinkNumber) -> io::Result<bool> {
        match self.link(number)?.state {
            LinkState::Connecting => Ok(false),
            LinkState::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            LinkState::Open => Ok(true),
            LinkState::Broken => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    pub(in super::super) fn read(
        &mut self,
        number: LinkNumber,
        into: &mut [u8],
        now: Instant,
    ) -> io::Result<Received> {
        let splits = self.profile.splits && self.random.bool();
        let short_read_drains = self.profile.short_read_drains;
        let roll = self.random.usize(..);
        let link = self.link(number)?;
        let there = link.down.arrived.len();
        if there == 0 {
            if link.state == LinkState::Broken {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if link.down.end != PipeEnd::Arrived {
                link.is_readable_armed = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let mut len = there.min(into.len());
        if splits && len > 1 {
            len = 1 + roll % len;
        }
        link.down.take(&mut into[..len]);
        let drained = len > 0 && len == there && len < into.len() && short_read_drains;
        link.is_readable_armed |= drained;
        self.send_on(number, now);
        Ok(Received { len, drained })
    }

    pub(in super::super) fn write(
        &mut self,
        number: LinkNumber,
        from: &[IoSlice<'_>],
        now: Instant,
    ) -> io::Result<usize> {
        let splits = self.profile.splits && self.random.bool();
        let capacity = self.profile.capacity;
        let roll = self.random.usize(..);
        let link = self.link(number)?;
        match link.state {
            LinkState::Open => {}
            LinkState::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
            LinkState::Connecting | LinkState::Refused => {
                return Err(io::ErrorKind::NotConnected.into());
            }
        }
        let offered = from.iter().map(|slice| slice.len()).sum::<usize>();
        let mut len = link.up.room(capacity, offered);
        if len == 0 && offered > 0 {
            link.up.is_writer_blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if splits && len > 1 {
            len = 1 + roll % len;
        }
        let mut piece = Vec::with_capacity(len);
        for slice in from {
            let rest = len - piece.len();
            piece.extend_from_slice(&slice[..rest.min(slice.len())]);
        }
        let piece = Bytes::from(piece);
        link.up.set_off(piece);
        self.travel(number, true, now);
        Ok(len)
    }

    pub(in super::super) fn close(&mut self, number: LinkNumber, now: Instant) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        link.is_client_gone = true;
        let (poller, id) = (link.poller, link.id);
        if let Some(client) = self.clients.get_mut(&poller) {
            client.events.remove(&id);
            client.ids.remove(&id);
        }
        if matches!(link.state, LinkState::Connecting | LinkState::Refused) {
            // The server never learns of this connection.
            self.links.remove(&number);
            return;
        }
        // The server is notified after everything in flight has arrived.
        let at = link.up.last_arrival.max(now) + micros(1);
        self.decide(number, LinkEvent::EndReachesPeer(Over::Closed), at);
    }
}
