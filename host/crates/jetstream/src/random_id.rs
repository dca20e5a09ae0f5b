//! Ids of processes, hosts and consumers.

/// Sixteen random hex digits, as an id of a process.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness the time keeps processes apart.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        bytes = (now.unwrap_or_default().as_nanos() as u64 ^ u64::from(std::process::id())).to_be_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
