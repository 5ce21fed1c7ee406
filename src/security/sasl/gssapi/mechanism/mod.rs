//! The state machine of one GSSAPI exchange.
//!
//! ```text
//!  proceed      gss_init_sec_context       token ⇄ token …        offer of layers → choice
//!  Begins ─────▶ Steps (helper thread) ──▶ Establishes ──▶ … ──▶ Negotiates ──▶ Ends
//!                  ▲                          │
//!                  └──────────────────────────┘
//! ```

use std::sync::Arc;

use super::calls::{KdcCalls, PendingStep, StepOutcome, SteppedContext};
use super::context::{GssContext, GssFailure, GssFailureKind, GssStep, OpenContext};
use super::security_layer;
use crate::clock::Instant;
use crate::security::sasl::mechanism::{MechanismFailure, MechanismStep, SaslMechanism};
use crate::util::wipe::SecretBytes;

/// The event that a connection waits for while a helper thread is in the Kerberos library, for error texts.
const WAITS_FOR: &str = "a Kerberos ticket, for which a KDC of krb5.conf was asked";
/// Limit of a broker's tokens in one exchange. Kerberos needs two, and the negotiation of a layer one more.
const MAX_TOKENS: u32 = 8;

enum GssapiState {
    Begins,
    /// A helper thread is in a step of the context.
    Steps(PendingStep),
    /// A token was sent, and the context needs the broker's.
    Establishes(Box<dyn GssContext>),
    /// The context is established, and the broker's offer of security layers is awaited.
    Negotiates(Box<dyn GssContext>),
    /// The last token was sent, or the exchange has failed.
    Ends,
}

/// # Kafka
/// The JDK's `GssKrb5Client`. Differs: the broker must prove its identity while the context is established, not only by
/// its offer of layers; the number of tokens is limited.
pub(crate) struct GssapiMechanism {
    open: OpenContext,
    calls: Arc<KdcCalls>,
    host: Arc<str>,
    state: GssapiState,
    /// The number of tokens from the broker.
    tokens: u32,
}

fn send(token: Vec<u8>) -> MechanismStep {
    MechanismStep::Send(SecretBytes::new(token))
}

fn unexpected() -> MechanismFailure {
    MechanismFailure::Interrupted("the broker sent an unexpected message".to_owned())
}

/// Chooses a security layer, which ends the exchange.
fn negotiate(
    mut context: Box<dyn GssContext>,
    token: &[u8],
) -> Result<MechanismStep, MechanismFailure> {
    let refused = |what: &str, why: &str| MechanismFailure::Refused(format!("{what}{why}"));
    let offer = context.open_message(token).map_err(|failure| {
        refused(
            "the broker's offer of security layers is not signed with the session's key: ",
            &failure.text,
        )
    })?;
    let reply = security_layer::reply_to(&offer).map_err(|why| refused("", &why))?;
    let reply = context.seal_message(&reply).map_err(|failure| {
        refused(
            "the choice of a security layer cannot be signed: ",
            &failure.text,
        )
    })?;
    Ok(MechanismStep::SendLast(SecretBytes::new(reply)))
}

impl GssapiMechanism {
    pub(super) fn new(open: OpenContext, calls: Arc<KdcCalls>, host: Arc<str>) -> Self {
        Self {
            open,
            calls,
            host,
            state: GssapiState::Begins,
            tokens: 0,
        }
    }

    /// Starts the first step, when no other connection of this producer is in its first step.
    fn begin(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure> {
        let (open, host) = (Arc::clone(&self.open), Arc::clone(&self.host));
        let first = move || -> StepOutcome {
            let mut context = open(&host)?;
            let step = context.step(None)?;
            Ok(SteppedContext { context, step })
        };
        let begun = self.calls.begin(now, first);
        let Some(pending) = begun.map_err(MechanismFailure::Interrupted)? else {
            return Ok(MechanismStep::Wait(WAITS_FOR));
        };
        self.state = GssapiState::Steps(pending);
        self.follow()
    }

    /// Passes the broker's token to the context.
    fn continue_with(
        &mut self,
        mut context: Box<dyn GssContext>,
        token: &[u8],
    ) -> Result<MechanismStep, MechanismFailure> {
        let token = token.to_vec();
        let next = move || -> StepOutcome {
            let step = context.step(Some(&token))?;
            Ok(SteppedContext { context, step })
        };
        let pending = self.calls.begin_local(next);
        self.state = GssapiState::Steps(pending.map_err(MechanismFailure::Interrupted)?);
        self.follow()
    }

    /// Sends the token of a step that has ended.
    fn follow(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let GssapiState::Steps(pending) = &self.state else {
            return Err(unexpected());
        };
        let Some(outcome) = pending.take() else {
            return Ok(MechanismStep::Wait(WAITS_FOR));
        };
        let SteppedContext { context, step } = outcome.map_err(|failure| self.failed(&failure))?;
        let (state, token) = match step {
            GssStep::Continue(token) => (GssapiState::Establishes(context), token),
            GssStep::Established(token) => (GssapiState::Negotiates(context), token),
        };
        self.state = state;
        Ok(send(token))
    }

    /// # Kafka
    /// `SaslClientAuthenticator#createSaslToken`, which retries after transient errors and a lack of credentials. A lack
    /// at the start fails the constructor of Kafka's producer.
    fn failed(&self, failure: &GssFailure) -> MechanismFailure {
        let text = format!(
            "the Kerberos library reported for the service at {}: {}",
            self.host, failure.text
        );
        match failure.kind {
            GssFailureKind::Permanent => MechanismFailure::Refused(text),
            GssFailureKind::NoCredentials if !self.calls.has_succeeded() => {
                MechanismFailure::Refused(text)
            }
            GssFailureKind::Transient | GssFailureKind::NoCredentials => {
                MechanismFailure::Interrupted(text)
            }
        }
    }
}

impl SaslMechanism for GssapiMechanism {
    fn proceed(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match self.state {
            GssapiState::Begins => self.begin(now),
            _ => self.follow(),
        }
    }

    fn evaluate(&mut self, token: &[u8], _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            return Err(MechanismFailure::Refused(format!(
                "the broker sent more than {MAX_TOKENS} tokens"
            )));
        }
        match std::mem::replace(&mut self.state, GssapiState::Ends) {
            GssapiState::Establishes(context) => self.continue_with(context, token),
            // The broker may acknowledge the last token of the establishment before it offers layers.
            GssapiState::Negotiates(context) if token.is_empty() => {
                self.state = GssapiState::Negotiates(context);
                Ok(send(Vec::new()))
            }
            GssapiState::Negotiates(context) => negotiate(context, token),
            // The response to the last token, which has no content.
            GssapiState::Ends => Ok(MechanismStep::Complete),
            GssapiState::Begins | GssapiState::Steps(_) => Err(unexpected()),
        }
    }
}

#[cfg(test)]
mod tests;
