//! The default module, which is part of the binary. It supports the webhook rules of other brokers.

/// The module `webhook`: a component like any other, built together with the host.
pub(super) const WEBHOOK: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_WASM"));
