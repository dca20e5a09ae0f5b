//! The number of instances of a module.
//!
//! Each instance has its own memory. The use of an idle instance depends on its language and its module: Rust and
//! QuickJS 1 MiB, Python 13 MiB, other languages 100 MiB. Code is shared and does not count. Unless a setting gives the
//! number, it follows from the memory of the first instance once that is configured.

/// Memory limit of all instances of one module unless a setting gives their number. 128 MiB allow nine Python
/// instances. For Rust they allow as many instances as there are processors.
const TOTAL_BYTES: usize = 128 << 20;

/// The number of instances of a module without this setting in its own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// This many, at least 1.
    Exactly(usize),
    /// As many as use 128 MiB together after their start, at least 1 and at most this many.
    UpTo(usize),
}

impl Instances {
    /// The maximum of the number.
    pub(super) fn most(self) -> usize {
        let (Instances::Exactly(most) | Instances::UpTo(most)) = self;
        most.max(1)
    }

    /// The number for a module whose instance uses `memory` bytes.
    pub(super) fn number(self, memory: usize) -> usize {
        match self {
            Instances::Exactly(number) => number.max(1),
            Instances::UpTo(most) => (TOTAL_BYTES / memory.max(1)).clamp(1, most.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_number_follows_from_what_an_instance_takes() {
        for (rule, memory, number) in [
            (Instances::UpTo(8), 0, 8),
            (Instances::UpTo(8), 2 * MIB, 8),
            (Instances::UpTo(100), 2 * MIB, 64),
            (Instances::UpTo(8), 16 * MIB, 8),
            (Instances::UpTo(8), 16 * MIB + 1, 7),
            (Instances::UpTo(8), 26 * MIB, 4),
            (Instances::UpTo(3), 26 * MIB, 3),
            (Instances::UpTo(8), 64 * MIB, 2),
            (Instances::UpTo(8), 65 * MIB, 1),
            (Instances::UpTo(8), 110 * MIB, 1),
            (Instances::UpTo(8), 4 << 30, 1),
            (Instances::UpTo(0), 0, 1),
            (Instances::Exactly(8), 110 * MIB, 8),
            (Instances::Exactly(1), 0, 1),
            (Instances::Exactly(0), 0, 1),
        ] {
            assert_eq!(rule.number(memory), number, "{rule:?} with {memory} bytes");
        }
    }
}
