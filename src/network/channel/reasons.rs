//! Close reasons from errors of the transport and the authenticator.

use crate::network::authenticator::{AuthFailure, AuthRefusal, AuthRefusalKind};
use crate::network::selectable::CloseReason;
use crate::network::transport::TransportError;

pub(super) fn refusal(why: &AuthFailure) -> CloseReason {
    match why {
        AuthFailure::Refused(refusal) => CloseReason::AuthenticationFailed(AuthRefusal {
            kind: refusal.kind,
            reason: why.reason(),
        }),
        AuthFailure::Interrupted(_) => CloseReason::AuthenticationInterrupted(why.reason()),
    }
}

pub(super) fn is_of_authentication(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::AuthenticationFailed(_) | CloseReason::AuthenticationInterrupted(_)
    )
}

pub(in crate::network) fn failure(error: TransportError) -> CloseReason {
    match error {
        TransportError::Io(error) => CloseReason::Io(error.to_string().into()),
        TransportError::Authentication(reason) => refusal(&AuthFailure::Refused(AuthRefusal {
            kind: AuthRefusalKind::Tls,
            reason,
        })),
        TransportError::Interrupted(why) => refusal(&AuthFailure::Interrupted(why)),
    }
}
