//! The file: tables, format version, one transaction per commit, and everything in it at the start.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use bytestring::ByteString;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use hookhost_data_file::{DataFile, FileError, Flush, Format};

use crate::batch::{Batch, SessionBatch, Write};
use crate::encoding::decode;
use crate::{
    Contents, DeliveryRecord, MessageRecord, SessionRecord, StoredDelivery, StoredMessage, StoredSession,
    SubscriptionRecord,
};

pub(crate) static FORMAT: Format = Format {
    file: "sessions.redb",
    content: "sessions, version 1",
    earlier: &[],
    fresh_start: "without sessions and retained messages",
    cache_bytes: 32 << 20,
    checks_every_page: false,
    create_tables: |transaction| {
        transaction.open_table(NUMBERS)?;
        transaction.open_table(SESSIONS)?;
        transaction.open_table(SUBSCRIPTIONS)?;
        transaction.open_table(DELIVERIES)?;
        transaction.open_table(MESSAGES)?;
        transaction.open_table(PUBLISHES)?;
        transaction.open_table(RETAINED)?;
        Ok(())
    },
};

/// The next number of a session and of a message, above all that were ever used.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const NEXT_SESSION: &str = "session";
const NEXT_MESSAGE: &str = "message";

const SESSIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sessions");
const SUBSCRIPTIONS: TableDefinition<'_, (u64, &str), &[u8]> = TableDefinition::new("subscriptions");
const DELIVERIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("deliveries");
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
const PUBLISHES: TableDefinition<'_, (u64, u16), u64> = TableDefinition::new("publishes");
const RETAINED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("retained");

/// The open file.
pub(crate) struct File(DataFile);

/// The next free numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) session: u64,
    pub(crate) message: u64,
}

impl File {
    /// Opens the file in `dir`. Creates both if they are missing, closed to other users.
    pub(crate) fn open(dir: &Path) -> Result<File, FileError> {
        DataFile::open(dir, &FORMAT, Flush::Always).map(File)
    }

    /// Writes the changes of a commit and flushes them to the disk. After an error they may be written or not, but not in
    /// part; writing them again is harmless.
    pub(crate) fn write(&self, batch: &Batch, next: Numbers) -> Result<(), FileError> {
        self.0.with(|database| {
            let transaction = database.begin_write()?;
            write_numbers(&transaction, next)?;
            write_messages(&transaction, batch)?;
            write_sessions(&transaction, batch)?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// Everything in the file, and the next free numbers. Removes what belongs to no session.
    pub(crate) fn read(&self) -> Result<(Contents, Numbers), FileError> {
        self.0.with(|database| {
            let mut contents = Contents::default();
            let read = database.begin_read()?;
            let mut sessions: HashMap<u64, StoredSession> = HashMap::new();
            for row in read.open_table(SESSIONS)?.iter()? {
                let (number, value) = row?;
                match decode::<SessionRecord>(value.value()) {
                    Some(record) => {
                        let number = number.value();
                        let session = StoredSession {
                            number,
                            record,
                            subscriptions: Vec::new(),
                            deliveries: Vec::new(),
                            publishes: Vec::new(),
                        };
                        sessions.insert(number, session);
                    }
                    None => contents.damaged += 1,
                }
            }
            for row in read.open_table(SUBSCRIPTIONS)?.iter()? {
                let (key, value) = row?;
                let (session, filter) = key.value();
                let Some(session) = sessions.get_mut(&session) else {
                    continue;
                };
                match decode::<SubscriptionRecord>(value.value()) {
                    Some(record) => session.subscriptions.push((ByteString::from(filter), record)),
                    None => contents.damaged += 1,
                }
            }
            let table = read.open_table(MESSAGES)?;
            let mut messages: HashMap<u64, (Arc<StoredMessage>, Arc<MessageRecord>)> = HashMap::new();
            for row in read.open_table(DELIVERIES)?.iter()? {
                let (key, value) = row?;
                let (session, sequence) = key.value();
                let Some(session) = sessions.get_mut(&session) else {
                    continue;
                };
                let Some((record, number)) = decode::<(DeliveryRecord, u64)>(value.value()) else {
                    contents.damaged += 1;
                    continue;
                };
                let (stored, message) = match messages.get(&number) {
                    Some((stored, message)) => (Arc::clone(stored), Arc::clone(message)),
                    None => {
                        let Some(message) = table.get(number)?.and_then(|value| decode(value.value())) else {
                            contents.damaged += 1;
                            continue;
                        };
                        let pair = (Arc::new(StoredMessage::restored(number)), Arc::new(message));
                        messages.insert(number, (Arc::clone(&pair.0), Arc::clone(&pair.1)));
                        pair
                    }
                };
                let bytes = stored.add_delivery();
                debug_assert!(bytes.is_none(), "a restored message is on the disk");
                session.deliveries.push(StoredDelivery {
                    sequence,
                    record,
                    stored,
                    message,
                });
            }
            for row in read.open_table(PUBLISHES)?.iter()? {
                let (key, fingerprint) = row?;
                let (session, packet_id) = key.value();
                if let Some(session) = sessions.get_mut(&session) {
                    session.publishes.push((packet_id, fingerprint.value()));
                }
            }
            for row in read.open_table(RETAINED)?.iter()? {
                let (_, value) = row?;
                match decode(value.value()) {
                    Some(message) => contents.retained.push(message),
                    None => contents.damaged += 1,
                }
            }
            let numbers = read.open_table(NUMBERS)?;
            let next = |name| Ok::<_, redb::Error>(numbers.get(name)?.map_or(0, |next| next.value()));
            let next = Numbers {
                session: next(NEXT_SESSION)?,
                message: next(NEXT_MESSAGE)?,
            };
            contents.sessions = sessions.into_values().collect();
            contents.sessions.sort_by_key(|session| session.number);
            Ok((contents, next))
        })
    }

    /// How many messages the file contains.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> usize {
        use redb::ReadableTableMetadata;
        self.0
            .with(|database| Ok(database.begin_read()?.open_table(MESSAGES)?.len()? as usize))
            .expect("a readable file")
    }
}

fn write_numbers(transaction: &WriteTransaction, next: Numbers) -> Result<(), redb::Error> {
    let mut numbers = transaction.open_table(NUMBERS)?;
    numbers.insert(NEXT_SESSION, next.session)?;
    numbers.insert(NEXT_MESSAGE, next.message)?;
    Ok(())
}

fn write_messages(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if !batch.messages.is_empty() {
        let mut table = transaction.open_table(MESSAGES)?;
        for (number, write) in &batch.messages {
            match write {
                Write::Insert(bytes) | Write::Put(bytes) => drop(table.insert(number, &**bytes)?),
                Write::Remove => drop(table.remove(number)?),
            }
        }
    }
    if !batch.retained.is_empty() {
        let mut table = transaction.open_table(RETAINED)?;
        for (topic, write) in &batch.retained {
            match write {
                Write::Insert(bytes) | Write::Put(bytes) => drop(table.insert(&**topic, &**bytes)?),
                Write::Remove => drop(table.remove(&**topic)?),
            }
        }
    }
    Ok(())
}

fn write_sessions(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if batch.sessions.is_empty() {
        return Ok(());
    }
    let mut sessions = transaction.open_table(SESSIONS)?;
    let mut subscriptions = transaction.open_table(SUBSCRIPTIONS)?;
    let mut deliveries = transaction.open_table(DELIVERIES)?;
    let mut publishes = transaction.open_table(PUBLISHES)?;
    for (&number, changes) in &batch.sessions {
        let SessionBatch {
            ended,
            record,
            subscriptions: filters,
            deliveries: sequences,
            publishes: ids,
        } = changes;
        if *ended {
            sessions.remove(number)?;
            subscriptions.retain_in((number, "")..(number + 1, ""), |_, _| false)?;
            deliveries.retain_in(all_of(number, 0, u64::MAX), |_, _| false)?;
            publishes.retain_in(all_of(number, 0, u16::MAX), |_, _| false)?;
            continue;
        }
        if let Some(record) = record {
            sessions.insert(number, &**record)?;
        }
        for (filter, write) in filters {
            match write {
                Write::Insert(bytes) | Write::Put(bytes) => drop(subscriptions.insert((number, &**filter), &**bytes)?),
                Write::Remove => drop(subscriptions.remove((number, &**filter))?),
            }
        }
        for (&sequence, write) in sequences {
            match write {
                Write::Insert(bytes) | Write::Put(bytes) => drop(deliveries.insert((number, sequence), &**bytes)?),
                Write::Remove => drop(deliveries.remove((number, sequence))?),
            }
        }
        for (&packet_id, fingerprint) in ids {
            match fingerprint {
                Some(fingerprint) => drop(publishes.insert((number, packet_id), fingerprint)?),
                None => drop(publishes.remove((number, packet_id))?),
            }
        }
    }
    Ok(())
}

fn all_of<T>(session: u64, first: T, last: T) -> RangeInclusive<(u64, T)> {
    (session, first)..=(session, last)
}
