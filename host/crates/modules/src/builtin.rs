//! The default module, which is inside the binary: it speaks the webhook rules that other brokers have.

/// The module `webhook`, a component like any other, built together with the host.
pub(super) const WEBHOOK: &[u8] = include_bytes!(env!("HOOKHOST_WEBHOOK_WASM"));
