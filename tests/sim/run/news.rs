//! Broker events: converts the events of the brokers into events of the run.

use kafka_producer::internals::simulation::{BrokerEvent, TlsHandshake, World};

use crate::events::{Event, EventKind, RecordId, Who};

/// Appends the events since the last call.
pub(crate) fn take(world: &World, into: &mut Vec<Event>) {
    into.extend(world.take_news().into_iter().map(|news| Event {
        at: news.at,
        who: news.node.map_or(Who::World, Who::Broker),
        kind: event(news.what),
    }));
}

fn event(broker_event: BrokerEvent) -> EventKind {
    let ids = |records: Vec<u64>| records.into_iter().map(RecordId).collect();
    match broker_event {
        BrokerEvent::Appended {
            topic,
            incarnation,
            partition,
            base_offset,
            records,
            contents,
            timestamps,
            producer,
            transactional,
            digest,
        } => EventKind::Appended {
            topic,
            incarnation,
            partition,
            base_offset,
            records: ids(records),
            contents,
            timestamps,
            producer_id: producer.map_or(-1, |producer| producer.id),
            epoch: producer.map_or(-1, |producer| producer.epoch),
            sequence: producer.map_or(-1, |producer| producer.sequence),
            transactional,
            digest,
        },
        BrokerEvent::Marker {
            topic,
            incarnation,
            partition,
            offset,
            producer_id,
            epoch,
            committed,
        } => EventKind::Marker {
            topic,
            incarnation,
            partition,
            offset,
            producer_id,
            epoch,
            committed,
        },
        BrokerEvent::OffsetsCommitted {
            group,
            producer_id,
            offsets,
        } => EventKind::OffsetsCommitted {
            group,
            producer_id,
            offsets,
        },
        BrokerEvent::Coordinated {
            transactional_id,
            producer_id,
            epoch,
            change,
        } => EventKind::Coordinated {
            transactional_id,
            producer_id,
            epoch,
            change,
        },
        BrokerEvent::Duplicate {
            topic,
            partition,
            base_offset,
            records,
        } => EventKind::Duplicate {
            topic,
            partition,
            base_offset,
            records: ids(records),
        },
        BrokerEvent::Truncated {
            topic,
            incarnation,
            partition,
            from_offset,
        } => EventKind::Truncated {
            topic,
            incarnation,
            partition,
            from_offset,
        },
        BrokerEvent::TopicGone { topic, incarnation } => {
            EventKind::TopicGone { topic, incarnation }
        }
        BrokerEvent::Handshake(TlsHandshake {
            is_newest,
            is_resumed,
            has_certificate,
            is_trusted,
        }) => EventKind::Handshake {
            is_newest,
            is_resumed,
            has_certificate,
            is_trusted,
        },
        BrokerEvent::Request {
            api,
            version,
            bytes,
            fate,
        } => EventKind::Request {
            api,
            version,
            bytes,
            fate: fate.into_owned(),
        },
    }
}
