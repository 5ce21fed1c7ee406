//! Broker events: converts what brokers did into events of the run.

use kafka_producer::internals::simulation::{BrokerEvent, TlsHandshake, World};

use crate::events::{Event, RecordId, What, Who};

/// Appends the events since the last call.
pub(crate) fn take(world: &World, into: &mut Vec<Event>) {
    into.extend(world.take_news().into_iter().map(|news| Event {
        at: news.at,
        who: news.node.map_or(Who::World, Who::Broker),
        what: event(news.what),
    }));
}

fn event(broker_event: BrokerEvent) -> What {
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
        } => What::Appended {
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
        } => What::Marker {
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
        } => What::OffsetsCommitted {
            group,
            producer_id,
            offsets,
        },
        BrokerEvent::Coordinated {
            transactional_id,
            producer_id,
            epoch,
            change,
        } => What::Coordinated {
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
        } => What::Duplicate {
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
        } => What::Truncated {
            topic,
            incarnation,
            partition,
            from_offset,
        },
        BrokerEvent::TopicGone { topic, incarnation } => What::TopicGone { topic, incarnation },
        BrokerEvent::Handshake(TlsHandshake {
            is_newest,
            is_resumed,
            has_certificate,
            is_trusted,
        }) => What::Handshake {
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
        } => What::Request {
            api,
            version,
            bytes,
            fate: fate.into_owned(),
        },
    }
}
