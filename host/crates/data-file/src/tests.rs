use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::*;

const WORDS: TableDefinition<u64, &str> = TableDefinition::new("words");

static FORMAT: Format = Format {
    file: "words.redb",
    content: "words, version 2",
    earlier: &["words, version 1"],
    fresh_start: "without words",
    cache_bytes: 1 << 20,
    checks_every_page: false,
    create_tables: |transaction| {
        transaction.open_table(WORDS)?;
        Ok(())
    },
};

fn open(dir: &Path) -> Result<DataFile, FileError> {
    DataFile::open(dir, &FORMAT, Flush::Always)
}

fn put(file: &DataFile, number: u64, word: &str) {
    let done = file.with(|database| {
        let transaction = database.begin_write()?;
        transaction.open_table(WORDS)?.insert(number, word)?;
        transaction.commit()?;
        Ok(())
    });
    done.unwrap();
}

fn words(file: &DataFile) -> Vec<String> {
    let all = file.with(|database| {
        let table = database.begin_read()?.open_table(WORDS)?;
        let words = table.iter()?.map(|row| Ok(row?.1.value().to_owned()));
        words.collect::<Result<_, redb::Error>>()
    });
    all.unwrap()
}

#[test]
fn it_is_kept_and_belongs_to_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b");
    let file = open(&folder).unwrap();
    put(&file, 1, "one");
    let error = open(&folder).err().unwrap();
    assert!(matches!(error, FileError::InUse { .. }), "{error}");
    drop(file);
    let file = open(&folder).unwrap();
    assert_eq!(words(&file), ["one"]);
    assert!(file.compact().unwrap());
    assert_eq!(words(&file), ["one"]);
    assert!(file.bytes() > 0);
}

#[test]
fn after_a_failure_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path()).unwrap();
    put(&file, 1, "one");
    let failed = file.with(|_| Err::<(), _>(redb::Error::Corrupted("so it seems".to_owned())));
    let text = failed.unwrap_err().to_string();
    assert!(text.contains("words.redb: ") && text.contains("so it seems"), "{text}");
    let failed = file.with(|_| -> Result<(), redb::Error> { panic!("on damage") });
    assert!(failed.unwrap_err().to_string().ends_with("words.redb: it is damaged"));
    assert_eq!(words(&file), ["one"]);
}

#[test]
fn earlier_versions_are_used_and_others_are_refused() {
    for (content, expected) in [
        ("words, version 1", None),
        ("words, version 2", None),
        (
            "words, version 3",
            Some("its format is \"words, version 3\", not \"words, version 2\"; move it away to start without words"),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FORMAT.file);
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let about = TableDefinition::<&str, &str>::new("hookhost");
        transaction
            .open_table(about)
            .unwrap()
            .insert("content", content)
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let before = std::fs::read(&path).unwrap();
        match (open(dir.path()), expected) {
            (Ok(file), None) => assert!(words(&file).is_empty()),
            (Err(error), Some(expected)) => {
                assert!(error.to_string().ends_with(expected), "{error}");
                assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
            }
            (opened, _) => panic!("{content}: {:?}", opened.err()),
        }
    }
}

#[test]
fn a_file_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for content in [&b"hello"[..], &[0; 10_000], b"redb"] {
        std::fs::write(dir.path().join(FORMAT.file), content).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(matches!(error, FileError::Unusable { .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join(FORMAT.file)).unwrap(), content);
    }
}

/// No user can create a file there, not even root.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
    let error = open(Path::new("/sys")).err().unwrap();
    assert!(matches!(error, FileError::NotPermitted { .. }), "{error:?}");
    assert!(error.to_string().contains("choose another one with --data"), "{error}");
}
