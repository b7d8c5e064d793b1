use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    segment: 1 << 20,
    backlog: 1 << 30,
};

fn entry(number: u64, size: usize) -> Entry {
    let json = format!("{{\"n\":{number},\"x\":\"{}\"}}", "y".repeat(size)).into_bytes();
    match number % 5 {
        0 => Entry::Rejected(json),
        _ => Entry::Record(json),
    }
}

fn entries(log: &Log) -> Vec<Entry> {
    let mut found = Vec::new();
    for segment in log.sealed() {
        let mut records = segment.records().unwrap();
        while let Some((_, entry)) = records.next().unwrap() {
            found.push(entry);
        }
    }
    found
}

fn open(dir: &Path) -> Arc<Log> {
    Logs::default().open(dir, LIMITS).unwrap().unwrap()
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_each_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for run in 0..3 {
        let log = open(dir.path());
        assert_eq!(entries(&log), expected);
        for number in run * 10..run * 10 + 10 {
            expected.push(entry(number, 20));
            log.append(vec![entry(number, 20)], None).await.unwrap();
        }
        assert!(log.has_pending());
    }
    let log = open(dir.path());
    assert_eq!(entries(&log), expected);
    for segment in log.sealed() {
        log.remove(&segment, false).unwrap();
    }
    assert!(!log.has_pending());
    assert!(segment_files(dir.path()).is_empty());
}

#[tokio::test]
async fn many_writers_share_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment: 2000,
        ..LIMITS
    };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    let appends = (0..500).map(|number| {
        let log = log.clone();
        tokio::spawn(async move { log.append(vec![entry(number, 10), entry(number, 10)], None).await })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    log.seal().await.unwrap();
    let found = entries(&log);
    assert_eq!(found.len(), 1000);
    assert!(
        found.chunks(2).all(|pair| pair[0] == pair[1]),
        "what is sent together stays together"
    );
}

#[tokio::test]
async fn one_log_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::default();
    let log = logs.open(dir.path(), LIMITS).unwrap().unwrap();
    assert!(Arc::ptr_eq(&log, &logs.open(dir.path(), LIMITS).unwrap().unwrap()));
    assert!(Logs::default().open(dir.path(), LIMITS).unwrap().is_none());
    let reading = log.try_read().unwrap();
    assert!(log.try_read().is_none());
    drop(reading);
    assert!(log.try_read().is_some());
    drop(log);
    // Whoever locks the file, as another process would, has the log.
    let lock = File::create(dir.path().join(LOCK)).unwrap();
    lock.lock().unwrap();
    assert!(logs.open(dir.path(), LIMITS).unwrap().is_none());
}

#[tokio::test]
async fn a_full_log_refuses_and_takes_more_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment: 1 << 20,
        backlog: 2000,
    };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    log.append(vec![entry(1, 1500)], None).await.unwrap();
    let error = log.append(vec![entry(2, 1500)], None).await.unwrap_err();
    assert_eq!(error.kind(), cordada_core::ErrorKind::Unavailable);
    log.seal().await.unwrap();
    let sealed = log.sealed();
    assert_eq!(entries(&log), [entry(1, 1500)]);
    log.remove(&sealed[0], false).unwrap();
    log.append(vec![entry(3, 1500)], None).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fails_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("log");
    let log = open(&inner);
    log.append(vec![entry(1, 10)], None).await.unwrap();
    log.seal().await.unwrap();
    // Without its folder no segment can begin.
    let away = dir.path().join("away");
    std::fs::rename(&inner, &away).unwrap();
    let error = log.append(vec![entry(2, 10)], None).await.unwrap_err();
    assert_eq!(error.kind(), cordada_core::ErrorKind::Unavailable, "{error}");
    std::fs::rename(&away, &inner).unwrap();
    log.append(vec![entry(3, 10)], None).await.unwrap();
    log.seal().await.unwrap();
    assert_eq!(entries(&log), [entry(1, 10), entry(3, 10)]);
}

/// The one segment that a log with these records has, and the offset at which each record ends.
fn one_segment(dir: &Path, sizes: &[usize]) -> (PathBuf, Vec<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = open(dir);
    let mut ends = Vec::new();
    runtime.block_on(async {
        for (number, size) in (0..).zip(sizes) {
            log.append(vec![entry(number, *size)], None).await.unwrap();
            ends.push(std::fs::metadata(&segment_files(dir)[0]).unwrap().len());
        }
    });
    drop(log);
    (segment_files(dir).remove(0), ends)
}

/// Recovery of a folder that holds nothing but a segment with these bytes.
fn recovered(bytes: &[u8], name: &std::ffi::OsStr) -> Vec<Entry> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    entries(&open(dir.path()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_torn_or_damaged_tail_ends_the_log_where_the_damage_is(
        sizes in proptest::collection::vec(0usize..60, 1..6),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 40),
        garbage in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (path, ends) = one_segment(dir.path(), &sizes);
        let (bytes, name) = (std::fs::read(&path).unwrap(), path.file_name().unwrap());
        let all: Vec<_> = (0..).zip(&sizes).map(|(number, size)| entry(number, *size)).collect();
        let whole_before = |at: usize| ends.iter().filter(|end| **end <= at as u64).count();
        for cut in 0..=bytes.len() {
            let found = recovered(&bytes[..cut], name);
            prop_assert_eq!(&found, &all[..whole_before(cut)], "cut at {}", cut);
        }
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let whole = if at < segment::HEADER { 0 } else { whole_before(at) };
            prop_assert_eq!(&recovered(&damaged, name), &all[..whole], "bit {} of byte {}", bit, at);
        }
        let mut longer = bytes.clone();
        longer.extend(&garbage);
        prop_assert_eq!(&recovered(&longer, name), &all);
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment: 1, ..LIMITS };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    for number in 1..4 {
        log.append(vec![entry(number, 10)], None).await.unwrap();
    }
    drop(log);
    let files = segment_files(dir.path());
    let mut bytes = std::fs::read(&files[1]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    let log = open(dir.path());
    let sealed = log.sealed();
    assert_eq!(
        (sealed[1].first, sealed[1].next),
        (1, 2),
        "the next segment tells how many there were"
    );
    assert!(sealed[1].records().unwrap().next().unwrap().is_none());
    log.remove(&sealed[1], true).unwrap();
    assert!(files[1].with_extension("damaged").exists());
    assert_eq!(entries(&log), [entry(1, 10), entry(3, 10)]);
}
