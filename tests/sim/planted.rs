//! Planted defects: the seed or the test that catches each.
//!
//! [`CAUGHT_BY`] names a test for each defect that is known to be caught by one. [`Search`] looks for the first seed
//! that catches a defect. Each defect has a process of its own, since a defective producer may loop for ever, overflow
//! the stack or abort the process.

#![allow(dead_code, reason = "the searching is for builds with planted defects")]

/// A test that catches a defect: `"lib"`, the name of a test target or [`MODELS`], and the name of the test there.
pub(crate) type Catcher = (&'static str, &'static str);

/// The loom models: they have a build of their own, which itself checks that they catch their defects.
const MODELS: &str = "models";

/// All defects, in the order of the list in `src/planted.rs`.
pub(crate) const CAUGHT_BY: &[(&str, Option<Catcher>)] = &[
    (
        "SequenceOffByOne",
        Some((
            "lib",
            "producer::sender::tests::idempotence::a_batch_that_a_later_batch_has_overtaken_fails_at_once_and_no_other_batch_fails",
        )),
    ),
    (
        "FirstBatchFollowed",
        Some((
            "lib",
            "producer::sender::tests::expiry::a_single_batch_expired_in_flight_begins_a_new_epoch_and_its_late_response_is_ignored",
        )),
    ),
    (
        "MaybeWrittenRenumbered",
        Some((
            "lib",
            "producer::sender::tests::idempotence::a_batch_without_a_response_is_not_renumbered_behind_a_gap",
        )),
    ),
    (
        "OvertakenRenumbered",
        Some((
            "lib",
            "producer::transaction::tests::a_batch_that_a_later_one_has_overtaken_is_not_renumbered",
        )),
    ),
    (
        "OldEpochAcknowledges",
        Some((
            "lib",
            "producer::sender::tests::expiry::a_single_batch_expired_in_flight_begins_a_new_epoch_and_its_late_response_is_ignored",
        )),
    ),
    (
        "EpochBumpForgetsPartition",
        Some((
            "lib",
            "producer::transaction::tests::an_epoch_bump_renumbers_only_the_batches_of_partitions_with_a_gap",
        )),
    ),
    (
        "PieceForgetsFate",
        Some((
            "lib",
            "producer::sender::tests::splitting::a_split_uses_up_no_retry",
        )),
    ),
    (
        "DuplicateFails",
        Some((
            "lib",
            "producer::sender::tests::idempotence::a_batch_that_may_be_written_keeps_its_number_when_a_later_batch_is_refused_for_good",
        )),
    ),
    (
        "PartitionsNotAdded",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::a_transaction_adds_its_partitions_sends_its_records_and_offsets_and_is_committed",
        )),
    ),
    (
        "CommitOvertakesBatches",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::a_commit_sends_lingering_batches_and_waits_for_them",
        )),
    ),
    (
        "UntoldEndOvertakesPacking",
        Some((
            "lib",
            "producer::sender::tests::transactions::ending::an_abort_waits_for_a_batch_being_packed_even_if_the_coordinator_has_no_partition",
        )),
    ),
    (
        "AbortCommits",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::an_abort_fails_unsent_batches_and_waits_for_those_in_flight",
        )),
    ),
    (
        "EpochNotRaised",
        Some((
            "lib",
            "producer::sender::tests::transactions::sequences::after_a_sequence_gap_the_coordinator_bumps_the_epoch_when_the_transaction_is_aborted",
        )),
    ),
    (
        "UnansweredRequestKeepsEpoch",
        Some((
            "lib",
            "producer::sender::tests::transactions::sequences::a_request_without_a_response_requires_a_new_epoch_before_the_next_transaction",
        )),
    ),
    (
        "ContentsOutliveTransaction",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::a_partition_of_the_previous_transaction_waits_until_it_is_added_to_the_next",
        )),
    ),
    (
        "QueuesStayOpen",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::a_record_that_fits_into_an_open_batch_is_refused_while_the_transaction_is_ending",
        )),
    ),
    (
        "OffsetsOvertakeOffsets",
        Some((
            "lib",
            "producer::sender::tests::transactions::lanes::offsets_wait_for_earlier_ones_that_are_retried",
        )),
    ),
    (
        "LostRecordsCommitted",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_record_that_failed_keeps_the_transaction_from_being_committed_until_it_is_aborted",
        )),
    ),
    (
        "RefusedRecordCommitted",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_record_that_was_not_accepted_keeps_the_transaction_from_being_committed",
        )),
    ),
    (
        "FencedCalledAbortable",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::each_error_of_each_request_is_retriable_abortable_fencing_or_fatal",
        )),
    ),
    (
        "TimedOutCallForgotten",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::a_call_repeated_after_a_timeout_resumes_the_first_one",
        )),
    ),
    (
        "OffsetsToldEarly",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::each_error_of_each_request_is_retriable_abortable_fencing_or_fatal",
        )),
    ),
    (
        "AbortSendsOn",
        Some((
            "lib",
            "producer::sender::tests::transactions::calls::an_abort_fails_unsent_batches_and_waits_for_those_in_flight",
        )),
    ),
    (
        "LostCommitCalledAborted",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_commit_without_a_response_that_must_be_aborted_may_have_been_executed",
        )),
    ),
    (
        "DisputedCommitCalledAborted",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_commit_that_is_refused_after_an_ambiguous_response_may_have_been_executed",
        )),
    ),
    (
        "PartitionsAddedUnasked",
        Some((
            "lib",
            "producer::sender::tests::transactions::partitions::a_partition_used_while_another_is_being_added_is_added_by_the_next_request",
        )),
    ),
    (
        "RefusedOffsetsTaken",
        Some((
            "lib",
            "producer::sender::tests::transactions::offsets::offsets_are_sent_with_their_group_metadata_and_only_refused_ones_are_retried",
        )),
    ),
    (
        "LateAddForgotten",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_transaction_that_fails_while_its_first_partition_is_added_is_ended_at_the_coordinator",
        )),
    ),
    (
        "DisputedAddForgotten",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::a_transaction_that_a_coordinator_may_have_begun_is_ended_there",
        )),
    ),
    (
        "RefusedAbortForgotten",
        Some((
            "lib",
            "producer::sender::tests::transactions::errors::an_abort_that_the_coordinator_refuses_succeeds_or_is_fatal",
        )),
    ),
    (
        "DisputedCalledNotWritten",
        Some((
            "lib",
            "producer::sender::tests::idempotence::a_batch_that_may_be_written_is_not_renumbered_when_an_earlier_batch_is_out_of_order",
        )),
    ),
    (
        "ExpiredCalledNotWritten",
        Some((
            "lib",
            "producer::sender::tests::expiry::a_queued_batch_of_a_muted_partition_expires",
        )),
    ),
    (
        "UntouchedCalledHandedOver",
        Some((
            "lib",
            "client::network_client::tests::requests::an_unwritten_request_was_not_handed_over_when_a_bad_frame_closes_the_connection",
        )),
    ),
    (
        "LateResponseCompletesNewer",
        Some((
            "lib",
            "producer::sender::tests::expiry::a_single_batch_expired_in_flight_begins_a_new_epoch_and_its_late_response_is_ignored",
        )),
    ),
    (
        "AnswersDroppedAtEnd",
        Some((
            "lib",
            "network::channel::tests::frames_received_before_a_failed_write_are_delivered_first",
        )),
    ),
    (
        "PieceForgetsPlace",
        Some((
            "lib",
            "producer::future::tests::a_future_follows_its_record_through_every_split",
        )),
    ),
    (
        "ReenqueuedLast",
        Some((
            "lib",
            "producer::accumulator::drain::tests::retries_are_queued_in_the_order_in_which_they_were_opened",
        )),
    ),
    (
        "MutedDrained",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_muted_partition_is_not_ready_until_it_is_unmuted",
        )),
    ),
    (
        "MutedAfterExpiry",
        Some((
            "lib",
            "producer::sender::tests::expiry::with_one_request_in_flight_an_expired_batch_does_not_block_the_next_batch_to_another_leader",
        )),
    ),
    (
        "StaleLeader",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_partition_moves_to_its_new_leader_and_a_leaderless_topic_is_reported_once_per_snapshot",
        )),
    ),
    (
        "RefusalAsksForNoMetadata",
        Some((
            "lib",
            "producer::sender::tests::outcomes::a_refusal_by_a_stale_leader_leads_to_a_metadata_request_even_if_it_is_final",
        )),
    ),
    (
        "DrainIndexShared",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_drain_starts_at_the_partition_where_the_last_drain_of_its_node_stopped",
        )),
    ),
    (
        "GatedPartitionEndsTurn",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_partition_that_the_gate_holds_back_does_not_hold_back_others",
        )),
    ),
    (
        "WindowOneTooWide",
        Some((
            "lib",
            "client::in_flight_requests::tests::more_can_be_sent_when_the_newest_is_written_and_the_limit_is_not_reached",
        )),
    ),
    (
        "ExpiredBatchRetried",
        Some((
            "lib",
            "producer::sender::tests::calls::interleaved::all_calls_interleaved_with_the_sender_in_any_order_end_without_a_thread_of_their_own",
        )),
    ),
    (
        "ExpirySkippedWithoutId",
        Some((
            "api",
            "closing::a_record_whose_broker_is_stopped_times_out_unwritten_with_the_reason",
        )),
    ),
    (
        "OverdueSentAfterPacking",
        Some((
            "lib",
            "producer::sender::tests::expiry::compression_time_does_not_count_towards_the_request_timeout_and_batches_expired_after_it_are_not_sent",
        )),
    ),
    (
        "LingerNotWaitedFor",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_batch_is_due_after_its_linger_and_the_timer_is_for_the_earliest",
        )),
    ),
    (
        "ExpiryNotWaitedFor",
        Some((
            "lib",
            "producer::sender::tests::expiry::the_sender_wakes_when_a_batch_in_flight_expires",
        )),
    ),
    (
        "SpinsWhileNotReady",
        Some((
            "lib",
            "producer::sender::tests::outcomes::batches_of_a_node_that_is_not_ready_stay_queued_and_the_poll_ends_when_it_may_be_ready",
        )),
    ),
    (
        "BlockedTimeForgotten",
        Some((
            "lib",
            "producer::waiting::stopwatch::tests::a_stopwatch_counts_only_the_time_in_which_it_runs",
        )),
    ),
    (
        "SetupNeverTimesOut",
        Some((
            "lib",
            "client::network_client::tests::connecting::a_connection_that_is_not_established_is_closed_after_the_setup_timeout",
        )),
    ),
    (
        "RequestNeverTimesOut",
        Some((
            "lib",
            "client::network_client::tests::recovery::brokers_that_do_not_answer_metadata_requests_trigger_a_rebootstrap",
        )),
    ),
    (
        "RetriedAtOnce",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_retry_waits_for_its_backoff_and_later_batches_of_its_partition_wait_behind_it",
        )),
    ),
    (
        "ReconnectsAtOnce",
        Some((
            "lib",
            "client::connection_states::tests::a_node_becomes_ready_and_may_be_connected_to_again_after_a_disconnect",
        )),
    ),
    ("EachRetryLogged", None),
    (
        "MemoryRefundedTwice",
        Some((
            "lib",
            "producer::buffer_pool::tests::memory_is_returned_and_buffers_of_batch_size_are_pooled",
        )),
    ),
    (
        "MemoryNeverRefunded",
        Some((
            "lib",
            "producer::buffer_pool::tests::the_memory_of_a_waiter_that_gives_up_repays_the_excess_first",
        )),
    ),
    (
        "MemoryBackWhileSocketReads",
        Some((
            "lib",
            "producer::buffer_pool::tests::memory_stays_leased_until_the_last_share_is_dropped",
        )),
    ),
    (
        "StagedSizeUnchecked",
        Some((
            "api",
            "old_brokers::a_record_that_only_fits_into_memory_in_an_old_format_fails_at_once_as_too_large",
        )),
    ),
    (
        "AdoptedMemoryNotOwed",
        Some((
            "lib",
            "producer::buffer_pool::tests::memory_adopted_beyond_the_total_is_repaid_before_any_waiter_gets_memory",
        )),
    ),
    (
        "BatchNeverForgotten",
        Some((
            "lib",
            "producer::sender::tests::outcomes::a_lost_batch_is_retried_after_the_backoff_until_its_retries_are_used_up",
        )),
    ),
    (
        "ExpiredStaysCounted",
        Some((
            "lib",
            "producer::sender::tests::expiry::a_timed_out_batch_is_not_counted_as_in_flight_once_its_future_is_done",
        )),
    ),
    (
        "SenderNotWoken",
        Some((
            "lib",
            "producer::accumulator::tests::a_full_batch_wakes_a_sender_that_sleeps_until_another_batch_is_due",
        )),
    ),
    (
        "NotifiedSenderSleeps",
        Some((
            "lib",
            "producer::wake::tests::a_sender_that_is_awake_is_notified_without_a_system_call_and_does_not_fall_asleep",
        )),
    ),
    (
        "FullBatchWakesNobody",
        Some((
            "lib",
            "producer::accumulator::tests::a_full_batch_wakes_a_sender_that_sleeps_until_another_batch_is_due",
        )),
    ),
    (
        "MemoryWaiterNotWoken",
        Some((
            "lib",
            "producer::buffer_pool::tests::free_memory_the_drop_of_an_earlier_ticket_and_a_close_each_wake_a_waiter",
        )),
    ),
    (
        "NextInLineNotWoken",
        Some((
            "lib",
            "producer::buffer_pool::tests::free_memory_the_drop_of_an_earlier_ticket_and_a_close_each_wake_a_waiter",
        )),
    ),
    (
        "DeferredWakeUpForgotten",
        Some((
            "lib",
            "producer::buffer_pool::tests::memory_returned_while_wake_ups_are_deferred_notifies_the_first_waiter_once",
        )),
    ),
    (
        "MetadataWaiterNotWoken",
        Some((
            "lib",
            "producer::metadata::tests::a_wait_ends_when_a_newer_snapshot_is_published",
        )),
    ),
    ("WaiterNotWoken", None),
    (
        "TaskNotWoken",
        Some((
            "lib",
            "producer::future::tests::a_task_is_woken_once_for_consecutive_records",
        )),
    ),
    (
        "CloserNotWoken",
        Some((
            "lib",
            "producer::sender::tests::calls::driven::a_thread_that_waits_without_a_timeout_is_woken_by_its_event",
        )),
    ),
    (
        "CloseWakesNobody",
        Some((
            "lib",
            "producer::sender::tests::calls::a_close_wakes_the_sender",
        )),
    ),
    (
        "CloseLeavesMemoryWaiters",
        Some((
            "lib",
            "producer::buffer_pool::tests::free_memory_the_drop_of_an_earlier_ticket_and_a_close_each_wake_a_waiter",
        )),
    ),
    (
        "CloseLeavesMetadataWaiters",
        Some((
            "lib",
            "producer::metadata::tests::close_wakes_waiters_and_refuses_later_ones_but_updates_go_on",
        )),
    ),
    (
        "WaiterReleasedBeforeCallback",
        Some((
            "lib",
            "producer::sender::tests::outcomes::a_wait_for_a_record_ends_after_its_callback_has_run",
        )),
    ),
    (
        "AcknowledgedTwice",
        Some((
            "api",
            "plugins::interceptors_see_each_record_once_and_their_failures_affect_no_record",
        )),
    ),
    (
        "PanicEndsCallbacks",
        Some((
            "lib",
            "producer::thunks::tests::a_panic_of_one_callback_does_not_stop_the_others",
        )),
    ),
    (
        "PanickingWakerNotContained",
        Some((
            "lib",
            "producer::future::tests::a_panic_in_the_destructor_of_a_waker_is_caught",
        )),
    ),
    (
        "WakerDroppedUnderLock",
        Some((
            "lib",
            "producer::future::tests::the_destructor_of_a_waker_may_lock_its_batch",
        )),
    ),
    (
        "FailedReportEndsTelling",
        Some((
            "lib",
            "producer::metrics_reporters::tests::a_reporter_that_fails_or_panics_at_every_call_does_not_affect_the_others",
        )),
    ),
    (
        "RemovedMetricsNotTold",
        Some((
            "lib",
            "producer::metrics_reporters::tests::reporters_are_called_in_order_from_the_context_to_the_close",
        )),
    ),
    (
        "ReportersClosedTooEarly",
        Some((
            "api",
            "metrics_reporters::reporters_are_created_before_the_other_plug_ins_and_closed_after_interceptors",
        )),
    ),
    (
        "LastBatchCountsAsRequest",
        Some((
            "lib",
            "producer::sender::tests::metrics::each_request_records_its_batches_its_records_and_its_topics",
        )),
    ),
    ("RetriedFailureIsNoError", None),
    (
        "SplitNotFlushed",
        Some((
            "lib",
            "producer::sender::tests::splitting::a_flush_ends_after_the_pieces_also_when_it_began_before_the_split",
        )),
    ),
    (
        "SplitEndsFlush",
        Some((
            "lib",
            "producer::sender::tests::splitting::a_flush_ends_after_the_pieces_also_when_it_began_before_the_split",
        )),
    ),
    (
        "FlushGivesBackToLinger",
        Some((
            "lib",
            "producer::accumulator::tests::a_flush_makes_all_batches_due_and_counts_the_incomplete_ones",
        )),
    ),
    (
        "CloseSleepsAfterLastBatch",
        Some((
            "lib",
            "producer::sender::tests::closing::a_closing_sender_does_not_sleep_once_its_last_batch_is_complete",
        )),
    ),
    (
        "CloseForgetsUnderWay",
        Some((
            "lib",
            "producer::sender::tests::calls::several_closes_wait_for_the_sender_and_return_when_it_has_ended",
        )),
    ),
    (
        "SecondCloseReturnsEarly",
        Some((
            "api",
            "closing::every_concurrent_close_waits_for_the_plug_ins",
        )),
    ),
    (
        "BadTopicNameAskedFor",
        Some((
            "lib",
            "producer::metadata::tests::a_topic_name_that_cannot_be_encoded_is_not_tracked",
        )),
    ),
    (
        "NewTopicForgotten",
        Some((
            "lib",
            "client::metadata::tests::a_new_topic_that_the_in_flight_request_does_not_list_is_requested_without_backoff",
        )),
    ),
    (
        "NewTopicWaitsForBackoff",
        Some((
            "lib",
            "client::metadata::tests::a_new_topic_that_the_in_flight_request_does_not_list_is_requested_without_backoff",
        )),
    ),
    (
        "UnknownTopicAskedForAlways",
        Some((
            "lib",
            "producer::metadata::tests::a_topic_that_does_not_exist_is_requested_only_when_a_call_needs_it",
        )),
    ),
    (
        "PartialAnswerForgetsOthers",
        Some((
            "lib",
            "client::metadata::tests::a_partial_update_names_the_changed_topics_and_a_full_one_may_change_all",
        )),
    ),
    (
        "RecentTopicOutlivesChange",
        Some((
            "lib",
            "producer::accumulator::tests::topics::adding_topics_keeps_cached_entries_of_other_topics",
        )),
    ),
    (
        "SendingIsIdling",
        Some((
            "lib",
            "network::selector::tests::idle::a_connection_with_a_recent_send_is_not_idle",
        )),
    ),
    (
        "PlainSetNotDivided",
        Some((
            "lib",
            "producer::sender::tests::formats::a_message_set_that_is_too_large_is_split_whether_compressed_or_not",
        )),
    ),
    (
        "RecreatedTopicKeepsEpochs",
        Some((
            "lib",
            "client::metadata::tests::the_leader_epochs_of_a_recreated_topic_start_again",
        )),
    ),
    (
        "OlderEpochNeverBelieved",
        Some((
            "lib",
            "client::metadata::tests::leader_epochs_that_decrease_permanently_are_accepted_after_a_while_and_logged_once",
        )),
    ),
    (
        "RefusingBrokerStarvesMetadata",
        Some((
            "lib",
            "client::network_client::tests::authentication::brokers_that_refuse_the_client_do_not_prevent_metadata_requests_to_others",
        )),
    ),
    (
        "LostMetadataRequestAwaited",
        Some((
            "lib",
            "client::network_client::tests::metadata::a_disconnected_metadata_request_is_a_failed_update_and_waits_for_the_backoff",
        )),
    ),
    (
        "BootstrapNotAskedAgain",
        Some((
            "lib",
            "client::network_client::tests::recovery::the_host_name_of_a_bootstrap_server_is_resolved_again",
        )),
    ),
    (
        "ReadinessForgotten",
        Some((
            "lib",
            "network::channel::tests::a_frame_queued_on_a_closing_channel_is_reported_as_untouched",
        )),
    ),
    (
        "EndOfInputForgotten",
        Some((
            "lib",
            "network::channel::tests::an_end_of_stream_reported_with_the_last_bytes_is_found",
        )),
    ),
    (
        "RestOfWorkForgotten",
        Some((
            "lib",
            "network::selector::tests::idle::a_connection_with_frames_to_deliver_is_not_idle",
        )),
    ),
    (
        "FramesSplicedByEarlyAnswer",
        Some((
            "lib",
            "network::channel::tests::authentication::a_response_before_the_request_is_written_in_full_closes_the_connection_and_no_frame_is_spliced",
        )),
    ),
    (
        "FailedLookUpAwaited",
        Some((
            "lib",
            "client::network_client::tests::metadata::while_no_node_is_available_a_poll_blocks_until_one_may_be_connected_to",
        )),
    ),
    (
        "OneLookUpAtATime",
        Some((
            "lib",
            "network::resolver::tests::a_hanging_look_up_delays_only_the_nodes_with_that_name",
        )),
    ),
    (
        "SealedBytesNotFlushed",
        Some((
            "lib",
            "network::tls_transport::tests::buffered_bytes_are_bounded_however_much_is_written_and_however_little_the_stream_takes",
        )),
    ),
    (
        "OpenedBytesForgotten",
        Some((
            "lib",
            "network::tests::tls::frames_arrive_whole_in_order_and_once_through_tls",
        )),
    ),
    (
        "HandshakeReadsNoRefusal",
        Some((
            "lib",
            "network::tls_transport::tests::the_alert_of_a_broker_is_read_after_a_failed_write",
        )),
    ),
    (
        "AnyCertificateTaken",
        Some((
            "lib",
            "security::tls::tests::handshakes::certificates_are_valid_by_the_producers_clock",
        )),
    ),
    (
        "AnyNameTaken",
        Some((
            "lib",
            "security::tls::tests::handshakes::a_host_name_mismatch_error_lists_the_names_of_the_certificate",
        )),
    ),
    (
        "SessionNeverRenewed",
        Some((
            "lib",
            "network::channel::tests::authentication::a_reauthentication_is_reported_when_it_starts_and_when_it_completes",
        )),
    ),
    (
        "RequestOvertakesAuthentication",
        Some((
            "lib",
            "network::channel::tests::authentication::a_reauthentication_is_reported_when_it_starts_and_when_it_completes",
        )),
    ),
    (
        "RefusingBrokerNotBackedOff",
        Some((
            "lib",
            "client::connection_states::tests::an_authentication_failure_keeps_its_message_and_counts_as_one_failure",
        )),
    ),
    (
        "RefusalToldToNobody",
        Some((
            "lib",
            "client::network_client::tests::authentication::an_authentication_failure_fails_the_waiters_for_metadata_with_its_message",
        )),
    ),
    (
        "TokenWakesNobody",
        Some((
            "lib",
            "security::sasl::login::tests::a_token_is_fetched_in_advance_and_once_for_all_connections",
        )),
    ),
    ("BlindAnswerByNumber", None),
    (
        "BlindUnmutedByNewLeader",
        Some((
            "lib",
            "producer::accumulator::drain::tests::a_muted_partition_stays_muted_when_its_leader_changes",
        )),
    ),
    (
        "BlindLingerOverMemory",
        Some((
            "lib",
            "producer::accumulator::tests::a_new_batch_wakes_the_sender_during_a_flush_or_while_a_thread_waits_for_memory",
        )),
    ),
    (
        "BlindTicketKeepsGathered",
        Some((
            "lib",
            "producer::buffer_pool::tests::a_dropped_ticket_returns_its_gathered_memory_to_the_next_waiter",
        )),
    ),
    ("BlindAcknowledgedOutlivesEpoch", None),
    (
        "BlindPartialAnswersAll",
        Some((
            "lib",
            "client::metadata::tests::the_response_to_an_older_request_does_not_complete_newer_partial_updates",
        )),
    ),
    (
        "BlindAllUntouched",
        Some((
            "lib",
            "client::network_client::tests::authentication::a_refused_reauthentication_fails_unwritten_requests_as_refused_and_written_ones_as_disconnected",
        )),
    ),
    (
        "BlindConnectedIsFine",
        Some((
            "lib",
            "client::connection_states::tests::the_backoff_grows_while_connections_are_made_and_lost_before_the_node_is_ready",
        )),
    ),
    (
        "BlindClosingReadsNothing",
        Some((
            "lib",
            "network::channel::tests::frames_received_before_a_failed_write_are_delivered_first",
        )),
    ),
    (
        "BlindEachWaitItsTime",
        Some((
            "lib",
            "producer::sender::tests::calls::the_time_of_a_serializer_does_not_count_towards_max_block",
        )),
    ),
    (
        "WakesOnlySleepers",
        Some((
            "models",
            "producer::models::send::records_of_two_threads_wake_a_sleeping_sender_and_are_sent",
        )),
    ),
    (
        "KeepsOldSleep",
        Some((
            "models",
            "producer::models::wake::work_that_is_due_during_a_sleep_wakes_the_sender_in_time",
        )),
    ),
    (
        "LatchSetUnlocked",
        Some((
            "models",
            "producer::models::close::a_record_sent_during_a_forced_close_is_refused_or_gets_an_outcome",
        )),
    ),
    (
        "LatchWakesOne",
        Some((
            "models",
            "producer::models::latch::every_thread_that_waits_for_a_latch_is_woken",
        )),
    ),
    (
        "LineIsNotKept",
        Some((
            "models",
            "producer::models::buffer_pool::two_waiting_threads_get_memory_in_order",
        )),
    ),
    (
        "TicketLooksUnlocked",
        Some((
            "models",
            "producer::models::close::a_thread_that_waits_for_memory_is_woken_when_the_producer_is_closed",
        )),
    ),
    (
        "PoolCloseTellsOne",
        Some((
            "models",
            "producer::models::buffer_pool::every_thread_that_waits_for_memory_is_woken_when_the_pool_is_closed",
        )),
    ),
    (
        "ReleasesUnlocked",
        Some((
            "models",
            "producer::models::produce_request_result::waiting_threads_get_the_outcome_after_the_callback_has_run",
        )),
    ),
    (
        "ReleasesRelaxed",
        Some((
            "models",
            "producer::models::produce_request_result::waiting_threads_get_the_outcome_after_the_callback_has_run",
        )),
    ),
    (
        "RegistersBlindly",
        Some((
            "models",
            "producer::models::produce_request_result::a_task_is_woken_and_its_wakers_dropped_while_another_future_is_dropped",
        )),
    ),
    (
        "CloneSharesWaker",
        Some((
            "models",
            "producer::models::produce_request_result::tasks_that_wait_for_clones_are_woken_while_further_clones_are_made_and_dropped",
        )),
    ),
    (
        "ReleasesBeforePieces",
        Some((
            "models",
            "producer::models::produce_request_result::a_thread_that_waits_for_a_split_batch_gets_the_result_of_its_piece",
        )),
    ),
    (
        "TornNumbersRead",
        Some((
            "models",
            "producer::models::seqlock::a_reader_gets_the_numbers_of_one_write",
        )),
    ),
    (
        "LeavesInboxLate",
        Some((
            "models",
            "producer::models::send::records_of_two_threads_wake_a_sleeping_sender_and_are_sent",
        )),
    ),
    (
        "WakesBeforeAnnouncing",
        Some((
            "models",
            "producer::models::send::records_of_two_threads_wake_a_sleeping_sender_and_are_sent",
        )),
    ),
    (
        "AnnouncesLate",
        Some((
            "models",
            "producer::models::accumulator::a_sender_that_ends_leaves_no_accepted_record_queued",
        )),
    ),
    (
        "CloseForgetsQueues",
        Some((
            "models",
            "producer::models::accumulator::a_sender_that_ends_leaves_no_accepted_record_queued",
        )),
    ),
    (
        "IncompleteLate",
        Some((
            "models",
            "producer::models::flush::a_flush_waits_for_a_record_in_a_batch_that_another_thread_opened",
        )),
    ),
    (
        "PackedBeforeSignalled",
        Some((
            "models",
            "producer::models::accumulator::a_sender_that_ends_leaves_no_batch_that_is_being_packed",
        )),
    ),
    (
        "PackedTellsNobody",
        Some((
            "models",
            "producer::models::close::a_batch_that_is_being_packed_during_a_close_is_written",
        )),
    ),
    (
        "FlushCountsLate",
        Some((
            "models",
            "producer::models::flush::records_of_a_thread_are_done_when_its_flush_returns",
        )),
    ),
    (
        "FlushWakesNobody",
        Some((
            "models",
            "producer::models::flush::records_of_a_thread_are_done_when_its_flush_returns",
        )),
    ),
    (
        "FlushLeavesLate",
        Some((
            "models",
            "producer::models::flush::a_batch_does_not_linger_after_its_flush_has_timed_out",
        )),
    ),
    (
        "FlushForgetsOthers",
        Some((
            "models",
            "producer::models::flush::batches_of_two_flushes_that_timed_out_are_both_sent",
        )),
    ),
    (
        "QueueMadeTwice",
        Some((
            "models",
            "producer::models::topics::a_partition_has_one_queue_whichever_thread_creates_it_while_partitions_are_added",
        )),
    ),
    (
        "VersionBeforeTopics",
        Some((
            "models",
            "producer::models::metadata::a_version_is_published_after_its_snapshot_and_its_topic_map",
        )),
    ),
    (
        "SnapshotStays",
        Some((
            "models",
            "producer::models::topics::a_thread_that_has_seen_a_newer_snapshot_does_not_use_a_cached_topic",
        )),
    ),
    (
        "MetadataLooksUnlocked",
        Some((
            "models",
            "producer::models::metadata::every_thread_that_waits_for_metadata_is_woken_by_an_update_or_a_close",
        )),
    ),
    (
        "WaitsPastAnswer",
        Some((
            "models",
            "producer::models::send::send_and_partitions_for_of_an_unknown_topic_both_get_its_metadata",
        )),
    ),
    (
        "ClosesAfterWaking",
        Some((
            "models",
            "producer::models::close::a_record_sent_during_a_close_is_refused_or_written",
        )),
    ),
    (
        "LastActLeftBehind",
        Some((
            "models",
            "producer::models::latch::the_last_act_runs_once_whichever_thread_comes_first",
        )),
    ),
];

#[cfg(planted_defects)]
#[allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a program that tells what it finds, with locks of its own"
)]
pub(crate) mod search {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt;
    use std::io::{BufRead, BufReader};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::sync::Mutex;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;
    use std::time::{Duration, Instant};

    use kafka_producer::internals::{Defect, PLANTED_DEFECT, planted_defect};

    use super::{CAUGHT_BY, Catcher, MODELS};

    /// Environment variable with the defects to search for; all if it is not set.
    const ONLY: &str = "DEFECTS";

    /// The test that a child process runs.
    const TEST_OF_CHILD: &str = "seeds";

    /// Limit on the seeds tried for a defect.
    const SEEDS: u64 = 1000;

    /// Environment variable that tells a child process to run this many seeds, from 1 on.
    const SEEDS_OF_CHILD: &str = "PLANTED_SEEDS";

    /// Time limit for a seed; a longer one is taken as an endless loop.
    const LONGEST_SEED: Duration = Duration::from_secs(20);

    /// Time limit for a test.
    const LONGEST_TEST: Duration = Duration::from_secs(60);

    /// Prefix of the lines that a child prints before each seed, and for the seed that failed.
    const BEGINS: &str = "seed ";
    const VIOLATES: &str = "violates ";

    /// Minimum number of defects that seeds have to catch.
    const CAUGHT_BY_SEEDS: usize = 30;

    /// Scope of the search.
    #[derive(Debug)]
    pub(crate) struct Search {
        /// Number of seeds tried; `None` if the test target has no simulator.
        pub(crate) seeds: Option<u64>,
        /// Only these defects; all if it is empty.
        pub(crate) only: Vec<String>,
    }

    /// The seed or test that caught a defect.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Caught {
        Seed(u64, String),
        Test(Catcher, &'static str),
        /// Caught by none of this many seeds and by no test. The text is the reason, if one is known, such as that the
        /// search itself failed.
        Not(u64, String),
    }

    /// All defects, each with the seed or test that caught it.
    #[derive(Debug)]
    pub(crate) struct Report(Vec<(&'static str, Caught)>);

    /// In a child process of the search: runs seeds, and prints the first violation. Returns false in any other
    /// process.
    pub(crate) fn run_if_child(run_seed: impl Fn(u64) -> Vec<String>) -> bool {
        let Ok(seeds) = std::env::var(SEEDS_OF_CHILD) else {
            return false;
        };
        run_seeds(seeds.parse().expect("a number of seeds"), run_seed);
        true
    }

    /// Searches for all defects, or those named in the environment, and prints the seed or test that caught each of
    /// them.
    ///
    /// # Panics
    /// If a defect is missed, or seeds catch too few.
    pub(crate) fn run() {
        let only = std::env::var(ONLY).unwrap_or_default();
        let search = Search {
            seeds: Some(SEEDS),
            only: only.split_whitespace().map(str::to_owned).collect(),
        };
        let report = search.run();
        println!("{report}");
        if let Some(failure) = report.failure() {
            panic!("{failure}");
        }
    }

    /// In a child process: prints each seed before running it, and the violation or panic of the first that fails.
    fn run_seeds(seeds: u64, run_seed: impl Fn(u64) -> Vec<String>) {
        for seed in 1..=seeds {
            println!("{BEGINS}{seed}");
            let violations = catch_unwind(AssertUnwindSafe(|| run_seed(seed)))
                .unwrap_or_else(|_| vec!["a panic".to_owned()]);
            if let Some(first) = violations.first() {
                println!("{VIOLATES}{}", first.replace('\n', " "));
                return;
            }
        }
    }

    impl Search {
        /// Searches for each defect. Before, it checks that no seed and no test fails without a defect, since otherwise
        /// the results would mean nothing.
        ///
        /// # Panics
        /// If something fails without a defect.
        pub(crate) fn run(&self) -> Report {
            for name in &self.only {
                planted_defect(name);
            }
            let programs = built_tests();
            self.check_without_defects(&programs);
            let rows: Vec<&(&str, Option<Catcher>)> = CAUGHT_BY
                .iter()
                .filter(|(name, _)| self.only.is_empty() || self.only.iter().any(|it| it == name))
                .collect();
            let left = Mutex::new(rows.iter());
            let done = Mutex::new(BTreeMap::new());
            thread::scope(|scope| {
                for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                    scope.spawn(|| {
                        loop {
                            let next = left.lock().unwrap().next();
                            let Some((name, test)) = next else { return };
                            let caught = self.catch(name, *test, &programs);
                            done.lock().unwrap().insert(*name, caught);
                        }
                    });
                }
            });
            let mut done = done.into_inner().unwrap();
            let rows = rows.into_iter();
            Report(
                rows.map(|(name, _)| (*name, done.remove(name).expect("tried")))
                    .collect(),
            )
        }

        fn catch(&self, name: &str, test: Option<Catcher>, programs: &Programs) -> Caught {
            let mut seeds_run = 0;
            if let Some(seeds) = self.seeds {
                match find_seed(name, seeds) {
                    Found::Seed(seed, what) => return Caught::Seed(seed, what),
                    Found::Nothing => seeds_run = seeds,
                    Found::Failed(why) => return Caught::Not(0, why),
                }
            }
            let Some(test) = test else {
                return Caught::Not(seeds_run, String::new());
            };
            if test.0 == MODELS {
                return Caught::Test(test, "`.ci/run models` shows it");
            }
            match run_tests(programs, test.0, &[test.1], name) {
                TestEnd::Failed => Caught::Test(test, "it fails"),
                TestEnd::Hung => Caught::Test(test, "it does not end"),
                TestEnd::Passed => Caught::Not(seeds_run, format!("{} passes", test.1)),
                TestEnd::Missing => Caught::Not(seeds_run, format!("there is no {}", test.1)),
            }
        }

        fn check_without_defects(&self, programs: &Programs) {
            if let Some(seeds) = self.seeds {
                match find_seed("", seeds) {
                    Found::Nothing => {}
                    Found::Seed(seed, what) => panic!("without a defect seed {seed}: {what}"),
                    Found::Failed(why) => panic!("without a defect: {why}"),
                }
            }
            let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let tests = CAUGHT_BY.iter().filter_map(|(_, test)| *test);
            for (program, name) in tests.filter(|(program, _)| *program != MODELS) {
                names.entry(program).or_default().insert(name);
            }
            for (program, names) in names {
                let names: Vec<&str> = names.into_iter().collect();
                let end = run_tests(programs, program, &names, "");
                assert!(
                    end == TestEnd::Passed,
                    "without a defect the tests of {program}: {end:?}"
                );
            }
        }
    }

    // ---- seeds

    enum Found {
        Seed(u64, String),
        Nothing,
        Failed(String),
    }

    /// Runs this program again with a defect enabled, and reads its output.
    fn find_seed(defect: &str, seeds: u64) -> Found {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .args([TEST_OF_CHILD, "--exact", "--nocapture"])
            .env(PLANTED_DEFECT, defect)
            .env(SEEDS_OF_CHILD, seeds.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be run");
        let (say, said) = channel();
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let listener = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let mut running = 0;
        let found = loop {
            match said.recv_timeout(LONGEST_SEED) {
                Ok(line) => {
                    if let Some(what) = line.strip_prefix(VIOLATES) {
                        break Found::Seed(running, what.to_owned());
                    }
                    if let Some(Ok(seed)) = line.strip_prefix(BEGINS).map(str::parse) {
                        running = seed;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let why = format!("it did not end within {} s", LONGEST_SEED.as_secs());
                    break Found::Seed(running, why);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().expect("it is a child");
                    break if running == 0 {
                        Found::Failed(format!("no seed was run: {status}"))
                    } else if status.success() {
                        Found::Nothing
                    } else {
                        Found::Seed(running, format!("the process ended: {status}"))
                    };
                }
            }
        };
        end(&mut child);
        drop(said);
        listener.join().expect("it only listens");
        found
    }

    fn end(child: &mut Child) {
        // The child may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    // ---- tests

    /// The built test programs, by target.
    type Programs = BTreeMap<String, PathBuf>;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum TestEnd {
        Passed,
        Failed,
        Hung,
        Missing,
    }

    /// Builds the tests named in the table, with the flags and target folder of this build.
    fn built_tests() -> Programs {
        let targets: BTreeSet<&str> = CAUGHT_BY
            .iter()
            .filter_map(|(_, test)| test.map(|(target, _)| target))
            .filter(|target| *target != MODELS)
            .collect();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--no-run", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        for target in &targets {
            match *target {
                "lib" => cargo.arg("--lib"),
                target => cargo.args(["--test", target]),
            };
        }
        let output = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo can be run");
        assert!(output.status.success(), "the tests are not built");
        let mut programs = Programs::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line).expect("cargo writes JSON");
            let Some(program) = message["executable"].as_str() else {
                continue;
            };
            let is_lib = message["target"]["kind"][0] == "lib";
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let name = if is_lib { "lib" } else { name };
            programs.insert(name.to_owned(), program.into());
        }
        programs
    }

    fn run_tests(programs: &Programs, target: &str, names: &[&str], defect: &str) -> TestEnd {
        let Some(program) = programs.get(target) else {
            return TestEnd::Missing;
        };
        let mut child = Command::new(program)
            .args(names)
            .arg("--exact")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env(PLANTED_DEFECT, defect)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests can be run");
        let mut output = child.stdout.take().expect("it is a pipe");
        let reader = thread::spawn(move || {
            let mut text = String::new();
            // The output is cut short if the process is killed.
            let _ = std::io::Read::read_to_string(&mut output, &mut text);
            text
        });
        let began = Instant::now();
        let status = loop {
            match child.try_wait().expect("it is a child") {
                Some(status) => break Some(status),
                None if began.elapsed() > LONGEST_TEST => break None,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        end(&mut child);
        let text = reader.join().expect("it only reads");
        let count = names.len();
        let plural = if count == 1 { "" } else { "s" };
        match status {
            _ if !text.contains(&format!("running {count} test{plural}\n")) => TestEnd::Missing,
            None => TestEnd::Hung,
            Some(status) if status.success() => TestEnd::Passed,
            Some(_) => TestEnd::Failed,
        }
    }

    // ---- report

    impl Report {
        /// Defects that nothing caught.
        pub(crate) fn missed(&self) -> Vec<&'static str> {
            let missed = self
                .0
                .iter()
                .filter(|(_, it)| matches!(it, Caught::Not(..)));
            missed.map(|(name, _)| *name).collect()
        }

        /// Missed defects for which a test is named.
        pub(crate) fn missed_with_a_test(&self) -> Vec<&'static str> {
            let has_test = |name: &&str| {
                CAUGHT_BY
                    .iter()
                    .any(|(it, test)| it == name && test.is_some())
            };
            self.missed().into_iter().filter(has_test).collect()
        }

        /// Number of defects caught by seeds.
        pub(crate) fn caught_by_seeds(&self) -> usize {
            let caught = self
                .0
                .iter()
                .filter(|(_, it)| matches!(it, Caught::Seed(..)));
            caught.count()
        }

        /// The failure of the search, if any: defects that nothing caught, or too few caught by seeds.
        pub(crate) fn failure(&self) -> Option<String> {
            let (missed, by_seeds) = (self.missed(), self.caught_by_seeds());
            if !missed.is_empty() {
                return Some(format!(
                    "caught by no seed and no test: {}",
                    missed.join(", ")
                ));
            }
            let wanted = CAUGHT_BY_SEEDS.min(self.0.len());
            (by_seeds < wanted).then(|| format!("only {by_seeds} were caught by seeds"))
        }
    }

    /// A Markdown table.
    impl fmt::Display for Report {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            writeln!(f, "| defect | effect | caught by | seeds needed |")?;
            writeln!(f, "|---|---|---|---|")?;
            for (name, caught) in &self.0 {
                let what = Defect::ALL.iter().find(|defect| defect.name() == *name);
                let what = what.map_or("", |defect| defect.what());
                let (by, seeds) = match caught {
                    Caught::Seed(seed, what) => (format!("seed {seed}: {what}"), seed.to_string()),
                    Caught::Test((target, test), how) => {
                        (format!("`{target}`: `{test}` ({how})"), "–".to_owned())
                    }
                    Caught::Not(seeds, why) if why.is_empty() => {
                        ("nothing".to_owned(), format!("more than {seeds}"))
                    }
                    Caught::Not(_, why) => (format!("nothing: {why}"), "–".to_owned()),
                };
                writeln!(f, "| `{name}` | {what} | {by} | {seeds} |")?;
            }
            let (all, missed) = (self.0.len(), self.missed().len());
            let by_seeds = self.caught_by_seeds();
            writeln!(
                f,
                "\n{all} defects: {by_seeds} caught by seeds, {} by tests, {missed} by nothing",
                all - by_seeds - missed
            )
        }
    }
}
