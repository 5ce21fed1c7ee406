//! Planted defects: small mutations of the code, to measure which tests catch them. A build without `--cfg
//! planted_defects` contains none of them. A build with it contains all, and the [chosen](choose) defect is active.
//!
//! The site of a defect is `if planted!(Name) { … }`, beside the correct line.

#![cfg_attr(
    not(planted_defects),
    allow(
        dead_code,
        unreachable_pub,
        reason = "without the defects it is only a list of names"
    )
)]

/// True if one of these defects is active.
#[cfg(planted_defects)]
macro_rules! planted {
    ($($defect:ident)|+) => {
        ($(crate::planted::is_chosen(crate::planted::Defect::$defect))||+)
    };
}

/// Without planted defects this is `false`, and the branch is compiled away.
#[cfg(not(planted_defects))]
macro_rules! planted {
    ($($defect:ident)|+) => {
        false
    };
}
pub(crate) use planted;

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident;)*) => {
        /// A planted defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Defect {
            $($(#[doc = $what])+ $name,)*
        }

        impl Defect {
            /// All defects.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name of the variant, as it appears at its site.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The description of the defect.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

defects! {
    // ---- sequence numbers and epochs
    /// A batch reserves one sequence number fewer than it has records.
    SequenceOffByOne;
    /// The second batch of an epoch is sent before the first one is acknowledged.
    FirstBatchFollowed;
    /// A batch that may be in the log gets a new sequence number in the next epoch.
    MaybeWrittenRenumbered;
    /// A batch that later batches have overtaken gets a new sequence number behind theirs.
    OvertakenRenumbered;
    /// A response for an earlier epoch counts as an acknowledgement of the current epoch.
    OldEpochAcknowledges;
    /// An epoch bump does not take effect for the first partition that needs it.
    EpochBumpForgetsPartition;
    /// If a batch that may be in the log is split, its pieces count as certainly not written.
    PieceForgetsFate;
    /// A batch that the broker already has (`DUPLICATE_SEQUENCE_NUMBER`) completes with an error.
    DuplicateFails;

    // ---- transactions
    /// A partition counts as added to the transaction before the coordinator has added it.
    PartitionsNotAdded;
    /// EndTxn is sent before the batches of the transaction are complete.
    CommitOvertakesBatches;
    /// A transaction that has not begun at the coordinator ends while a thread still compresses one of its batches.
    UntoldEndOvertakesPacking;
    /// EndTxn commits a transaction that is to be aborted.
    AbortCommits;
    /// A necessary epoch bump is skipped.
    EpochNotRaised;
    /// No epoch bump follows a transaction of which a request got no response and may still arrive.
    UnansweredRequestKeepsEpoch;
    /// The partitions and groups of one transaction count as added to the next transaction.
    ContentsOutliveTransaction;
    /// Queues still accept records while a transaction is being committed or aborted.
    QueuesStayOpen;
    /// A request for offsets does not wait for an earlier one that is in back-off.
    OffsetsOvertakeOffsets;
    /// A transaction is committed although a batch of it has failed.
    LostRecordsCommitted;
    /// A transaction is committed although `send` rejected a record.
    RefusedRecordCommitted;
    /// Fencing is reported as an abortable error.
    FencedCalledAbortable;
    /// A call that is retried after its timeout starts the same operation a second time.
    TimedOutCallForgotten;
    /// `send_offsets_to_transaction` returns before the group coordinator has the offsets.
    OffsetsToldEarly;
    /// Queued batches are still sent although the transaction is being aborted.
    AbortSendsOn;
    /// A commit whose response was lost is reported as certainly failed.
    LostCommitCalledAborted;
    /// A commit is reported as certainly failed although the coordinator may have written it before returning an error.
    DisputedCommitCalledAborted;
    /// The response to AddPartitionsToTxn also marks partitions as added that the request did not contain.
    PartitionsAddedUnasked;
    /// Offsets count as committed although the group coordinator rejected all of them.
    RefusedOffsetsTaken;
    /// A transaction that fails while its first partition is being added counts as not begun at the coordinator.
    LateAddForgotten;
    /// A transaction counts as not begun at the coordinator although a failed AddPartitionsToTxn may have begun it.
    DisputedAddForgotten;
    /// An abort that the coordinator rejects with an abortable error does not fail the producer.
    RefusedAbortForgotten;

    // ---- results of records
    /// A batch that fails with an error that brokers may return after the append is reported as certainly not written.
    DisputedCalledNotWritten;
    /// A batch that expires in flight is reported as certainly not written.
    ExpiredCalledNotWritten;
    /// When the client closes a connection, a request of which no byte was written counts as sent.
    UntouchedCalledHandedOver;
    /// The late response for an expired batch completes another batch that is in flight.
    LateResponseCompletesNewer;
    /// Responses that have been received are dropped when a write fails.
    AnswersDroppedAtEnd;
    /// The offset of a record in a later piece of a split batch is computed from its index in the whole batch.
    PieceForgetsPlace;

    // ---- drain order and in-flight limits
    /// A batch that is retried is put behind all other batches in the retry queue.
    ReenqueuedLast;
    /// A muted partition (a batch is in flight) is drained.
    MutedDrained;
    /// A batch that expires in flight leaves its partition muted.
    MutedAfterExpiry;
    /// A partition's batches keep going to its first known leader.
    StaleLeader;
    /// `NOT_LEADER_OR_FOLLOWER` does not request a metadata update.
    RefusalAsksForNoMetadata;
    /// All nodes share one drain index.
    DrainIndexShared;
    /// A partition whose next batch may not be sent yet ends the drain of its node.
    GatedPartitionEndsTurn;
    /// One request more than max.in.flight.requests.per.connection is in flight.
    WindowOneTooWide;

    // ---- timeouts and back-off
    /// A retry restarts delivery.timeout.ms.
    ExpiredBatchRetried;
    /// Queued batches do not expire while there is no producer id.
    ExpirySkippedWithoutId;
    /// A batch that expires while the sender compresses other batches is sent all the same.
    OverdueSentAfterPacking;
    /// The poll timeout ignores when the next batch is due (linger.ms).
    LingerNotWaitedFor;
    /// The poll timeout ignores when the next batch in flight expires.
    ExpiryNotWaitedFor;
    /// The poll timeout is zero while a node that has batches is not ready: a busy loop.
    SpinsWhileNotReady;
    /// The timeout of a blocking call does not count the time of its earlier waits.
    BlockedTimeForgotten;
    /// The connection setup has no timeout.
    SetupNeverTimesOut;
    /// A request in flight has no timeout.
    RequestNeverTimesOut;
    /// A batch is retried without retry.backoff.ms.
    RetriedAtOnce;
    /// A connection is retried without reconnect.backoff.ms.
    ReconnectsAtOnce;
    /// Each retry of a batch logs a warning.
    EachRetryLogged;

    // ---- buffer memory
    /// A batch's memory is returned to the pool twice.
    MemoryRefundedTwice;
    /// The memory of a batch larger than batch.size is never returned to the pool.
    MemoryNeverRefunded;
    /// A batch's memory is returned to the pool when the batch is sealed, and not when its last reader is done.
    MemoryBackWhileSocketReads;
    /// A record for old brokers is accepted although it is larger than the pool in the newest format, in which it is
    /// buffered.
    StagedSizeUnchecked;
    /// The pieces of a split batch may need more memory than is free: the difference is not subtracted from memory that
    /// is returned later.
    AdoptedMemoryNotOwed;
    /// An acknowledged batch stays in the set of incomplete batches.
    BatchNeverForgotten;
    /// A batch that expires in flight stays counted as in flight.
    ExpiredStaysCounted;

    // ---- wake-ups
    /// The poller is not woken while the sender sleeps.
    SenderNotWoken;
    /// A sender that was notified since its last check goes to sleep.
    NotifiedSenderSleeps;
    /// A batch that becomes full does not wake the sender if its partition is in the inbox.
    FullBatchWakesNobody;
    /// Memory that is returned to the pool wakes no waiter.
    MemoryWaiterNotWoken;
    /// A waiter that leaves the buffer pool's queue does not wake the next waiter.
    NextInLineNotWoken;
    /// Memory that the sender returns in one step wakes no waiter.
    DeferredWakeUpForgotten;
    /// A metadata update wakes no waiter.
    MetadataWaiterNotWoken;
    /// A batch that completes wakes no waiting thread.
    WaiterNotWoken;
    /// A batch that completes wakes only the last of several wakers.
    TaskNotWoken;
    /// The end of the sender thread does not wake the thread that closes the producer.
    CloserNotWoken;
    /// Close does not wake the sender.
    CloseWakesNobody;
    /// Close does not wake the waiters of the buffer pool.
    CloseLeavesMemoryWaiters;
    /// Close does not wake the waiters for metadata.
    CloseLeavesMetadataWaiters;

    // ---- user code
    /// The future of a record is released before its callback has run.
    WaiterReleasedBeforeCallback;
    /// An interceptor gets a record's acknowledgement twice.
    AcknowledgedTwice;
    /// A callback that panics ends the callbacks of its batch.
    PanicEndsCallbacks;
    /// A panic of a waker is not caught: it ends the producer.
    PanickingWakerNotContained;
    /// A waker that is replaced is dropped while a lock is held.
    WakerDroppedUnderLock;

    // ---- metrics
    /// If a reporter fails for one metric, the later metrics of the same notification are not reported.
    FailedReportEndsTelling;
    /// The removal of metrics is not reported to reporters.
    RemovedMetricsNotTold;
    /// Close closes the reporters before it removes the last metrics, so the removal is not reported.
    ReportersClosedTooEarly;
    /// Only the records of a request's last batch count as sent.
    LastBatchCountsAsRequest;
    /// A record that fails after a retry of its batch is not counted as an error.
    RetriedFailureIsNoError;

    // ---- flush and close
    /// A flush does not wait for the pieces of a batch that was split before the flush began.
    SplitNotFlushed;
    /// A flush does not wait for the pieces of a batch that is split during the flush.
    SplitEndsFlush;
    /// The batches of a flush that timed out linger again.
    FlushGivesBackToLinger;
    /// While the producer closes, a step that completes the last batch still polls with a timeout.
    CloseSleepsAfterLastBatch;
    /// Close does not wait for batches in flight.
    CloseForgetsUnderWay;
    /// A concurrent close returns before the plug-ins are closed.
    SecondCloseReturnsEarly;

    // ---- metadata
    /// An invalid topic name is not rejected: the metadata request for all topics contains it.
    BadTopicNameAskedFor;
    /// A topic that is added while a metadata request is in flight is not in the next request.
    NewTopicForgotten;
    /// A new topic waits for the back-off between two metadata requests.
    NewTopicWaitsForBackoff;
    /// A topic that does not exist stays in every metadata request although no call waits for it.
    UnknownTopicAskedForAlways;
    /// A partial metadata response removes all other topics.
    PartialAnswerForgetsOthers;
    /// A thread keeps using its cached topic after the topic has changed.
    RecentTopicOutlivesChange;
    /// Sending a request does not restart the idle timeout of its connection.
    SendingIsIdling;
    /// An uncompressed batch is not split when it is too large.
    PlainSetNotDivided;
    /// The leader epochs of a recreated topic are compared with those of the old topic.
    RecreatedTopicKeepsEpochs;
    /// A leader epoch that is lower than the cached one is ignored for ever, even if every response has it.
    OlderEpochNeverBelieved;
    /// An authentication failure starts the back-off of metadata requests: the next broker is not tried before its end.
    RefusingBrokerStarvesMetadata;
    /// A metadata request whose connection was lost counts as in flight for ever.
    LostMetadataRequestAwaited;
    /// bootstrap.servers are not tried again when no known broker is available.
    BootstrapNotAskedAgain;

    // ---- connections
    /// A readable event clears the write readiness of a stream.
    ReadinessForgotten;
    /// The end of a stream is lost when its last bytes are read.
    EndOfInputForgotten;
    /// A channel with unfinished work is not processed again before its next event.
    RestOfWorkForgotten;
    /// If a response comes before its request is written to the end, the next frame follows in the middle of the
    /// request.
    FramesSplicedByEarlyAnswer;
    /// A host name is not resolved again after its DNS lookup failed.
    FailedLookUpAwaited;
    /// Host names are resolved one after the other.
    OneLookUpAtATime;

    // ---- security
    /// TLS records that the socket did not accept wait until there is more to write.
    SealedBytesNotFlushed;
    /// Decrypted bytes that were not read yet wait until more bytes arrive.
    OpenedBytesForgotten;
    /// A handshake whose write fails does not read the broker's alert.
    HandshakeReadsNoRefusal;
    /// The broker's certificate is not checked against the trusted authorities and the current time.
    AnyCertificateTaken;
    /// The broker's certificate is not checked against the host name.
    AnyNameTaken;
    /// The SASL session lifetime that brokers set is ignored.
    SessionNeverRenewed;
    /// A request is sent during re-authentication.
    RequestOvertakesAuthentication;
    /// A broker that fails authentication is retried without reconnect.backoff.ms.
    RefusingBrokerNotBackedOff;
    /// An authentication failure is not reported to calls that wait for metadata.
    RefusalToldToNobody;
    /// A new token does not wake the sender.
    TokenWakesNobody;

    // Blind: planted by an author without knowledge of the tests.
    /// In a Produce response, the next expected partition is recognized by its number alone, whatever its topic.
    BlindAnswerByNumber;
    /// A partition with a batch in flight is unmuted when its leader changes.
    BlindUnmutedByNewLeader;
    /// Batches keep lingering while a thread waits for memory.
    BlindLingerOverMemory;
    /// A buffer pool waiter that gives up keeps the memory that it has accumulated.
    BlindTicketKeepsGathered;
    /// The last acknowledged sequence number is kept across an epoch bump.
    BlindAcknowledgedOutlivesEpoch;
    /// A metadata response for new topics also counts as the response for topics that were added after the request.
    BlindPartialAnswersAll;
    /// If a connection is lost before any byte of its newest request was written, its earlier requests count as
    /// unwritten, too.
    BlindAllUntouched;
    /// A node's failures are reset when it is connected, not when it is ready.
    BlindConnectedIsFine;
    /// A connection whose write fails is closed without reading the bytes that have arrived.
    BlindClosingReadsNothing;
    /// A wait for memory may last for the whole of `max.block.ms`, although the call has already waited for metadata.
    BlindEachWaitItsTime;

    // Races between threads: caught by the loom models of `producer/models`.

    /// A sender that is awake is not notified.
    WakesOnlySleepers;
    /// The deadline of the last poll stays in effect while the sender is awake, so a wake-up may be skipped.
    KeepsOldSleep;
    /// A latch is set without its lock while a thread is about to wait on it.
    LatchSetUnlocked;
    /// A latch wakes one waiter instead of all.
    LatchWakesOne;
    /// The buffer pool is not fair: memory goes to the first caller, not to the longest waiter.
    LineIsNotKept;
    /// A buffer pool waiter releases the lock between its check and its wait.
    TicketLooksUnlocked;
    /// Closing the buffer pool wakes only the first waiter.
    PoolCloseTellsOne;
    /// A batch's waiters are released without the lock while a thread is about to wait.
    ReleasesUnlocked;
    /// The release of a batch is a relaxed store: a thread that sees the release may not see the result.
    ReleasesRelaxed;
    /// A waker is registered without checking again whether the batch is complete.
    RegistersBlindly;
    /// The clone of a future takes the place of the future it was cloned from: only one of their tasks is registered.
    CloneSharesWaker;
    /// A split batch releases its waiters before its pieces are in place.
    ReleasesBeforePieces;
    /// Numbers that are read without a lock may be from two writes.
    TornNumbersRead;
    /// A partition counts as in the inbox until the sender has looked at its queue.
    LeavesInboxLate;
    /// The sender is woken for a batch before its partition is in the inbox.
    WakesBeforeAnnouncing;
    /// A partition goes into the inbox only after its new batch is in the queue.
    AnnouncesLate;
    /// Close does not close the queues.
    CloseForgetsQueues;
    /// A new batch enters the set of incomplete batches only after the append has returned.
    IncompleteLate;
    /// A batch stops counting as being compressed before its partition is in the inbox.
    PackedBeforeSignalled;
    /// The sender is woken while the last batch still counts as being compressed, and not again afterwards.
    PackedTellsNobody;
    /// A flush wakes the sender before the flush is counted.
    FlushCountsLate;
    /// A flush does not wake the sender.
    FlushWakesNobody;
    /// A flush that times out stops being counted before it hands its batches to the sender.
    FlushLeavesLate;
    /// The batches that one flush hands to the sender replace those of another.
    FlushForgetsOthers;
    /// A partition's queue is created without checking whether there is one.
    QueueMadeTwice;
    /// The metadata version is published before the topic map.
    VersionBeforeTopics;
    /// A thread keeps using cached topics of an earlier snapshot.
    SnapshotStays;
    /// A metadata waiter releases the lock between its check and its wait.
    MetadataLooksUnlocked;
    /// A thread that requests a topic misses the response that came during its request.
    WaitsPastAnswer;
    /// Close wakes the sender before it publishes the closing phase.
    ClosesAfterWaking;
    /// The final work of a dropped producer is left to a sender thread that has ended.
    LastActLeftBehind;
}

/// Environment variable with the name of the active defect; unset or empty for none. It is read if the program does not
/// call [`choose`], so that every test can run unchanged under any defect.
#[cfg(planted_defects)]
pub const VARIABLE: &str = "PLANTED_DEFECT";

#[cfg(planted_defects)]
const NONE: usize = usize::MAX;

/// No defect was chosen, and the environment variable was not read yet.
#[cfg(planted_defects)]
const NOT_CHOSEN: usize = NONE - 1;

#[cfg(planted_defects)]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(NOT_CHOSEN);

/// Activates a defect, or none.
#[cfg(planted_defects)]
pub fn choose(defect: Option<Defect>) {
    let number = defect.map_or(NONE, |defect| defect as usize);
    CHOSEN.store(number, std::sync::atomic::Ordering::SeqCst);
}

/// The defect with this name.
///
/// # Panics
/// If there is none: the message lists all names.
#[cfg(planted_defects)]
pub fn named(name: &str) -> Defect {
    let known = || Defect::ALL.iter().copied();
    known()
        .find(|defect| defect.name() == name)
        .unwrap_or_else(|| {
            let names: Vec<&str> = known().map(Defect::name).collect();
            panic!("{name:?} is no planted defect: {}", names.join(", "))
        })
}

#[cfg(planted_defects)]
pub(crate) fn is_chosen(defect: Defect) -> bool {
    match CHOSEN.load(std::sync::atomic::Ordering::Relaxed) {
        NOT_CHOSEN => is_chosen_by_environment(defect),
        chosen => chosen == defect as usize,
    }
}

#[cfg(planted_defects)]
#[cold]
fn is_chosen_by_environment(defect: Defect) -> bool {
    use std::sync::atomic::Ordering::SeqCst;
    let chosen = match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => named(&name) as usize,
        _ => NONE,
    };
    // Another thread may have chosen a defect meanwhile, in which case its choice stays.
    let _ = CHOSEN.compare_exchange(NOT_CHOSEN, chosen, SeqCst, SeqCst);
    CHOSEN.load(SeqCst) == defect as usize
}
