//! The positions of a chunk whose records are left.

/// A set of positions, as a bit for each. In the file it has a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LivePositions {
    bits: Vec<u8>,
}

impl LivePositions {
    /// A set of these positions.
    pub(crate) fn new(positions: impl IntoIterator<Item = usize>) -> LivePositions {
        let mut bits = Vec::new();
        for position in positions {
            if bits.len() <= position / 8 {
                bits.resize(position / 8 + 1, 0);
            }
            if let Some(byte) = bits.get_mut(position / 8) {
                *byte |= 1 << (position % 8);
            }
        }
        LivePositions { bits }
    }

    /// Reads a set; `None` if it is damaged.
    pub(crate) fn decode(value: &[u8]) -> Option<LivePositions> {
        let (checksum, bits) = value.split_first_chunk::<4>()?;
        let bits = (*checksum == crc32fast::hash(bits).to_le_bytes()).then(|| bits.to_vec())?;
        Some(LivePositions { bits })
    }

    /// The set as it is in the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = crc32fast::hash(&self.bits).to_le_bytes().to_vec();
        value.extend_from_slice(&self.bits);
        value
    }

    /// Returns the position after the last one; 0 if the set is empty.
    pub(crate) fn end(&self) -> u64 {
        self.iter().next_back().map_or(0, |last| last as u64 + 1)
    }

    pub(crate) fn contains(&self, position: usize) -> bool {
        let byte = self.bits.get(position / 8);
        byte.is_some_and(|byte| byte & (1 << (position % 8)) != 0)
    }

    /// Removes a position, if the set has it.
    pub(crate) fn remove(&mut self, position: usize) {
        if let Some(byte) = self.bits.get_mut(position / 8) {
            *byte &= !(1 << (position % 8));
        }
    }

    /// Returns how many positions are left.
    pub(crate) fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The positions in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.bits.len() * 8).filter(|position| self.contains(*position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_added_removed_and_read_again() {
        let mut live = LivePositions::new([0, 3, 8, 17]);
        live.remove(3);
        live.remove(4);
        live.remove(900);
        assert_eq!(live.iter().collect::<Vec<_>>(), [0, 8, 17]);
        assert_eq!((live.count(), live.end(), live.contains(900)), (3, 18, false));
        let value = live.encode();
        assert_eq!(LivePositions::decode(&value), Some(live));
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 1;
            assert_eq!(LivePositions::decode(&damaged), None);
        }
        assert_eq!(LivePositions::decode(&[1, 2]), None);
    }
}
