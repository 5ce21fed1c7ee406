//! Negotiation of the security layer (RFC 4752, section 3.1): the broker offers layers, and the client chooses none.

/// The bit of an offer, and of the reply, for messages without a security layer: `auth` of Java's
/// `javax.security.sasl.qop`.
const NO_LAYER: u8 = 1;

/// The reply to a broker's offer, both without their GSS wrapping. The client acts for its own principal: an
/// authorization id, which would follow, is not sent.
///
/// # Errors
/// Why there can be no agreement.
/// # Kafka
/// The JDK's `GssKrb5Client`. Differs: the offer must have exactly four bytes, and the reply's buffer size is zero, as
/// the RFC demands. The size in the offer is not checked: the RFC demands zero if no layer is offered, but the JDK's
/// server sends 65,536.
pub(super) fn reply_to(offer: &[u8]) -> Result<[u8; 4], String> {
    let [layers, _, _, _] = offer else {
        return Err(format!(
            "the broker's offer of security layers has {} bytes instead of 4",
            offer.len()
        ));
    };
    if layers & NO_LAYER == 0 {
        return Err(format!(
            "the broker demands a security layer (its offer has the bits {layers:#05b}), and none is supported, as in \
             Kafka's own client: TLS encrypts (security.protocol=SASL_SSL)"
        ));
    }
    Ok([NO_LAYER, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_layer_is_chosen_whatever_else_is_offered() {
        for offer in [
            // The JDK's server: no layer, 65,536 bytes.
            [1, 1, 0, 0],
            // As the RFC says.
            [1, 0, 0, 0],
            [3, 0, 0x80, 0],
            [7, 0xff, 0xff, 0xff],
            [0xff, 0, 0, 0],
        ] {
            assert_eq!(reply_to(&offer), Ok([1, 0, 0, 0]), "{offer:?}");
        }
    }

    #[test]
    fn a_broker_that_demands_a_layer_is_refused() {
        for layers in [0, 2, 4, 6, 0xfe] {
            let why = reply_to(&[layers, 1, 0, 0]).unwrap_err();
            assert!(why.contains("SASL_SSL"), "{why}");
        }
    }

    #[test]
    fn an_offer_of_another_length_is_refused() {
        for offer in [&[][..], &[1], &[1, 0, 0], &[1, 0, 0, 0, 0], &[1; 5_000]] {
            let why = reply_to(offer).unwrap_err();
            assert!(why.contains(&format!("{} bytes", offer.len())), "{why}");
        }
    }
}
