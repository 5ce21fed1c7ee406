use super::*;

const TIMEOUT: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(100);

/// Transactional ids with an allocator of producer ids.
#[derive(Default)]
struct Coordinator {
    producer_ids: ProducerIds,
    ids: TransactionalIds,
}

impl Coordinator {
    fn init(
        &mut self,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let name = "t".into();
        self.ids
            .init(&mut self.producer_ids, &name, TIMEOUT, expected, START)
    }

    fn add(&mut self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        self.ids.add("t", producer, [partition()], START)
    }

    fn end(&mut self, producer: ProducerIdAndEpoch, committed: bool) -> Result<(), ErrorCode> {
        self.ids.end("t", producer, committed, START)
    }

    fn write_markers(&mut self) {
        self.ids.get_mut("t").unwrap().marked(&partition());
    }

    fn state(&self) -> TransactionState {
        self.ids.get("t").unwrap().state()
    }

    fn producer(&self) -> ProducerIdAndEpoch {
        self.ids.get("t").unwrap().producer()
    }
}

fn partition() -> Participant {
    Participant::Partition(TopicPartition::new("topic", 0))
}

/// Java: TransactionCoordinatorTest#shouldIncrementEpochAndUpdateMetadataOnHandleInitPidWhenExistingEmptyTransaction,
/// #shouldIncrementEpochAndUpdateMetadataOnHandleInitPidWhenExistingCompleteTransaction
#[test]
fn the_next_producer_of_a_transactional_id_gets_the_next_epoch() {
    let mut it = Coordinator::default();
    let first = it.init(None).unwrap();
    let second = it.init(None).unwrap();
    assert_eq!(second, ProducerIdAndEpoch::new(first.id, first.epoch + 1));
    it.add(second).unwrap();
    it.end(second, true).unwrap();
    it.write_markers();
    assert_eq!(it.init(None).unwrap(), bumped(second));
    assert_eq!(it.state(), TransactionState::Empty);
}

/// Java: TransactionCoordinatorTest#testInitProducerIdWithCurrentEpochProvided,
/// #testInitProducerIdStaleCurrentEpochProvided, #testInitProducerIdWithInvalidEpochAfterProducerIdRotation
#[test]
fn an_epoch_bump_may_be_requested_twice_but_not_by_a_fenced_producer() {
    let mut it = Coordinator::default();
    let first = it.init(None).unwrap();
    let second = it.init(Some(first)).unwrap();
    assert_eq!(it.init(Some(first)), Ok(second));
    let third = it.init(Some(second)).unwrap();
    assert_eq!(third.epoch, 2);
    assert_eq!(it.init(Some(first)), Err(ErrorCode::ProducerFenced));
    // A new producer is initialized: the old one's retry is refused.
    it.init(None).unwrap();
    assert_eq!(it.init(Some(second)), Err(ErrorCode::ProducerFenced));
    assert_eq!(it.init(Some(third)), Err(ErrorCode::ProducerFenced));
    let other = ProducerIdAndEpoch::new(first.id + 1, 3);
    assert_eq!(it.init(Some(other)), Err(ErrorCode::ProducerFenced));
}

/// Java: TransactionCoordinatorTest#shouldGenerateNewProducerIdIfEpochsExhausted,
/// #testRetryInitProducerIdAfterProducerIdRotation
#[test]
fn an_exhausted_epoch_leads_to_another_producer_id() {
    for says_what_it_has in [true, false] {
        let mut it = Coordinator::default();
        it.producer_ids.begin_with(LAST_EPOCH - 1);
        let first = it.init(None).unwrap();
        let ask = |producer| says_what_it_has.then_some(producer);
        let last = it.init(ask(first)).unwrap();
        assert_eq!(last, ProducerIdAndEpoch::new(first.id, LAST_EPOCH));
        it.producer_ids.begin_with(0);
        let next = it.init(ask(last)).unwrap();
        assert_eq!(next.epoch, 0);
        assert_ne!(next.id, first.id);
        let again = it.init(Some(last));
        let expected = if says_what_it_has {
            Ok(next)
        } else {
            Err(ErrorCode::ProducerFenced)
        };
        assert_eq!(again, expected);
    }
}

/// Java: TransactionCoordinatorTest#shouldUseLastEpochToFenceWhenEpochsAreExhausted
#[test]
fn the_reserved_epoch_fences_the_last_producer() {
    let mut it = Coordinator::default();
    it.producer_ids.begin_with(LAST_EPOCH);
    let last = it.init(None).unwrap();
    it.add(last).unwrap();
    it.producer_ids.begin_with(0);
    assert_eq!(it.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(it.producer(), ProducerIdAndEpoch::new(last.id, i16::MAX));
    it.write_markers();
    let next = it.init(None).unwrap();
    assert_eq!(next.epoch, 0);
    assert_ne!(next.id, last.id);
}

/// Java: TransactionCoordinatorTest#shouldAbortTransactionOnHandleInitPidWhenExistingTransactionInOngoingState
#[test]
fn an_open_transaction_is_aborted_before_the_next_producer_gets_the_id() {
    let mut it = Coordinator::default();
    let first = it.init(None).unwrap();
    it.add(first).unwrap();
    assert_eq!(it.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(it.state(), TransactionState::PrepareAbort);
    assert_eq!(it.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(it.end(first, true), Err(ErrorCode::ProducerFenced));
    it.write_markers();
    // The first bump fences the old producer; the second gives the new producer its epoch.
    assert_eq!(it.init(None), Ok(bumped(bumped(first))));
}

/// Java: TransactionCoordinatorTest#shouldRespondWithInvalidPidMappingOnAddPartitionsToTransactionWhenTransactionalIdNotPresent,
/// #shouldRespondWithProducerFencedOnAddPartitionsWhenEpochsAreDifferent, #shouldReturnInvalidEpochOnEndTxnWhenEpochIsLarger,
/// #shouldReturnInvalidEpochOnEndTxnWhenEpochIsSmaller
#[test]
fn only_the_producer_that_has_the_id_may_add_to_a_transaction_or_end_it() {
    let mut it = Coordinator::default();
    let producer = it.init(None).unwrap();
    for (name, id, epoch, error) in [
        (
            "none",
            producer.id,
            0,
            Some(ErrorCode::InvalidProducerIdMapping),
        ),
        (
            "t",
            producer.id + 1,
            0,
            Some(ErrorCode::InvalidProducerIdMapping),
        ),
        ("t", producer.id, 1, Some(ErrorCode::ProducerFenced)),
        ("t", producer.id, -1, Some(ErrorCode::ProducerFenced)),
        ("t", producer.id, 0, None),
    ] {
        let given = ProducerIdAndEpoch::new(id, epoch);
        let added = it.ids.add(name, given, [partition()], START);
        assert_eq!(added.err(), error, "{name} {given}");
        let ended = it.ids.end(name, given, true, START);
        assert_eq!(ended.err(), error, "{name} {given}");
    }
}

/// Java: TransactionCoordinatorTest#shouldReturnOkOnEndTxnWhenStatusIsCompleteCommitAndResultIsCommit,
/// #shouldReturnInvalidTxnRequestOnEndTxnRequestWhenStatusIsCompleteAbortAndResultIsNotAbort,
/// #shouldReturnConcurrentTxnRequestOnEndTxnRequestWhenStatusIsPrepareCommit,
/// #shouldRespondWithConcurrentTransactionsOnAddPartitionsWhenStateIsPrepareCommit, and similar tests
#[test]
fn an_end_may_be_repeated_but_not_reversed() {
    for committed in [true, false] {
        let mut it = Coordinator::default();
        let producer = it.init(None).unwrap();
        let refused = Err(ErrorCode::InvalidTxnState);
        assert_eq!(it.end(producer, committed), refused, "nothing to end");
        it.add(producer).unwrap();
        it.add(producer).unwrap();
        assert_eq!(it.state(), TransactionState::Ongoing);
        it.end(producer, committed).unwrap();

        let wait = Err(ErrorCode::ConcurrentTransactions);
        assert_eq!(it.end(producer, committed), wait);
        assert_eq!(it.end(producer, !committed), refused);
        assert_eq!(it.add(producer), wait);
        it.write_markers();

        assert_eq!(it.end(producer, committed), Ok(()));
        assert_eq!(it.end(producer, !committed), refused);
        assert_eq!(it.add(producer), Ok(()));
        assert_eq!(it.state(), TransactionState::Ongoing);
    }
}

#[test]
fn markers_are_due_after_their_delay_until_each_participant_has_one() {
    let mut it = Coordinator::default();
    let producer = it.init(None).unwrap();
    it.add(producer).unwrap();
    let group = Participant::Group("g".into());
    it.ids.add("t", producer, [group.clone()], START).unwrap();
    let delay = Duration::from_millis(5);
    let owes = |it: &Coordinator, time| it.ids.get("t").unwrap().owes_markers(time, delay);
    assert_eq!(owes(&it, START + delay), None);
    it.end(producer, true).unwrap();
    assert_eq!(owes(&it, START), None);
    assert_eq!(owes(&it, START + delay), Some(true));
    it.write_markers();
    assert_eq!(it.state(), TransactionState::PrepareCommit);
    it.ids.get_mut("t").unwrap().marked(&group);
    assert_eq!(it.state(), TransactionState::CompleteCommit);
    assert_eq!(owes(&it, START + delay), None);
}

/// Java: TransactionCoordinatorTest#shouldAbortExpiredTransactionsInOngoingStateAndBumpEpoch,
/// #shouldNotAbortExpiredTransactionsThatHaveAPendingStateTransition
#[test]
fn a_transaction_is_overdue_after_its_time_out_and_aborting_it_fences_the_producer() {
    let mut it = Coordinator::default();
    let producer = it.init(None).unwrap();
    let late = START + TIMEOUT + Duration::from_millis(1);
    assert!(it.ids.overdue(late).is_empty(), "it has not begun");
    it.add(producer).unwrap();
    assert!(it.ids.overdue(START + TIMEOUT).is_empty());
    assert_eq!(it.ids.overdue(late), [Arc::from("t")]);
    it.ids.time_out("t", late);
    assert_eq!(it.state(), TransactionState::PrepareAbort);
    assert_eq!(it.producer(), bumped(producer));
    assert_eq!(it.end(producer, true), Err(ErrorCode::ProducerFenced));
    assert!(it.ids.overdue(late).is_empty());
}

#[test]
fn the_next_due_time_is_that_of_a_time_out_or_a_marker() {
    let mut it = Coordinator::default();
    let delay = Duration::from_millis(5);
    let due = |it: &Coordinator| it.ids.next_due(START, delay);
    let producer = it.init(None).unwrap();
    assert_eq!(due(&it), None);
    it.add(producer).unwrap();
    assert_eq!(due(&it), Some(START + TIMEOUT + STEP));
    assert!(it.ids.overdue(due(&it).unwrap()) == [Arc::from("t")]);
    it.end(producer, true).unwrap();
    assert_eq!(due(&it), Some(START + delay));
    assert_eq!(
        it.ids.next_due(START + delay, delay),
        None,
        "markers are already being written"
    );
    it.write_markers();
    assert_eq!(due(&it), None);
}

/// Java: TransactionCoordinatorTest#shouldRespondWithInvalidTxnStateWhenVerifyOnlyAndPartitionNotPresent of 3.9,
/// #shouldRespondWithErrorsNoneOnAddPartitionWhenOngoingVerifyOnlyAndPartitionsTheSame
#[test]
fn participants_that_were_not_added_fail_verification() {
    let mut it = Coordinator::default();
    let producer = it.init(None).unwrap();
    let verify = |it: &mut Coordinator, producer| it.ids.verify("t", producer, &partition());
    assert_eq!(verify(&mut it, producer), Err(ErrorCode::InvalidTxnState));
    it.add(producer).unwrap();
    assert_eq!(verify(&mut it, producer), Ok(()));
    let fenced = ProducerIdAndEpoch::new(producer.id, producer.epoch - 1);
    assert_eq!(
        verify(&mut it, fenced),
        Err(ErrorCode::InvalidProducerEpoch)
    );
    it.end(producer, true).unwrap();
    assert_eq!(verify(&mut it, producer), Err(ErrorCode::NotEnoughReplicas));
    it.write_markers();
    assert_eq!(verify(&mut it, producer), Err(ErrorCode::InvalidTxnState));
}
