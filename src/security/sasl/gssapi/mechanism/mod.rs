//! The state machine of one GSSAPI exchange.
//!
//! ```text
//!  proceed      gss_init_sec_context       token ⇄ token …        offer of layers → choice
//!  Begins ─────▶ Steps (helper thread) ──▶ Establishes ──▶ … ──▶ Negotiates ──▶ Ends
//!                  ▲                          │
//!                  └──────────────────────────┘
//! ```

use std::sync::Arc;

use super::calls::{KdcCall, KdcCalls, PendingStep, StepOutcome, SteppedContext};
use super::context::{GssContext, GssFailure, GssFailureKind, GssStep, OpenContext};
use super::security_layer;
use crate::clock::{Deadline, Instant};
use crate::security::sasl::mechanism::{
    MechanismFailure, MechanismRefusal, MechanismStep, SaslMechanism,
};
use crate::util::wipe::SecretBytes;

/// The event that a connection waits for during the first step, for error texts.
const WAITS_FOR_TICKET: &str =
    "a Kerberos ticket, for which the library may ask a KDC of krb5.conf";
/// The event before the first step, while another connection is in its first step.
const WAITS_FOR_TURN: &str =
    "the end of another call of the Kerberos library, which may ask a KDC of krb5.conf";
/// The event during a later step, which asks no KDC.
const WAITS_FOR_CHECK: &str = "the Kerberos library, which checks the broker's token";
/// Limit of a broker's tokens in one exchange. Kerberos has one, and the negotiation of a layer two: the offer, and the
/// response to the client's choice.
const MAX_TOKENS: u32 = 8;

enum GssapiState {
    Begins,
    /// A helper thread is in a step of the context. The text is the event that the connection waits for.
    Steps(PendingStep, &'static str),
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

fn violation(why: String) -> MechanismFailure {
    MechanismFailure::Refused(MechanismRefusal::Protocol, why)
}

/// Chooses a security layer, which ends the exchange.
fn negotiate(
    mut context: Box<dyn GssContext>,
    token: &[u8],
) -> Result<MechanismStep, MechanismFailure> {
    let refused = |what: &str, why: &str| violation(format!("{what}{why}"));
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

    /// Starts the first step, when no other connection of this process is in its first step.
    fn begin(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure> {
        let (open, host) = (Arc::clone(&self.open), Arc::clone(&self.host));
        let first = move || -> StepOutcome {
            let mut context = open(&host)?;
            let step = context.step(None)?;
            Ok(SteppedContext { context, step })
        };
        let call = self.calls.begin(now, first);
        match call.map_err(MechanismFailure::Interrupted)? {
            KdcCall::Started(pending) => {
                self.state = GssapiState::Steps(pending, WAITS_FOR_TICKET);
                self.follow()
            }
            KdcCall::Waits(until) => Ok(MechanismStep::Wait(WAITS_FOR_TURN, until)),
        }
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
        let pending = pending.map_err(MechanismFailure::Interrupted)?;
        self.state = GssapiState::Steps(pending, WAITS_FOR_CHECK);
        self.follow()
    }

    /// Sends the token of a step that has ended.
    fn follow(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let GssapiState::Steps(pending, event) = &self.state else {
            return Err(unexpected());
        };
        let Some(outcome) = pending.take() else {
            return Ok(MechanismStep::Wait(event, Deadline::Never));
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
        let refused = |text| MechanismFailure::Refused(MechanismRefusal::Credentials, text);
        match failure.kind {
            GssFailureKind::Permanent => refused(text),
            GssFailureKind::NoCredentials if !self.calls.has_succeeded() => refused(text),
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
            let why = format!("the broker sent more than {MAX_TOKENS} tokens");
            return Err(violation(why));
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
            GssapiState::Begins | GssapiState::Steps(..) => Err(unexpected()),
        }
    }
}

#[cfg(test)]
mod tests;
