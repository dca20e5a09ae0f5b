//! Who may connect to the broker, and who may publish and subscribe to what.
