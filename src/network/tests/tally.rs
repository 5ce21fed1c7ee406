//! Coverage counters of runs.

/// Events that a run has covered.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connected: usize,
    pub(super) connects_failed: usize,
    pub(super) answered: usize,
    pub(super) lost: usize,
    pub(super) untouched: usize,
    pub(super) withdrawn: usize,
    pub(super) refused_by_transport: usize,
    pub(super) refused_by_authenticator: usize,
    pub(super) refused_again: usize,
    pub(super) authenticated_again: usize,
    pub(super) reauthenticating: usize,
    pub(super) sent_at_once: usize,
    pub(super) idle_after_fault: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.connected += other.connected;
        self.connects_failed += other.connects_failed;
        self.answered += other.answered;
        self.lost += other.lost;
        self.untouched += other.untouched;
        self.withdrawn += other.withdrawn;
        self.refused_by_transport += other.refused_by_transport;
        self.refused_by_authenticator += other.refused_by_authenticator;
        self.refused_again += other.refused_again;
        self.authenticated_again += other.authenticated_again;
        self.reauthenticating += other.reauthenticating;
        self.sent_at_once += other.sent_at_once;
        self.idle_after_fault += other.idle_after_fault;
    }

    /// Checks that the runs have covered each kind of event.
    pub(super) fn assert_everything_happened(&self) {
        let all = [
            self.connected,
            self.connects_failed,
            self.answered,
            self.lost,
            self.untouched,
            self.withdrawn,
            self.refused_by_transport,
            self.refused_by_authenticator,
            self.refused_again,
            self.authenticated_again,
            self.reauthenticating,
            self.sent_at_once,
            self.idle_after_fault,
        ];
        assert!(all.iter().all(|count| *count > 0), "{self:?}");
    }
}
