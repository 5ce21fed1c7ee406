//! Small wrong changes, planted on purpose, to see what finds them. Not one of them is in a build without
//! `--cfg planted_defects`; with it they are all there, and the one that was [chosen](choose) is at work.
//!
//! Where one is planted stands `if planted!(Name) { … }`, beside the line that is right.

#![cfg_attr(
    not(planted_defects),
    allow(dead_code, unreachable_pub, reason = "a list of names then")
)]

/// Whether this defect, or one of these, is the one at work.
#[cfg(planted_defects)]
macro_rules! planted {
    ($($defect:ident)|+) => {
        ($(crate::planted::is_chosen(crate::planted::Defect::$defect))||+)
    };
}

/// Without planted defects none is, and nothing is left of the question.
#[cfg(not(planted_defects))]
macro_rules! planted {
    ($($defect:ident)|+) => {
        false
    };
}
pub(crate) use planted;

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident;)*) => {
        /// A wrong change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Defect {
            $($(#[doc = $what])+ $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as it stands where it is planted.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it does.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

defects! {
    // ---- numbers and epochs
    /// A batch takes one sequence fewer than it has records.
    SequenceOffByOne;
    /// A second batch is sent behind the first of an epoch before that is answered.
    FirstBatchFollowed;
    /// A batch that may be in the log gets another number in a new epoch.
    MaybeWrittenRenumbered;
    /// A batch that later ones have overtaken gets another number behind them.
    OvertakenRenumbered;
    /// An answer for an epoch that is over counts as one of the present epoch.
    OldEpochAcknowledges;
    /// A new epoch does not begin for the first partition that needs it.
    EpochBumpForgetsPartition;
    /// The pieces of a batch that may be in the log are taken for certain not to be.
    PieceForgetsFate;
    /// A batch that the broker has already is told to its sender as failed.
    DuplicateFails;

    // ---- what a record is told
    /// An error that brokers give after they have written is told as certain not to be written.
    DisputedCalledNotWritten;
    /// A batch whose time is over while it is under way is told as certain not to be written.
    ExpiredCalledNotWritten;
    /// A request of which no byte was sent is said to be sent, if this side closes the connection.
    UntouchedCalledHandedOver;
    /// The answer for a batch that timed out completes another that is under way.
    LateResponseCompletesNewer;
    /// Answers that have come are thrown away when writing fails.
    AnswersDroppedAtEnd;
    /// A record of a later piece of a batch is told the place that it had in the whole.
    PieceForgetsPlace;

    // ---- whose turn it is
    /// A batch that is to be sent again goes behind all others that are.
    ReenqueuedLast;
    /// A partition is drained although a batch of it is under way.
    MutedDrained;
    /// A batch that times out under way keeps its partition muted.
    MutedAfterExpiry;
    /// A partition's batches go to the leader that was known first.
    StaleLeader;
    /// A broker that is not the leader any more does not make metadata be asked for.
    RefusalAsksForNoMetadata;
    /// All nodes share the place where the next drain begins.
    DrainIndexShared;
    /// A partition that is held back ends its node's turn.
    GatedPartitionEndsTurn;
    /// One request more than max.in.flight.requests.per.connection is under way.
    WindowOneTooWide;

    // ---- time
    /// A batch that is tried again has all of delivery.timeout.ms again.
    ExpiredBatchRetried;
    /// No batch in a queue times out while there is no producer id.
    ExpirySkippedWithoutId;
    /// A batch whose time passed while others were compressed is sent all the same.
    OverdueSentAfterPacking;
    /// The sender does not wake when a batch becomes due.
    LingerNotWaitedFor;
    /// The sender does not wake when a batch under way times out.
    ExpiryNotWaitedFor;
    /// The sender does not sleep while a node that has batches is not ready.
    SpinsWhileNotReady;
    /// A call that waits counts its time from its last step.
    BlockedTimeForgotten;
    /// A connection that does not come to stand is waited for without end.
    SetupNeverTimesOut;
    /// An answer is waited for without end.
    RequestNeverTimesOut;
    /// A batch is tried again without retry.backoff.ms.
    RetriedAtOnce;
    /// A connection is tried again without reconnect.backoff.ms.
    ReconnectsAtOnce;
    /// Each batch that is tried again is a warning.
    EachRetryLogged;

    // ---- memory
    /// A batch's memory goes back to the pool twice.
    MemoryRefundedTwice;
    /// The memory of a batch that is larger than batch.size does not go back to the pool.
    MemoryNeverRefunded;
    /// A batch's memory goes back to the pool when it is sealed, and not when its last reader is done.
    MemoryBackWhileSocketReads;
    /// A record for old brokers is let in though what it is staged in is larger than the pool.
    StagedSizeUnchecked;
    /// What the pieces of a batch take beyond the pool is not paid back.
    AdoptedMemoryNotOwed;
    /// An acknowledged batch stays among those that are incomplete.
    BatchNeverForgotten;
    /// A batch that times out under way stays counted as under way.
    ExpiredStaysCounted;

    // ---- wake-ups
    /// The poller is not woken for a sender that sleeps.
    SenderNotWoken;
    /// A sender that was told of something since it looked goes to sleep.
    NotifiedSenderSleeps;
    /// A batch that becomes full does not wake the sender if its partition is in the inbox.
    FullBatchWakesNobody;
    /// Memory that comes back wakes nobody who waits for it.
    MemoryWaiterNotWoken;
    /// Who leaves the line for memory does not wake the next one.
    NextInLineNotWoken;
    /// Metadata that comes wakes nobody who waits for it.
    MetadataWaiterNotWoken;
    /// A batch that ends wakes no thread that waits for it.
    WaiterNotWoken;
    /// Of several tasks that wait for a batch only the last is woken.
    TaskNotWoken;
    /// The end of the sender does not wake who closes the producer.
    CloserNotWoken;
    /// Closing does not wake the sender.
    CloseWakesNobody;
    /// Closing does not wake who waits for memory.
    CloseLeavesMemoryWaiters;
    /// Closing does not wake who waits for metadata.
    CloseLeavesMetadataWaiters;

    // ---- user code
    /// Who waits for a record goes on before its callback has run.
    WaiterReleasedBeforeCallback;
    /// An interceptor is told twice of a record's end.
    AcknowledgedTwice;
    /// After a callback that panics the others of its batch are not run.
    PanicEndsCallbacks;
    /// A waker that panics ends the producer.
    PanickingWakerNotContained;
    /// A waker that another takes the place of is dropped with a lock held.
    WakerDroppedUnderLock;

    // ---- flush and close
    /// A flush does not wait for the pieces of a batch that was divided before.
    SplitNotFlushed;
    /// A flush does not wait for the pieces of a batch that is divided meanwhile.
    SplitEndsFlush;
    /// What a flush leaves when its time is up lingers again.
    FlushGivesBackToLinger;
    /// A step that ends the last batch of a producer that closes sleeps all the same.
    CloseSleepsAfterLastBatch;
    /// Closing does not wait for batches that are under way.
    CloseForgetsUnderWay;
    /// A close beside another returns before the plug-ins are closed.
    SecondCloseReturnsEarly;

    // ---- metadata
    /// A topic's name is not checked before it is asked for together with all others.
    BadTopicNameAskedFor;
    /// A topic that is asked for while a request is under way is not in the next one.
    NewTopicForgotten;
    /// A topic that is asked for anew waits for the pause between two requests for metadata.
    NewTopicWaitsForBackoff;
    /// A topic that does not exist is asked for again and again, though nobody waits for it.
    UnknownTopicAskedForAlways;
    /// An answer about some topics makes all others unknown.
    PartialAnswerForgetsOthers;
    /// A thread goes on with the topic that it remembers when that has changed.
    RecentTopicOutlivesChange;
    /// A connection on which something is sent counts as idle until an answer comes.
    SendingIsIdling;
    /// A batch that is not compressed is not divided when it is too large.
    PlainSetNotDivided;
    /// A topic that was made anew is held against the leader epochs of the old one.
    RecreatedTopicKeepsEpochs;
    /// Leader epochs that went back for good are never believed.
    OlderEpochNeverBelieved;
    /// A broker that refuses the client counts as an attempt to get metadata of the others.
    RefusingBrokerStarvesMetadata;
    /// A request for metadata whose connection ended is waited for without end.
    LostMetadataRequestAwaited;
    /// bootstrap.servers are not asked again when no known broker is of use.
    BootstrapNotAskedAgain;

    // ---- connections
    /// That a stream has room is forgotten when there is something to read.
    ReadinessForgotten;
    /// That a stream has ended is forgotten when its last bytes are read.
    EndOfInputForgotten;
    /// A connection that has more to do gets no other turn before its next event.
    RestOfWorkForgotten;
    /// The rest of a question that is answered early is not sent: the next frame stands in its middle.
    FramesSplicedByEarlyAnswer;
    /// After a look-up that failed, the host name is not looked up again.
    FailedLookUpAwaited;
    /// Host names are looked up one after the other.
    OneLookUpAtATime;

    // ---- security
    /// What TLS has sealed and the stream has not taken waits until there is more to be written.
    SealedBytesNotFlushed;
    /// What TLS has opened and nobody has fetched waits until more comes.
    OpenedBytesForgotten;
    /// A handshake that cannot be written on does not look whether the broker has said why.
    HandshakeReadsNoRefusal;
    /// A broker's certificate may be of any authority and any time.
    AnyCertificateTaken;
    /// A broker's certificate may be for any name.
    AnyNameTaken;
    /// The time of a session that brokers have set is not kept.
    SessionNeverRenewed;
    /// A request goes while the client is authenticated again.
    RequestOvertakesTalk;
    /// A broker that refuses the client is tried again without reconnect.backoff.ms.
    RefusingBrokerNotBackedOff;
    /// That a broker refuses the client is not told to those who wait for metadata.
    RefusalToldToNobody;
    /// A token that comes does not wake the sender.
    TokenWakesNobody;

    // Written without knowledge of what looks for them.
    /// The next topic of an answer to a produce request is known by the number of its partition alone.
    BlindAnswerByNumber;
    /// A partition that has a batch under way is unmuted when it gets another leader.
    BlindUnmutedByNewLeader;
    /// Batches go on lingering while somebody waits for memory.
    BlindLingerOverMemory;
    /// Who gives up waiting for memory keeps what it was given so far.
    BlindTicketKeepsGathered;
    /// What was acknowledged last is remembered beyond the end of its epoch.
    BlindAcknowledgedOutlivesEpoch;
    /// An answer for some new topics passes for one that has those asked for meanwhile.
    BlindPartialAnswersAll;
    /// If the newest request of a connection that ended is untouched, so are all before it.
    BlindAllUntouched;
    /// The failures of a node are forgotten when it is connected, not when it is ready.
    BlindConnectedIsFine;
    /// A connection that cannot be written to any more is ended with what has arrived on it unread.
    BlindClosingReadsNothing;
    /// A wait for memory has the whole of `max.block.ms`, whatever was waited for before.
    BlindEachWaitItsTime;

    // Of threads that meet at the wrong moment: found by the models of `producer/models`.

    /// A sender that is awake is not notified.
    WakesOnlySleepers;
    /// The end of the last sleep counts as that of the next.
    KeepsOldSleep;
    /// A latch is set while somebody is about to sleep on it.
    LatchSetUnlocked;
    /// A latch wakes one of those who wait.
    LatchWakesOne;
    /// Memory goes to whoever asks first, not to who waits longest.
    LineIsNotKept;
    /// Who is about to wait for memory looks before it takes the lock.
    TicketLooksUnlocked;
    /// A pool that is closed tells only the first in line.
    PoolCloseTellsOne;
    /// A batch's waiters are released while somebody is about to sleep.
    ReleasesUnlocked;
    /// Who sees a batch released need not see what came before.
    ReleasesRelaxed;
    /// A task is registered without another look whether there is anything to wait for.
    RegistersBlindly;
    /// A divided batch releases its waiters before it has pieces.
    ReleasesBeforePieces;
    /// A partition counts as in the inbox until the sender has looked at its queue.
    LeavesInboxLate;
    /// The sender is woken for a batch before it can find the batch's partition.
    WakesBeforeAnnouncing;
    /// A partition goes into the inbox when its new batch can be found already.
    AnnouncesLate;
    /// Closing the producer does not close its queues.
    CloseForgetsQueues;
    /// A flush can find a new batch only when the thread that opened it has gone on.
    IncompleteLate;
    /// A packed batch is no longer counted before the sender can find it.
    PackedBeforeSignalled;
    /// The last batch that was packed tells a sender that ends nothing.
    PackedTellsNobody;
    /// A flush wakes the sender before it counts as under way.
    FlushCountsLate;
    /// A flush does not wake the sender.
    FlushWakesNobody;
    /// A flush whose time is up no longer counts before its batches are left to the sender.
    FlushLeavesLate;
    /// What is left to the sender by one flush is forgotten with what another left.
    FlushForgetsOthers;
    /// A partition's queue is made without asking whether there is one.
    QueueMadeTwice;
    /// The picture's version is shown before its topics.
    VersionBeforeTopics;
    /// A thread goes on with topics that it remembers from a picture before.
    SnapshotStays;
    /// Who is about to wait for metadata looks before it takes the lock.
    MetadataLooksUnlocked;
    /// Who asks for a topic waits past an answer that came while it asked.
    WaitsPastAnswer;
    /// Closing wakes the sender before it says that it is to end.
    ClosesAfterWaking;
    /// The last act of a producer that is given up is left to a sender that has ended.
    LastActLeftBehind;
}

/// The variable of the environment that names the defect at work in a program that [chooses](choose) none: so every
/// test runs under any of them as it is. Empty for none.
#[cfg(planted_defects)]
pub const VARIABLE: &str = "PLANTED_DEFECT";

#[cfg(planted_defects)]
const NONE: usize = usize::MAX;

/// Nobody has chosen, nor was the environment asked.
#[cfg(planted_defects)]
const NOT_CHOSEN: usize = NONE - 1;

#[cfg(planted_defects)]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(NOT_CHOSEN);

/// Puts a defect to work, or none.
#[cfg(planted_defects)]
pub fn choose(defect: Option<Defect>) {
    let number = defect.map_or(NONE, |defect| defect as usize);
    CHOSEN.store(number, std::sync::atomic::Ordering::SeqCst);
}

/// The defect of that name.
///
/// # Panics
/// If there is none: the message lists them.
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
    // Unless somebody has chosen meanwhile.
    let _ = CHOSEN.compare_exchange(NOT_CHOSEN, chosen, SeqCst, SeqCst);
    CHOSEN.load(SeqCst) == defect as usize
}
