//! Converts the records of versions 1 and 2, which had an entry each.

use bytes::Bytes;
use redb::{Database, ReadableDatabase, TableDefinition, TableHandle};

use super::chunk::{CheckedRecord, Records};
use super::commit::Tables;

/// The records by number, each after its checksum.
pub(crate) const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("requests");

/// Limit of the bytes that one transaction moves, without the last record.
const MAX_MOVED_BYTES: usize = 4 << 20;

/// Moves all records into chunks and deletes their table, in several transactions. After a crash the rest follows when the
/// file is opened again; until then there are no new records, so the numbers stay in order.
pub(crate) fn upgrade(database: &Database) -> Result<(), redb::Error> {
    let read = database.begin_read()?;
    let is_current = read.list_tables()?.all(|table| table.name() != RECORDS.name());
    drop(read);
    if is_current {
        return Ok(());
    }
    loop {
        let transaction = database.begin_write()?;
        let mut moved = Records::new();
        {
            let mut records = transaction.open_table(RECORDS)?;
            let mut bytes = 0;
            while bytes < MAX_MOVED_BYTES
                && let Some((number, value)) = records.pop_first()?
            {
                bytes += value.value().len();
                moved.insert(number.value(), record(value.value()));
            }
        }
        if moved.is_empty() {
            transaction.delete_table(RECORDS)?;
            transaction.commit()?;
            return Ok(());
        }
        Tables::open(&transaction)?.put(moved)?;
        transaction.commit()?;
    }
}

fn record(value: &[u8]) -> CheckedRecord {
    match value.split_first_chunk::<4>() {
        Some((checksum, record)) => CheckedRecord::read(Bytes::copy_from_slice(record), u32::from_le_bytes(*checksum)),
        None => CheckedRecord::damaged(),
    }
}
