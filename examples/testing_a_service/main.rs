//! Tests of a service's error handling, with a mock producer, and with an embedded broker and fault injection. In your
//! service the four functions are tests, and `kafka-producer` with the feature `testing` is a dev-dependency.
//!
//! ```text
//! cargo run --example testing_a_service --features testing
//! ```
#![allow(clippy::print_stdout, reason = "the output of the example")]

mod service;

use std::error::Error;

use kafka_producer::testing::{Api, MockProducer, Refusal, Rule, TestCluster};
use kafka_producer::{ErrorCode, ProduceErrorKind};
use service::{OrderDesk, Receipt};

type Outcome = Result<(), Box<dyn Error>>;

/// Uses the mock producer and no broker: the test completes each record by hand.
fn each_receipt_follows_from_the_outcome_of_its_record() -> Outcome {
    let (producer, mock) = MockProducer::builder()
        .topic("orders", 1)
        .auto_complete(false)
        .build()?;
    let desk = OrderDesk::with(producer);
    let endings: [(&dyn Fn() -> bool, Receipt); 3] = [
        (&|| mock.complete_next(), Receipt::Accepted),
        (
            &|| mock.error_next(ErrorCode::InvalidRecord),
            Receipt::Rejected,
        ),
        (
            &|| mock.error_next(ProduceErrorKind::Network),
            Receipt::SetAside,
        ),
    ];
    for (end, receipt) in endings {
        // The desk waits on its own thread for the record, which is completed here.
        let placed = std::thread::scope(|scope| {
            let placing = scope.spawn(|| desk.place("an order").ok());
            while !end() {
                std::thread::yield_now();
            }
            placing.join()
        });
        assert_eq!(placed.ok().flatten(), Some(receipt));
    }
    let history = mock.history();
    assert_eq!(history.len(), 3);
    assert_eq!(history[0].value_str(), Some("an order"));
    Ok(())
}

fn a_leader_that_moves_is_followed(cluster: &TestCluster, desk: &OrderDesk) -> Outcome {
    assert_eq!(desk.place("first")?, Receipt::Accepted);
    let old = cluster.leader("orders", 0).ok_or("no leader")?;
    let refused = cluster.script(Rule::on(Api::Produce).node(old))?;
    cluster.move_leader("orders", 0, 1 - old)?;
    assert_eq!(desk.place("second")?, Receipt::Accepted);
    assert_eq!((refused.fired(), cluster.record_count("orders")), (1, 2));
    Ok(())
}

fn an_order_whose_response_is_lost_is_written_once(
    cluster: &TestCluster,
    desk: &OrderDesk,
) -> Outcome {
    cluster.script(Rule::on(Api::Produce).times(2).close().after_applying())?;
    assert_eq!(desk.place("only one")?, Receipt::Accepted);
    let log = cluster.summary("orders", 0).ok_or("no log")?;
    assert_eq!(
        (log.records, log.duplicates),
        (1, 2),
        "sent three times, written once"
    );
    Ok(())
}

fn an_order_is_rejected_only_if_it_is_not_written(
    cluster: &TestCluster,
    desk: &OrderDesk,
) -> Outcome {
    let refusal = Refusal::new(ErrorCode::InvalidRecord).record(0, "no such customer");
    cluster.script(Rule::on(Api::Produce).times(1).fail(refusal))?;
    let unsure = Rule::on(Api::Produce)
        .times(1)
        .fail(ErrorCode::UnknownServerError);
    cluster.script(unsure.after_applying())?;
    assert_eq!(desk.place("for nobody")?, Receipt::Rejected);
    assert_eq!(desk.place("who knows")?, Receipt::SetAside);
    assert_eq!(
        cluster.records("orders", 0)[0].value.as_deref(),
        Some(&b"who knows"[..])
    );
    Ok(())
}

fn main() -> Outcome {
    each_receipt_follows_from_the_outcome_of_its_record()?;
    let tests: [fn(&TestCluster, &OrderDesk) -> Outcome; 3] = [
        a_leader_that_moves_is_followed,
        an_order_whose_response_is_lost_is_written_once,
        an_order_is_rejected_only_if_it_is_not_written,
    ];
    for test in tests {
        let cluster = TestCluster::builder().nodes(2).topic("orders", 1).start()?;
        test(&cluster, &OrderDesk::new(cluster.bootstrap_servers())?)?;
    }
    println!("all held");
    Ok(())
}
