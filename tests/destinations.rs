//! Receivers with credentials, signatures and TLS of their own.
